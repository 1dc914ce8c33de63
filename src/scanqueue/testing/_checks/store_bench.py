"""What a check of a store works on: stores of a queue that nobody else has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import uuid4

from scanqueue.protocols import TaskStore
from scanqueue.testing._checks.processes import Child, Signal
from scanqueue.testing._checks.running import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scanqueue.protocols import TaskView
    from scanqueue.records import Counts, OwnerId, TaskRecord

S = TypeVar("S", bound=TaskStore)
T = TypeVar("T")

FIRST_REVISION = 1_000_000_000_000
"""Where the revisions of the queues begin: as large as that of a real one."""


class StoreBench(Generic[S]):
    """The stores of one check, of which all are closed after it.

    Args:
        make_store: Makes the store of a new queue.
        reopen: Makes another store of the queue of a store.
        patience: Real seconds that the check may take; a forked child has half of them, so that the
            check can still say that it was the child.
    """

    def __init__(
        self, make_store: Callable[[], S], reopen: Callable[[S], S] | None, patience: float
    ) -> None:
        self._make_store = make_store
        self._reopen = reopen
        self.patience: float = patience / 2
        """Real seconds that a forked child may take."""
        self._open: dict[int, S] = {}
        self._children: list[Child] = []
        self._signals: list[Signal] = []
        self._owners: dict[int, OwnerId] = {}

    def unopened(self) -> S:
        """Return the store of a new queue."""
        return self._make_store()

    def store(self) -> S:
        """Return the store of a new queue, open."""
        return self.opened(self._make_store())

    def another(self, store: S) -> S:
        """Return another store of the same queue, not open."""
        assert self._reopen is not None, "only durable and shared stores are asked for another"
        another = self._reopen(store)
        expect(another is not store, "`reopen` gave back the store that it was given, not another")
        return another

    def opened(self, store: S, first_revision: int = FIRST_REVISION) -> S:
        """Open a store, for an owner of its own, and return it."""
        owner = uuid4().hex
        store.open(owner, first_revision)
        self._owners[id(store)] = owner
        self._open[id(store)] = store
        return store

    def owner_of(self, store: S) -> OwnerId:
        """Return the owner that a store was opened for."""
        return self._owners[id(store)]

    def close(self, store: S) -> None:
        """Close a store."""
        self._open.pop(id(store)).close()

    def fork(self, call: Callable[[], object]) -> Child:
        """Make a call in a forked child, which then lives until it is killed."""
        child = Child(call, self.patience)
        self._children.append(child)
        return child

    def signal(self) -> Signal:
        """Return a signal for children that are forked later."""
        self._signals.append(Signal())
        return self._signals[-1]

    def clear(self) -> None:
        """Kill the children, and close the stores that are open."""
        for child in self._children:
            child.kill()
        for signal in self._signals:
            signal.close()
        while self._open:
            self._open.popitem()[1].close()


def look(store: TaskStore, ask: Callable[[TaskView], T]) -> T:
    """Ask a store something, in a read of its own."""
    with store.read() as view:
        return ask(view)


def find(store: TaskStore, task: TaskRecord) -> TaskRecord | None:
    """Return a task as a store has it now, or None."""
    return look(store, lambda view: view.get(task.id))


def count(store: TaskStore, since: datetime | None = None) -> Counts:
    """Return the counts of a store."""
    return look(store, lambda view: view.counts(since))
