"""The public class of `scanqueue.aio`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self
from uuid import UUID

from scanqueue._scope import WHOLE_LIBRARY
from scanqueue._service import ScanQueueService
from scanqueue._validate import (
    check_bool,
    check_cursor,
    check_instance,
    check_limit,
    check_task_id,
    check_timeout,
)
from scanqueue.aio._changes import Changes
from scanqueue.aio._listener import Reader, TaskWaiter
from scanqueue.aio._threads import Threads
from scanqueue.models import (
    LibraryId,
    QueueStats,
    ScanScope,
    ScanTask,
    Submission,
    TaskPriority,
    WhenRunning,
)

__all__ = ["AsyncScanQueue"]


class AsyncScanQueue:
    """A `ScanQueueService` for asyncio: the same calls, as coroutines that never block the loop.

    As an asynchronous context manager it starts the service when entered and shuts it down when
    left.

    >>> import asyncio
    >>> from scanqueue import ScanQueueService, TaskResult
    >>> from scanqueue.aio import AsyncScanQueue
    >>> def scan(library_id, context):
    ...     return TaskResult(added_count=2)
    >>> async def main():
    ...     async with AsyncScanQueue(ScanQueueService(scan)) as queue:
    ...         return await queue.wait(await queue.submit_task("music"))
    >>> asyncio.run(main()).result.added_count
    2

    What a call of the service raises, the coroutine raises. Cancelling a coroutine cancels the
    waiting for the answer, never a scan: a call that a thread is at work on is carried out
    (`run_pending` and `shutdown` too), one that is still queued is not. Timeouts are those of the
    service, by its clock.

    Short calls run on up to four threads of its own, one of which is kept for those that only look,
    so that they need not queue behind others that wait for a busy store. Those that wait for the
    queue (`wait`, `changes`, `list_changes` with a timeout) cost no thread each: one listener
    serves them all.
    The properties, and `changes()` without a revision, ask the store on the spot. No thread keeps
    the interpreter from exiting, not even one that hangs in the store.

    Thread-safety: every call may come from any thread, and from several event loops.

    Args:
        service: The queue. It may be used directly as well; make one `AsyncScanQueue` of it.

    Raises:
        TypeError: `service` is not a `ScanQueueService`.
    """

    def __init__(self, service: ScanQueueService) -> None:
        check_instance("service", service, ScanQueueService)
        self._service = service
        self._core = service._core  # noqa: SLF001 - the other shell of the same core
        self._threads = Threads(service, self._core)

    @property
    def service(self) -> ScanQueueService:
        """The wrapped service."""
        return self._service

    # --- starting and ending ---

    async def start(self) -> None:
        """Start the workers; see `ScanQueueService.start`."""
        await self._threads.write(self._service.start)

    async def shutdown(
        self,
        timeout: float | None = 8.0,  # noqa: ASYNC109 - the service's, by its clock
        *,
        interrupt_running: bool = False,
    ) -> bool:
        """Shut the queue down; see `ScanQueueService.shutdown`.

        It goes on when the coroutine is cancelled. Whoever waits in another coroutine is answered.
        """
        return await self._threads.call_apart(
            "shutdown",
            partial(self._service.shutdown, timeout, interrupt_running=interrupt_running),
        )

    async def __aenter__(self) -> Self:
        """Start; where that is cancelled, leave again."""
        has_left = False

        def start() -> None:
            self._service.start()
            if has_left:
                leave()

        def leave() -> None:
            leaving = partial(self._service.shutdown, interrupt_running=True)
            self._threads.begin("shutdown", leaving)

        try:
            await self._threads.write(start)
        except asyncio.CancelledError:
            has_left = True  # first: either this thread sees that it was started, or that one this
            if self._service.is_started:
                leave()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down, as the service does when it is left."""
        if not self._core.forked:  # pragma: no branch - but in forked children
            await self.shutdown(interrupt_running=exc_type is not None)

    @property
    def is_started(self) -> bool:
        """Whether `start` was called."""
        return self._service.is_started

    @property
    def is_shut_down(self) -> bool:
        """Whether `shutdown` was called, scans may still be running."""
        return self._service.is_shut_down

    # --- submitting and cancelling ---

    async def submit_task(
        self,
        library_id: LibraryId,
        priority: TaskPriority = TaskPriority.NORMAL,
        *,
        scope: ScanScope = WHOLE_LIBRARY,
        when_running: WhenRunning = WhenRunning.JOIN,
    ) -> UUID:
        """Ask for a scan, and return its task's id; see `ScanQueueService.submit_task`."""
        return await self._threads.write(
            self._service.submit_task, library_id, priority, scope=scope, when_running=when_running
        )

    async def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority = TaskPriority.NORMAL,
        *,
        scope: ScanScope = WHOLE_LIBRARY,
        when_running: WhenRunning = WhenRunning.JOIN,
    ) -> Submission:
        """Ask for a scan, and say what happened; see `ScanQueueService.submit`."""
        return await self._threads.write(
            self._service.submit, library_id, priority, scope=scope, when_running=when_running
        )

    async def cancel_task(self, task_id: UUID) -> ScanTask:
        """Cancel a task, at once; see `ScanQueueService.cancel_task`."""
        return await self._threads.write(self._service.cancel_task, task_id)

    async def cancel_library(self, library_id: LibraryId) -> list[ScanTask]:
        """Cancel the active tasks of a library; see `ScanQueueService.cancel_library`."""
        return await self._threads.write(self._service.cancel_library, library_id)

    # --- running ---

    async def pause(self) -> None:
        """Let no new scan start in the whole queue; see `ScanQueueService.pause`."""
        await self._threads.write(self._service.pause)

    async def resume(self) -> None:
        """Let scans start again; see `ScanQueueService.resume`."""
        await self._threads.write(self._service.resume)

    @property
    def is_paused(self) -> bool:
        """Whether new scans are held back; asks the store on the spot."""
        return self._service.is_paused

    async def run_pending(self, limit: int | None = None) -> int:
        """Run tasks on a thread of this call's own; see `ScanQueueService.run_pending`.

        It goes on when the coroutine is cancelled; cancel the tasks to end it.
        """
        return await self._threads.call_apart(
            "run-pending", partial(self._service.run_pending, limit)
        )

    # --- looking ---

    async def get_task(self, task_id: UUID) -> ScanTask | None:
        """Return the task as it is now, or None; see `ScanQueueService.get_task`."""
        return await self._threads.call(self._service.get_task, task_id)

    async def get_library_task(self, library_id: LibraryId) -> ScanTask | None:
        """Return the active task of a library; see `ScanQueueService.get_library_task`."""
        return await self._threads.call(self._service.get_library_task, library_id)

    async def list_pending(self, limit: int | None = None) -> list[ScanTask]:
        """Return the pending tasks in order of claim; see `ScanQueueService.list_pending`."""
        return await self._threads.call(self._service.list_pending, limit)

    async def list_running(self) -> list[ScanTask]:
        """Return the running tasks, oldest start first; see `ScanQueueService.list_running`."""
        return await self._threads.call(self._service.list_running)

    async def list_history(
        self,
        limit: int | None = None,
        *,
        since: datetime | None = None,
        library_id: LibraryId | None = None,
    ) -> list[ScanTask]:
        """Return ended tasks, latest end first; see `ScanQueueService.list_history`."""
        return await self._threads.call(
            self._service.list_history, limit, since=since, library_id=library_id
        )

    async def list_tasks(self, limit: int | None = None) -> list[ScanTask]:
        """Return running tasks, pending ones, and history; see `ScanQueueService.list_tasks`."""
        return await self._threads.call(self._service.list_tasks, limit)

    async def pending_count(self) -> int:
        """Return how many tasks are pending; see `ScanQueueService.pending_count`."""
        return await self._threads.call(self._service.pending_count)

    async def stats(self) -> QueueStats:
        """Return the queue in numbers; see `ScanQueueService.stats`."""
        return await self._threads.call(self._service.stats)

    # --- following along ---

    @property
    def revision(self) -> int:
        """The revision of the latest change; asks the store on the spot."""
        return self._service.revision

    async def list_changes(
        self,
        after: int,
        *,
        limit: int | None = None,
        timeout: float | None = 0.0,  # noqa: ASYNC109 - the service's, by its clock
    ) -> list[ScanTask]:
        """Return the tasks changed since a revision; see `ScanQueueService.list_changes`.

        Args:
            after: The revision that the caller has seen.
            limit: Return at most this many; None: all.
            timeout: How long to wait for the first one, in seconds by the clock of the service;
                None: until there is one.
        """
        if check_timeout(timeout) == 0.0:
            return await self._threads.call(self._service.list_changes, after, limit=limit)
        after = check_cursor(after)
        limit = check_limit(limit)
        if limit == 0:
            return []
        return await self._threads.listener.answer(Reader(self._core, timeout, after, limit))

    def changes(self, after: int | None = None) -> AsyncIterator[ScanTask]:
        """Iterate over every task that changes; see `ScanQueueService.changes`.

        Between two items the iterator holds nothing, so leaving a loop early needs no closing.
        A read of it that is cancelled, by a timeout say, loses nothing: read on, or reconnect
        with the revision of the last task that was seen.

        Args:
            after: The revision of the last task that the reader saw, or `revision` as it was
                before a listing. None: begin at the moment of the call, and ask the store for it
                on the spot.

        Raises:
            TypeError: `after` is not an int.
            ValueError: `after` is negative.
            StoreError: The store failed.
        """
        cursor = self.revision if after is None else check_cursor(after)
        return Changes(self, self._threads, self._core, cursor)

    async def wait(
        self,
        task_id: UUID,
        timeout: float | None = None,  # noqa: ASYNC109 - the service's, by its clock
        *,
        quiet: bool = False,
    ) -> ScanTask:
        """Wait until a task has ended, and return it; see `ScanQueueService.wait`.

        Thousands may wait: one thread listens for them all, and looks only at tasks that changed.

        Args:
            task_id: The task.
            timeout: How long to wait, in seconds by the clock of the service; None: for as long
                as it takes.
            quiet: Whether to wait until its scanner has returned, too.
        """
        check_task_id(task_id)
        check_bool("quiet", quiet)
        waiter = TaskWaiter(self._core, timeout, task_id, quiet=quiet)
        if self._core.scans.current() is not None:
            with suppress(TimeoutError):  # the service refuses a scan that would wait for itself
                return await self._threads.call(self._service.wait, task_id, 0.0, quiet=quiet)
        return await self._threads.listener.answer(waiter)
