"""What a store promises of tasks that have ended or changed, of counting them, and of deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scanqueue.models import TaskPriority, TaskStatus
from scanqueue.records import Counts
from scanqueue.testing._checks.running import Checks, expect, expect_equal
from scanqueue.testing._checks.store_bench import StoreBench, count, look
from scanqueue.testing._checks.tasks import (
    MANY,
    NOON,
    change,
    claim,
    end,
    expect_tasks,
    minutes,
    submit,
)

if TYPE_CHECKING:
    from datetime import datetime

    from scanqueue.models import LibraryId
    from scanqueue.protocols import TaskStore
    from scanqueue.records import TaskRecord

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()

EVER: Final = NOON - minutes(1000)


def _end_at(store: TaskStore, *moments: float) -> list[TaskRecord]:
    """End tasks of the libraries 0, 1, ..., so many minutes after noon; return them."""
    with store.write() as table:
        return [
            end(table, submit(table, number), NOON + minutes(moment))
            for number, moment in enumerate(moments)
        ]


def _ended(store: TaskStore, since: datetime = EVER) -> list[LibraryId]:
    return look(store, lambda view: [task.library_id for task in view.ended(since, None, None)])


# --- history ---


@checks.add
def ended_in_order_of_ending(bench: Bench) -> None:
    """`ended` gives the latest end first, by rank, also where the wall clock was set back."""
    store = bench.store()
    with store.write() as table:
        first, second = submit(table, "first"), submit(table, "second")
    with store.write() as table:
        end(table, second, NOON)
        end(table, first, NOON - minutes(5))
        end(table, submit(table, "third"), NOON - minutes(9))
    expect_equal(_ended(store), ["third", "first", "second"], "`ended` gives")


@checks.add
def ended_since(bench: Bench) -> None:
    """`ended` leaves out what ended before `since`, and keeps what ended at that moment."""
    store = bench.store()
    _end_at(store, 0, 1, 2)
    second = minutes(1) / 60 / 1_000_000
    expect_equal(_ended(store, NOON + minutes(1)), [2, 1], "`ended` since the second end gives")
    since = NOON + minutes(1) + second
    expect_equal(_ended(store, since), [2], "`ended` since a microsecond later gives")
    expect_equal(_ended(store, NOON + minutes(3)), [], "`ended` since after the last end gives")


@checks.add
def ended_behind_a_clock_set_back(bench: Bench) -> None:
    """`ended` finds what ended in its window also behind later ends with earlier moments."""
    store = bench.store()
    _end_at(store, 10, 30, 0, *[-50] * MANY)
    expect_equal(_ended(store, NOON + minutes(5)), [1, 0], "`ended` gives")
    expect_equal(_ended(store, NOON + minutes(30)), [1], "`ended` gives")
    with store.read() as view:
        for library_id, expected in ((0, [0]), (2, [])):
            found = view.ended(NOON + minutes(5), None, library_id)
            of = f"`ended` of library {library_id} gives"
            expect_equal([task.library_id for task in found], expected, of)


@checks.add
def ended_of_a_library(bench: Bench) -> None:
    """`ended` of a library gives its tasks and those of no other, latest end first."""
    store = bench.store()
    with store.write() as table:
        ended = [end(table, submit(table, library_id)) for library_id in (1, "1", 1, "1", "a")]
    with store.read() as view:
        expect_tasks(view.ended(EVER, None, 1), [ended[2], ended[0]], "`ended` of 1")
        expect_tasks(view.ended(EVER, None, "1"), [ended[3], ended[1]], '`ended` of "1"')
        expect_tasks(view.ended(EVER, None, "b"), [], "`ended` of an unknown library")


@checks.add
def ended_keeps_its_place(bench: Bench) -> None:
    """A task that has ended and changes once more keeps its place in `ended`."""
    store = bench.store()
    with store.write() as table:
        running, slot = claim(table, submit(table, "stopping"))
        stopping = end(table, running)
        noted = end(table, submit(table, "noted"))
        end(table, submit(table, "last"))
    expect_equal(_ended(store), ["last", "noted", "stopping"], "with one stopping, `ended` gives")
    with store.write() as table:
        table.free_slot(slot)
        change(table, stopping, holds_slot=False)
        change(table, noted, error="replaced by another one")
    expect_equal(_ended(store), ["last", "noted", "stopping"], "`ended` gives")


# --- changes ---


@checks.add
def changed_in_order(bench: Bench) -> None:
    """`changed` gives what has changed since a revision, in order of revision."""
    store = bench.store()
    with store.write() as table:
        tasks = [submit(table, number) for number in range(3)]
        table.next_revision()
        tasks.append(submit(table, 3))
    with store.read() as view:
        for number, task in enumerate(tasks):
            since = f"`changed` since the change {number}"
            expect_tasks(view.changed(task.revision, None), tasks[number + 1 :], since)
            expect_tasks(view.changed(task.revision - 1, None), tasks[number:], since)
        expect_tasks(view.changed(view.revision() + 99, None), [], "`changed` since the future")


@checks.add
def changed_has_the_latest_state(bench: Bench) -> None:
    """`changed` gives each task once, in its latest state, at the place of its latest change."""
    store = bench.store()
    with store.write() as table:
        first, second = submit(table, "first"), submit(table, "second")
        before = table.revision()
        first = change(table, first, priority=TaskPriority.HIGH)
        first = change(table, first, priority=TaskPriority.LOW)
    with store.read() as view:
        expect_tasks(view.changed(0, None), [second, first], "`changed` since the beginning")
        expect_tasks(view.changed(before, None), [first], "`changed` since the last changes")


@checks.add
def changed_remembers(bench: Bench) -> None:
    """`changed` is right after a thousand changes of a few tasks, and thousands of revisions."""
    store = bench.store()
    with store.write() as table:
        tasks = [submit(table, number) for number in range(4)]
        quiet = tasks.pop(0)
        for number in range(1200):
            table.next_revision()
            tasks.append(change(table, tasks.pop(0)))
            if number % 97 == 0:
                expect_tasks(table.changed(0, None), [quiet, *tasks], "`changed` from the start")
                latest = tasks[-1].revision
                expect_tasks(table.changed(latest - 1, None), tasks[-1:], "`changed` since then")
    expect_tasks(look(store, lambda view: view.changed(0, None)), [quiet, *tasks], "`changed`")
    expect_equal(count(store), Counts(pending=4), "the counts are")


# --- counts ---


def _one_of_each(store: TaskStore) -> None:
    """Have a task in every state, all ended ones at noon; two slots are held."""
    with store.write() as table:
        submit(table, "pending")
        claim(table, submit(table, "running"))
        end(table, claim(table, submit(table, "stopping"))[0])
        end(table, submit(table, "cancelled"))
        for status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
            running, slot = claim(table, submit(table, status.value))
            end(table, running, status=status, slot=slot)


@checks.add
def counts_every_kind(bench: Bench) -> None:
    """`counts` has the tasks of each status, the stopping ones and the slots."""
    store = bench.store()
    expected = {"pending": 1, "running": 1, "completed": 1, "failed": 1}
    expected |= {"cancelled": 2, "stopping": 1, "slots": 2}
    _one_of_each(store)
    found = count(store)
    expect_equal({name: getattr(found, name) for name in expected}, expected, "the counts are")


@checks.add
def counts_slots_whatever_their_task(bench: Bench) -> None:
    """`counts().slots` counts what is held, also by a task that is PENDING again."""
    store = bench.store()
    with store.write() as table:
        running, _ = claim(table, submit(table))
        change(table, running, status=TaskStatus.PENDING)
    found = count(store)
    expect_equal((found.pending, found.running, found.slots), (1, 0, 1), "the counts are")


@checks.add
def counts_since(bench: Bench) -> None:
    """`counts(since)` leaves out just what `delete_ended` would delete before that moment."""
    store = bench.store()
    _one_of_each(store)
    everything = count(store)
    rest = Counts(pending=1, running=1, cancelled=1, stopping=1, slots=2)
    # Later and earlier, since a clock may be set back.
    for since, expected in (
        (NOON, everything),
        (NOON + minutes(1), rest),
        (NOON, everything),
        (NOON + minutes(2), rest),
    ):
        found = count(store, since)
        expect_equal(found, expected, f"the counts since {since:%H:%M} are")
    expect_equal(count(store), everything, "the counts are")


# --- deleting ---


@checks.add
def deletes_what_ended_before(bench: Bench) -> None:
    """`delete_ended` deletes all that ended before a moment, nothing that ended at it or later."""
    store = bench.store()
    _end_at(store, *[0] * MANY, 1, 2)
    with store.write() as table:
        submit(table, "pending")
        claim(table, submit(table, "running"))
        deleted = table.delete_ended(NOON + minutes(1), 10 * MANY)
    expect_equal(deleted, MANY, "`delete_ended` returned")
    expect_equal(_ended(store), [MANY + 1, MANY], "`ended` gives")
    found = count(store)
    expect_equal((found.pending, found.running), (1, 1), "pending and running are")


@checks.add
def deletes_earliest_first(bench: Bench) -> None:
    """`delete_ended` deletes at most `limit`, those with the earliest end, and says how many."""
    store = bench.store()
    _end_at(store, 3, 1, 2, 0)
    for limit, deleted, left in ((0, 0, [3, 2, 1, 0]), (2, 2, [2, 0]), (9, 2, [])):
        with store.write() as table:
            found = table.delete_ended(NOON + minutes(9), limit)
        expect_equal(found, deleted, f"with the limit {limit}, `delete_ended` returned")
        expect_equal(_ended(store), left, f"after the limit {limit}, `ended` gives")


@checks.add
def keeps_stopping_tasks(bench: Bench) -> None:
    """`delete_ended` deletes no task whose slot is held; later it does."""
    store = bench.store()
    with store.write() as table:
        running, slot = claim(table, submit(table))
        stopping = end(table, running)
    with store.write() as table:
        table.delete_ended(NOON + minutes(9), 10)
        expect(table.get(stopping.id) is not None, "it deleted a task whose slot was held")
        table.free_slot(slot)
        change(table, stopping, holds_slot=False)
    with store.write() as table:
        deleted = table.delete_ended(NOON + minutes(9), 10)
    expect_equal(deleted, 1, "when the slot was free, `delete_ended` returned")


@checks.add
def deleted_is_gone(bench: Bench) -> None:
    """A task that was deleted is found nowhere, and not counted."""
    store = bench.store()
    first, second = _end_at(store, 0, 5)
    with store.write() as table:
        table.delete_ended(NOON + minutes(1), 10)
    with store.read() as view:
        expect_equal(view.get(first.id), None, "`get` gives")
        expect_tasks(view.ended(EVER, None, None), [second], "`ended`")
        expect_tasks(view.ended(EVER, None, 0), [], "`ended` of its library")
        expect_tasks(view.changed(0, None), [second], "`changed`")
        expect_equal(view.counts(), Counts(cancelled=1), "the counts are")
        expect_equal(view.counts(EVER), Counts(cancelled=1), "the counts since are")
