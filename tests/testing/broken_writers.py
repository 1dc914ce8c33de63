"""Shared stores in a file that each break one promise: of processes that write."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.testing.broken import Collection
from tests.testing.shared_file import SharedFileStore

broken_writers: Collection[type[SharedFileStore]] = Collection()
breaks = broken_writers.breaks


@breaks("writes-of-processes-are-serial")
class LocksInItsProcess(SharedFileStore):
    """Writes are serial where they share this dict, and this dict is one process's."""

    locks: ClassVar[dict[Path, threading.Lock]] = {}

    def after_fork(self) -> None:
        super().after_fork()
        self.locks.clear()

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self.locks.setdefault(self.path, threading.Lock()):
            yield


@breaks("does-not-hang-after-fork", "works-after-fork")
class KeepsTheLockOfAThread(SharedFileStore):
    """In a child, it waits for a thread of the parent."""

    def after_fork(self) -> None:
        for file in self._files:
            os.close(file)
        self._files.clear()
