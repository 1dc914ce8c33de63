"""The asynchronous iterator over the changes of a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from scanqueue._queries import CHANGES_BATCH
from scanqueue.aio._listener import Reader
from scanqueue.models import ScanTask

if TYPE_CHECKING:
    from scanqueue._core import Core
    from scanqueue.aio._queue import AsyncScanQueue
    from scanqueue.aio._threads import Threads


class Changes(AsyncIterator[ScanTask]):
    """The cursor of one reader; a generator would end where a read of it is cancelled.

    Args:
        queue: The queue.
        threads: Those of the queue.
        core: Its core.
        cursor: The revision after which to begin.
    """

    def __init__(self, queue: AsyncScanQueue, threads: Threads, core: Core, cursor: int) -> None:
        self._queue = queue
        self._threads = threads
        self._core = core
        self._seen = 0
        """`changes_seq` as it was before the batch was fetched."""
        self._cursor = cursor
        self._batch: deque[ScanTask] = deque()
        self._is_open = True
        self._is_read = False

    async def __anext__(self) -> ScanTask:
        self._refuse_second_reader()
        self._is_read = True
        try:
            task = await self._next()
        finally:
            self._is_read = False
        if task is None:
            self._is_open = False
            raise StopAsyncIteration
        return task

    async def _next(self) -> ScanTask | None:
        while self._is_open:
            if not self._batch:
                reader = Reader(self._core, None, self._cursor, CHANGES_BATCH)
                fetched = await self._threads.listener.answer(reader)
                self._batch.extend(fetched)
                self._seen = reader.seen
            if not self._batch:
                break
            # What has changed since it was fetched comes later, in its latest state. It is taken
            # out last, since a read that is cancelled must lose nothing.
            is_unchanged = self._core.hub.changes_seq == self._seen
            is_latest = is_unchanged or await self._is_latest(self._batch[0])
            task = self._batch.popleft()
            self._cursor = task.revision
            if is_latest:
                return task
        return None

    async def _is_latest(self, task: ScanTask) -> bool:
        found = await self._queue.get_task(task.id)
        return found is not None and found.revision == task.revision

    async def aclose(self) -> None:
        """End it, for those who close what they iterate over."""
        self._refuse_second_reader()
        self._is_open = False
        self._batch.clear()

    def _refuse_second_reader(self) -> None:
        if self._is_read:
            message = "these changes are being read already: call changes() for each reader"
            raise RuntimeError(message)
