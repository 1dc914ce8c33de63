"""A shared store in a file, in the plainest way: who writes has a lock of the system."""

from __future__ import annotations

import fcntl
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from collections.abc import Collection as Some
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from scanqueue.stores._table import MemoryTable


class SharedFileStore:
    """A table in a file, read and written as a whole; a write waits for as long as it takes.

    Args:
        path: The file; locks are kept beside it.
    """

    durable = True
    shared = True
    progress_interval = 0.5
    poll_interval = 0.5

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin()

    def _begin(self) -> None:
        self._writing = threading.Lock()
        self._files: set[int] = set()
        self._owner = ""

    def after_fork(self) -> None:
        """Close what was inherited: the lock of a write belongs to the parent's file, too."""
        for file in self._files:
            os.close(file)
        self._begin()

    def _lock(self, name: str) -> int:
        """Open a file, and wait for its lock."""
        file = os.open(name, os.O_CREAT | os.O_RDWR)
        self._files.add(file)
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _unlock(self, file: int) -> None:
        self._files.discard(file)
        os.close(file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from writing."""
        with self._writing:
            file = self._lock(f"{self.path}.lock")
            try:
                yield
            finally:
                self._unlock(file)

    def open(self, owner: str, first_revision: int) -> None:
        """Give a sign of life, and begin the queue if it is new."""
        self._owner = owner
        self._lock(f"{self.path}.{owner}")
        with self.locked():
            if not self.path.exists():
                self._save(MemoryTable(first_revision))

    def close(self) -> None:
        """Give up the sign of life; reads still answer."""
        while self._files:
            self._unlock(next(iter(self._files)))

    def _load(self) -> MemoryTable:
        table: MemoryTable = pickle.loads(self.path.read_bytes())  # noqa: S301 - it is a test's own
        return table

    def _save(self, table: MemoryTable) -> None:
        draft = Path(f"{self.path}.{uuid4()}")
        draft.write_bytes(pickle.dumps(table))
        draft.replace(self.path)

    @contextmanager
    def read(self) -> Iterator[MemoryTable]:
        """Give the latest commit."""
        yield self._load()

    @contextmanager
    def write(self, *, sync: bool = True) -> Iterator[MemoryTable]:
        """Give a table that takes the place of the file."""
        with self.locked():
            table = self._load()
            yield table
            self._save(table)

    def dead_owners(self, owners: Some[str]) -> Some[str]:
        """Return those whose lock can be had."""
        return [owner for owner in owners if owner != self._owner and self._is_dead(owner)]

    def _is_dead(self, owner: str) -> bool:
        file = os.open(f"{self.path}.{owner}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(file)

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Do nothing: it is polled."""
