"""What a store promises in forked children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from scanqueue import _sync
from scanqueue.errors import StoreError
from scanqueue.testing._checks.running import Checks, expect_equal
from scanqueue.testing._checks.store_bench import StoreBench, find
from scanqueue.testing._checks.tasks import (
    change,
    expect_same,
    submit,
)
from scanqueue.testing._checks.threads import MOMENT, Aside

if TYPE_CHECKING:
    from scanqueue.records import TaskRecord
    from scanqueue.testing._checks.processes import Child

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()

Store: TypeAlias = Any
"""Of whatever type the author's is."""


def _use_in_child(bench: Bench, store: Store, task: TaskRecord, *, busy: bool) -> Child:
    """Fork, and use the store in the child, which may be refused but must not hang."""
    may_refuse = busy or (store.durable and not store.shared)

    def use() -> None:  # pragma: no cover - in forked children only
        store.after_fork()
        try:
            bench.opened(store)
            with store.write() as table:
                mine = submit(table, "child")
        except StoreError:
            if may_refuse:
                return
            raise
        expect_same(find(store, mine), mine, "in a child, its task")
        is_there = find(store, task) is not None
        expect_equal(is_there, store.durable, "that a child has its parent's tasks is")

    return bench.fork(use)


def _expect_fine(child: Child) -> None:
    """Raise if what the child has called raised, or hangs."""
    expect_equal(child.outcome(), "", "a forked child said")
    child.kill()


@checks.add
def works_after_fork(bench: Bench) -> None:
    """In a forked child, after `after_fork` and `open`, the store works; so does the parent's."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    _expect_fine(_use_in_child(bench, store, task, busy=False))
    with store.write() as table:
        change(table, task, error="noted")
    found = find(store, task)
    expect_equal(found and found.error, "noted", "in the parent, the error of the task is")


@checks.add
def does_not_hang_after_fork(bench: Bench) -> None:
    """A child that was forked during a write works, or is refused by a `StoreError`."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    inside, leave = _sync.Event(), _sync.Event()

    def hold() -> None:
        with store.write():
            inside.set()
            leave.wait()

    writer = Aside(hold)
    inside.wait()
    try:
        child = _use_in_child(bench, store, task, busy=True)
        if store.shared:  # the queue is the parent's: the child must wait for the write to end
            _sync.Event().wait(MOMENT)
            leave.set()
        _expect_fine(child)
    finally:
        leave.set()
    writer.result()
