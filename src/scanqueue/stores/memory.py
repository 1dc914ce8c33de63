"""Tasks in memory: gone with the process, and the fastest there is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

from scanqueue import _sync
from scanqueue.records import OwnerId
from scanqueue.stores._table import MemoryTable

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps the tasks of one queue in memory, for one process.

    It has no rollback: a transaction that is left by an exception keeps what it wrote. The rules
    of the queue never raise after their first write.

    Thread-safety: any thread. Transactions are serial, those that read as well.
    """

    durable: bool = False
    """Tasks end with the process."""
    shared: bool = False
    """No other process can see them."""
    progress_interval: float = 0.05
    """Seconds between two publications of the progress of one scan."""
    poll_interval: float | None = None
    """There are no other processes to look for."""

    def __init__(self) -> None:
        self.after_fork()

    def __repr__(self) -> str:
        return "MemoryStore()"

    def open(self, owner: OwnerId, first_revision: int) -> None:  # noqa: ARG002 - one owner at most
        """Begin an empty queue.

        Args:
            owner: Who uses it.
            first_revision: Where its revisions begin.
        """
        self._begin(first_revision)

    def close(self) -> None:
        """Do nothing: there is nothing to give up, and reads still answer."""

    def after_fork(self) -> None:
        """Begin anew: a lock of the parent may be held for ever, and its tasks are its own."""
        self._begin(0)

    def _begin(self, first_revision: int) -> None:
        guarded: Any = _Guarded(MemoryTable(first_revision))
        self._guarded: AbstractContextManager[MemoryTable] = guarded

    def read(self) -> AbstractContextManager[MemoryTable]:
        """Return a context in which the table stands still."""
        return self._guarded

    def write(
        self,
        *,
        sync: bool = True,  # noqa: ARG002 - there is no disk
    ) -> AbstractContextManager[MemoryTable]:
        """Return a context with the table to one's own.

        Args:
            sync: Without meaning here.
        """
        return self._guarded

    def dead_owners(self, owners: Collection[OwnerId]) -> Collection[OwnerId]:  # noqa: ARG002
        """Return none: no owner outlives the queue.

        Args:
            owners: The owners asked about.
        """
        return ()

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Do nothing: there are no other processes.

        Args:
            on_foreign_change: Never called.
        """


class _Field:
    """A method that is a field of its object.

    `with` finds what is in the field, which is written in C: Ctrl-C can come at the begin and at
    the end of a method written in Python, and so between the lock and the block that it guards.
    `ExitStack` asks the class, and calls this.

    Args:
        name: The field.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, guarded: _Guarded | None, _: type) -> Callable[..., Any]:
        if guarded is None:
            return self
        if guarded.lock.locked():  # by now it does not matter which of the two is asked for
            _sync.await_release(guarded.lock)
        field: Callable[..., Any] = getattr(guarded, self._name)
        return field

    def __call__(self, guarded: _Guarded, *arguments: object) -> object:
        return getattr(guarded, self._name)(*arguments)


class _Guarded:
    """A table, for one thread at a time: a context, the same one for every transaction.

    To make a context for each would cost three times as much.
    """

    __slots__ = ("enter", "exit", "lock")

    __enter__ = _Field("enter")
    __exit__ = _Field("exit")

    def __init__(self, table: MemoryTable) -> None:
        self.lock = _sync.Lock()
        """Held from entering to leaving."""
        # Acquires the lock, and returns the table.
        self.enter = map({True: table}.__getitem__, iter(self.lock.acquire, None)).__next__
        self.exit = self.lock.__exit__
