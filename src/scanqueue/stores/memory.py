"""Tasks in memory: gone with the process, and the fastest there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue.stores._table import MemoryTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from scanqueue.records import OwnerId

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps the tasks of one queue in memory, for one process.

    It has no rollback: a transaction that is left by an exception keeps what it wrote. The rules
    of the queue never raise after their first write.

    Thread-safety: one lock guards the table, held from entering `read()` or `write()` to leaving.
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
        self._table = MemoryTable(first_revision)

    def close(self) -> None:
        """Do nothing: there is nothing to give up, and reads still answer."""

    def after_fork(self) -> None:
        """Begin anew: a lock of the parent may be held for ever, and its tasks are its own."""
        self._lock = _sync.Lock()
        self._table = MemoryTable(0)

    # A store that is its own context manager costs a third of one that makes an object each time.

    def read(self) -> MemoryStore:
        """Return a context in which the table stands still."""
        return self

    def write(self, *, sync: bool = True) -> MemoryStore:  # noqa: ARG002 - there is no disk
        """Return a context with the table to one's own.

        Args:
            sync: Without meaning here.
        """
        return self

    def __enter__(self) -> MemoryTable:
        if not self._lock.acquire(False):  # by name it would cost twice as much
            _sync.barge(self._lock)
        return self._table

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

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
