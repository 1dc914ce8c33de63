"""A store that keeps every promise in the plainest way, for others to break one each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from collections.abc import Collection as Some
from contextlib import contextmanager

from scanqueue.stores._table import MemoryTable


class PlainStore:
    """A table in memory, behind a lock.

    Thread-safety: one lock guards the table, held for as long as a transaction lasts.
    """

    durable = False
    shared = False
    progress_interval = 0.05
    poll_interval: float | None = None

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew."""
        self._lock = threading.Lock()
        self._table = MemoryTable(0)

    def open(self, owner: str, first_revision: int) -> None:
        """Begin an empty queue."""
        self._table = MemoryTable(first_revision)

    def close(self) -> None:
        """Do nothing."""

    @contextmanager
    def read(self) -> Iterator[MemoryTable]:
        """Give the table to one reader."""
        with self._lock:
            yield self._table

    @contextmanager
    def write(self, *, sync: bool = True) -> Iterator[MemoryTable]:
        """Give the table to one writer."""
        with self._lock:
            yield self._table

    def dead_owners(self, owners: Some[str]) -> Some[str]:
        """Return none."""
        return ()

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Do nothing."""
