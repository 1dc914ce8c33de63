"""What a store promises of the order in which tasks are claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scanqueue.models import TaskPriority, TaskStatus
from scanqueue.testing._checks.running import Checks, expect_equal
from scanqueue.testing._checks.store_bench import StoreBench, look
from scanqueue.testing._checks.tasks import MANY, NOON, change, claim, end, expect_tasks, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanqueue.models import LibraryId
    from scanqueue.protocols import TaskStore, TaskView
    from scanqueue.records import TaskRecord

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()

LOW, NORMAL, HIGH = TaskPriority


def _waiting(store: TaskStore) -> list[LibraryId]:
    """Return the libraries of the pending tasks, in order of claim."""
    return look(store, lambda view: [task.library_id for task in view.pending(None)])


def _first(view: TaskView) -> LibraryId | None:
    """Return the library of the task to claim next."""
    task = view.first_claimable()
    return None if task is None else task.library_id


@checks.add
def urgent_first(bench: Bench) -> None:
    """`pending` and `first_claimable` give the higher priority first."""
    store = bench.store()
    with store.write() as table:
        for priority in (NORMAL, LOW, HIGH):
            submit(table, priority.name, priority)
    expect_equal(_waiting(store), ["HIGH", "NORMAL", "LOW"], "`pending` gives")
    expect_equal(look(store, _first), "HIGH", "`first_claimable` gives")


@checks.add
def lower_rank_first(bench: Bench) -> None:
    """Among tasks of one priority, the lower rank comes first, whichever was inserted first."""
    store = bench.store()
    with store.write() as table:
        for rank in (30, 10, 20, 9):
            submit(table, rank, rank=rank)
    expect_equal(_waiting(store), [9, 10, 20, 30], "`pending` gives the ranks")
    expect_equal(look(store, _first), 9, "`first_claimable` gives the rank")


@checks.add
def upgraded_moves_forward(bench: Bench) -> None:
    """A task whose priority was raised is claimed with those of its priority, by its rank."""
    store = bench.store()
    with store.write() as table:
        submit(table, "first", HIGH)
        upgraded = submit(table, "second")
        submit(table, "third", HIGH)
        submit(table, "fourth")
    with store.write() as table:
        change(table, upgraded, priority=HIGH)
    expect_equal(_waiting(store), ["first", "second", "third", "fourth"], "`pending` gives")


@checks.add
def claimed_waits_no_more(bench: Bench) -> None:
    """A task that runs or has ended is not pending."""
    store = bench.store()
    with store.write() as table:
        tasks = [submit(table, library_id) for library_id in ("runs", "ended", "waits")]
        claim(table, tasks[0])
        end(table, tasks[1])
    expect_equal(_waiting(store), ["waits"], "`pending` gives")
    expect_equal(look(store, _first), "waits", "`first_claimable` gives")
    expect_equal(_oldest(store), "waits", "`oldest_pending` gives")
    for library_id in ("runs", "ended"):
        with store.read() as view:
            found = view.pending_of(library_id)
        expect_equal(found, None, f"`pending_of` a library whose task {library_id} is")


@checks.add
def sent_back_keeps_its_rank(bench: Bench) -> None:
    """A RUNNING task that is PENDING again is claimed by the rank that it had."""
    store = bench.store()
    with store.write() as table:
        running, slot = claim(table, submit(table, "first"))
        submit(table, "second")
    with store.write() as table:
        returning = change(table, running, status=TaskStatus.PENDING, started_at=None)
        expect_equal(_first(table), "second", "while its slot is held, `first_claimable` gives")
        table.free_slot(slot)
        change(table, returning, holds_slot=False)
    expect_equal(_waiting(store), ["first", "second"], "`pending` gives")
    expect_equal(look(store, _first), "first", "`first_claimable` gives")


@checks.add
def passes_over_taken_libraries(bench: Bench) -> None:
    """`first_claimable` passes over tasks whose library's slot is held, until it is free."""
    store = bench.store()
    with store.write() as table:
        music = claim(table, submit(table, "music"))
        books = claim(table, submit(table, "books"))
        submit(table, "music", HIGH)
        submit(table, "books", HIGH)
        submit(table, "films", LOW)
    expect_equal(look(store, _first), "films", "with two slots held, `first_claimable` gives")
    expect_equal(_waiting(store), ["music", "books", "films"], "`pending` gives")
    with store.write() as table:
        end(table, books[0], slot=books[1])
    expect_equal(look(store, _first), "books", "with one slot held, `first_claimable` gives")
    with store.write() as table:
        end(table, music[0], slot=music[1])
    expect_equal(look(store, _first), "music", "with no slot held, `first_claimable` gives")


