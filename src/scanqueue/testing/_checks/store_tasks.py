"""What a store promises of single tasks: they are found, and replaced as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import attrs

from scanqueue.models import (
    TaskPriority,
)
from scanqueue.testing._checks.running import Checks, expect, expect_equal, expect_raises
from scanqueue.testing._checks.store_bench import FIRST_REVISION, StoreBench, find, look
from scanqueue.testing._checks.tasks import (
    NOON,
    change,
    claim,
    current,
    end,
    expect_same,
    expect_tasks,
    submit,
)

if TYPE_CHECKING:
    from scanqueue.protocols import TaskStore

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()


@checks.add
def opens_empty(bench: Bench) -> None:
    """A new queue has no tasks and no slots, and is not paused."""
    with bench.store().read() as view:
        found = (view.pending(None), view.ended(NOON, None, None), view.changed(0, None))
        expect_equal([len(tasks) for tasks in (*found, view.slots())], [0] * 4, "their lengths are")
        expect_equal(view.first_claimable(), None, "`first_claimable` of an empty queue is")
        expect_equal(view.oldest_pending(), None, "`oldest_pending` of an empty queue is")
        expect_equal(attrs.astuple(view.counts()), (0,) * 7, "the counts are")
        expect(view.paused() is False, f"`paused` of a new queue is {view.paused()!r}")


@checks.add
def finds_nothing_that_is_not_there(bench: Bench) -> None:
    """`get`, `pending_of` and `slot_of` return None for what is not there."""
    store = bench.store()
    with store.write() as table:
        claim(table, submit(table, "running"))
    with store.read() as view:
        expect_equal(view.get(uuid4()), None, "`get` of an unknown id is")
        expect_equal(view.pending_of("unknown"), None, "`pending_of` an unknown library is")
        expect_equal(view.pending_of("running"), None, "`pending_of` a library that runs is")
        expect_equal(view.slot_of("unknown"), None, "`slot_of` an unknown library is")


@checks.add
def begins_at_first_revision(bench: Bench) -> None:
    """The revisions of a new queue begin where `open` says."""
    for first in (0, FIRST_REVISION):
        store = bench.opened(bench.unopened(), first)
        expect_equal(look(store, lambda view: view.revision()), first, "`revision` is")


@checks.add
def revisions_grow(bench: Bench) -> None:
    """`next_revision` is above all before it, and `revision` is the latest one."""
    store = bench.store()
    seen = [look(store, lambda view: view.revision())]
    for _ in range(3):
        with store.write() as table:
            for _ in range(2):
                seen.append(table.next_revision())
                expect_equal(table.revision(), seen[-1], "inside the write, `revision` is")
        expect_equal(look(store, lambda view: view.revision()), seen[-1], "later, `revision` is")
    expect(seen == sorted(set(seen)), f"the revisions were {seen}")


@checks.add
def inserts(bench: Bench) -> None:
    """A task that was inserted is found by its id and by its library."""
    store = bench.store()
    with store.write() as table:
        tasks = [submit(table, library_id) for library_id in ("music", "books")]
    with store.read() as view:
        for task in tasks:
            expect_same(view.get(task.id), task, "`get` of the task")
            expect_same(view.pending_of(task.library_id), task, "`pending_of` its library")


@checks.add
def records_stand_still(bench: Bench) -> None:
    """A record that a view gave out is not changed by later writes."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    before = find(store, task)
    expected = task.successor(task.revision)
    with store.write() as table:
        change(table, task, priority=TaskPriority.HIGH)
    expect_same(before, expected, "the record of before")


@checks.add
def replaces(bench: Bench) -> None:
    """After `replace`, the successor is found wherever the record was, and the record nowhere."""
    store = bench.store()
    with store.write() as table:
        old = submit(table)
        new = change(table, old, priority=TaskPriority.HIGH)
    with store.read() as view:
        expect_same(view.get(old.id), new, "`get` of the successor")
        expect_same(view.pending_of("music"), new, "`pending_of` its library")
        expect_tasks(view.pending(None), [new], "`pending`")
        expect_tasks(view.changed(0, None), [new], "`changed`")


@checks.add
def replace_compares(bench: Bench) -> None:
    """`replace` refuses a record that is not the current one, and changes nothing."""
    store = bench.store()
    with store.write() as table:
        old = submit(table)
        new = change(table, old, priority=TaskPriority.HIGH)
        late = old.successor(table.next_revision())
        with expect_raises(ValueError, "it replaced a task that had changed meanwhile"):
            table.replace(old, late)
        expect_same(table.get(old.id), new, "the task")
    expect_tasks(look(store, lambda view: view.changed(0, None)), [new], "`changed`")


@checks.add
def replace_needs_the_task(bench: Bench) -> None:
    """`replace` refuses a task that is not there: one that was deleted does not come back."""
    store = bench.store()
    with store.write() as table:
        old = end(table, submit(table))
        expect_equal(table.delete_ended(datetime.max.replace(tzinfo=UTC), 1), 1, "it deleted")
        late = old.successor(table.next_revision())
        with expect_raises(ValueError, "it replaced a task that was deleted"):
            table.replace(old, late)
        expect_equal(table.get(old.id), None, "`get` of the deleted task is")


@checks.add
def pauses(bench: Bench) -> None:
    """`set_paused` is kept, both ways."""
    store: TaskStore = bench.store()
    for is_paused in (True, True, False):
        with store.write() as table:
            table.set_paused(is_paused)
            expect_equal(table.paused(), is_paused, "inside the write, `paused` is")
        expect_equal(look(store, lambda view: view.paused()), is_paused, "later, `paused` is")


@checks.add
def sees_its_own_writes(bench: Bench) -> None:
    """Inside a write, the table shows what was written so far."""
    with bench.store().write() as table:
        task, slot = claim(table, submit(table))
        expect_same(current(table, task), task, "the task")
        expect_equal(table.slot_of("music"), slot, "`slot_of` gives")
        expect_equal(table.pending_of("music"), None, "`pending_of` a library that runs is")
        expect_tasks(table.changed(0, None), [task], "`changed`")
        expect_equal(table.counts().running, 1, "`counts().running` is")
