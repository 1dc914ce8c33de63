"""A store in which something happens right after a read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scanqueue import MemoryStore
from scanqueue.stores._table import MemoryTable


class MeddlingStore(MemoryStore):
    """Calls what a test wants, each on the thread that has just read, before it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.after_reads: deque[Callable[[], object]] = deque()
        """What to call after the next read, the one after that, and so on."""

    @contextmanager
    def read(self) -> Iterator[MemoryTable]:
        """Read, and then let it happen."""
        with super().read() as table:
            yield table
        if self.after_reads:
            self.after_reads.popleft()()
