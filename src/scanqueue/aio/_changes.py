"""The asynchronous iterator over the changes of a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from scanqueue._queries import CHANGES_BATCH
from scanqueue.models import ScanTask

if TYPE_CHECKING:
    from scanqueue.aio._queue import AsyncScanQueue


class Changes(AsyncIterator[ScanTask]):
    """The cursor of one reader; a generator would end where a read of it is cancelled.

    Args:
        queue: The queue.
        cursor: The revision after which to begin.
    """

    def __init__(self, queue: AsyncScanQueue, cursor: int) -> None:
        self._queue = queue
        self._cursor = cursor
        self._batch: deque[ScanTask] = deque()
        self._is_open = True
        self._is_read = False

    async def __anext__(self) -> ScanTask:
        self._refuse_second_reader()
        if self._is_open and not self._batch:
            self._is_read = True
            try:
                self._batch.extend(
                    await self._queue.list_changes(self._cursor, limit=CHANGES_BATCH, timeout=None)
                )
            finally:
                self._is_read = False
        if not self._batch:
            self._is_open = False
            raise StopAsyncIteration
        task = self._batch.popleft()
        self._cursor = task.revision
        return task

    async def aclose(self) -> None:
        """End it, for those who close what they iterate over."""
        self._refuse_second_reader()
        self._is_open = False
        self._batch.clear()

    def _refuse_second_reader(self) -> None:
        if self._is_read:
            message = "these changes are being read already: call changes() for each reader"
            raise RuntimeError(message)