@checks.add
def passes_over_many_taken_libraries(bench: Bench) -> None:
    """`first_claimable` finds the one task that can be claimed behind a hundred that cannot."""
    store = bench.store()
    with store.write() as table:
        for number in range(MANY):
            claim(table, submit(table, number))
            submit(table, number, HIGH)
        submit(table, "free", LOW)
    expect_equal(look(store, _first), "free", f"behind {MANY}, `first_claimable` gives")


@checks.add
def nothing_claimable_is_none(bench: Bench) -> None:
    """`first_claimable` is None while the slots of all pending tasks are held."""
    store = bench.store()
    with store.write() as table:
        for library_id in ("music", "books"):
            claim(table, submit(table, library_id))
            submit(table, library_id)
    expect_equal(look(store, _first), None, "`first_claimable` gives")


def _oldest(store: TaskStore) -> LibraryId | None:
    task = look(store, lambda view: view.oldest_pending())
    return None if task is None else task.library_id


@checks.add
def oldest_is_lowest_rank(bench: Bench) -> None:
    """`oldest_pending` is the PENDING task of the lowest rank, whatever its priority."""
    store = bench.store()
    with store.write() as table:
        submit(table, "urgent", HIGH)
        oldest = submit(table, "oldest", LOW, rank=1)
        submit(table, "low", LOW)
    expect_equal(_oldest(store), "oldest", "`oldest_pending` gives")
    with store.write() as table:
        claim(table, oldest)
    expect_equal(_oldest(store), "urgent", "`oldest_pending` gives")


@checks.add
def gives_all_of_many(bench: Bench) -> None:
    """Without a limit, `pending`, `ended` and `changed` give more than a hundred tasks, too."""
    store = bench.store()
    with store.write() as table:
        ended = [end(table, submit(table, number)) for number in range(MANY)]
        pending = [submit(table, number) for number in range(MANY)]
    with store.read() as view:
        expect_tasks(view.pending(None), pending, "`pending`")
        expect_tasks(view.ended(NOON, None, None), ended[::-1], "`ended`")
        expect_tasks(view.changed(0, None), ended + pending, "`changed`")


@checks.add
def limits(bench: Bench) -> None:
    """`pending`, `ended` and `changed` give at most `limit`, none for 0, all for None."""
    store = bench.store()
    with store.write() as table:
        ended = [end(table, submit(table, f"ended{number}")) for number in range(3)]
        pending = [submit(table, f"pending{number}") for number in range(3)]
    for limit in (None, 0, 1, 2, 3, 7):
        with store.read() as view:
            answers: list[tuple[str, Sequence[TaskRecord], list[TaskRecord]]] = [
                ("pending", view.pending(limit), pending),
                ("ended", view.ended(NOON, limit, None), ended[::-1]),
                ("changed", view.changed(0, limit), ended + pending),
            ]
            of_one = view.ended(NOON, limit, "ended1")
        for name, found, expected in answers:
            expect_tasks(found, expected[:limit], f"`{name}` with the limit {limit}")
        expect_tasks(of_one, ended[1:2][:limit], f"`ended` of one library with the limit {limit}")
