"""What a durable store promises over restarts, and when its process is killed."""

from __future__ import annotations

from typing import Any, Final

from scanqueue.models import TaskPriority
from scanqueue.testing._checks.running import Checks, expect, expect_equal
from scanqueue.testing._checks.store_bench import FIRST_REVISION, StoreBench, count, find, look
from scanqueue.testing._checks.tasks import (
    NOON,
    change,
    claim,
    current,
    end,
    expect_same,
    minutes,
    submit,
)

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()
kills: Final[Checks[Bench]] = Checks()
"""Those that kill forked children."""


@checks.add
def keeps_tasks_over_restarts(bench: Bench) -> None:
    """Closed and opened again, a durable store has its tasks, slots and revision, and pauses."""
    store = bench.store()
    with store.write() as table:
        tasks = [submit(table, number, priority) for number, priority in enumerate(TaskPriority)]
        tasks[0] = change(table, tasks[0], error="noted")
        tasks[1], slot = claim(table, tasks[1])
        ended = end(table, submit(table, "ended"))
        end(table, submit(table, "deleted"), NOON - minutes(9))
        table.delete_ended(NOON, 1)
        table.set_paused(True)
        revision = table.next_revision()
    before = count(store)
    bench.close(store)
    again = bench.opened(bench.another(store))
    with again.read() as view:
        for task in (*tasks, ended):
            expect_same(view.get(task.id), task, "after a restart, the task")
        expect_equal(list(view.slots()), [slot], "after a restart, `slots` gives")
        expect_equal(view.paused(), True, "after a restart, `paused` is")
        expect_equal(view.counts(), before, "after a restart, the counts are")
        expect(view.revision() >= revision, "after a restart, the revisions begin again")


@checks.add
def revisions_go_on_over_restarts(bench: Bench) -> None:
    """A queue that is there already goes on with its revisions, whatever `open` says."""
    store = bench.store()
    with store.write() as table:
        revision = submit(table).revision
    bench.close(store)
    for first in (0, 2 * FIRST_REVISION):
        again = bench.opened(bench.another(store), first)
        found = look(again, lambda view: view.revision())
        expect_equal(found, revision, f"opened again with the first revision {first}, `revision`")
        bench.close(again)


@checks.add
def earlier_owners_are_dead(bench: Bench) -> None:
    """An owner that has closed its store is dead, so that what it left behind can be freed."""
    store = bench.store()
    owner = bench.owner_of(store)
    with store.write() as table:
        claim(table, submit(table), owner)
    bench.close(store)
    again = bench.opened(bench.another(store))
    expect_equal(set(again.dead_owners({owner})), {owner}, "`dead_owners` gives")


@kills.add
def keeps_what_a_killed_process_wrote(bench: Bench) -> None:
    """What a process has written is there after it was killed."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    bench.close(store)

    def write() -> None:  # pragma: no cover - in forked children only
        mine = bench.opened(bench.another(store))
        with mine.write() as table:
            change(table, current(table, task), error="noted")

    child = bench.fork(write)
    expect_equal(child.outcome(), "", "a child that was to write said")
    child.kill()
    again = bench.opened(bench.another(store))
    found = find(again, task)
    expect_equal(found and found.error, "noted", "the error of the task is")


@kills.add
def drops_what_a_killed_process_began(bench: Bench) -> None:
    """Of a write whose process was killed before its end nothing is left; others can write."""
    store = bench.store()
    bench.close(store)
    kept: list[object] = []

    def write() -> None:  # pragma: no cover - in forked children only
        mine = bench.opened(bench.another(store))
        transaction = mine.write()
        kept.append(transaction)  # one that is forgotten would be rolled back
        submit(transaction.__enter__())

    child = bench.fork(write)
    expect_equal(child.outcome(), "", "a child that was to write said")
    child.kill()
    again = bench.opened(bench.another(store))
    found = count(again).pending
    expect_equal(found, 0, "the tasks that are left are")
    with again.write() as table:
        submit(table)
