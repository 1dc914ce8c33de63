"""The queue for asyncio: every call of a `ScanQueueService` as a coroutine.

Imported by its own name: `import scanqueue` does not load asyncio.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from sortedcontainers import SortedDict

from scanqueue import _forks, _sync
from scanqueue._clock import SystemClock
from scanqueue._queries import CHANGES_BATCH
from scanqueue._scope import WHOLE_LIBRARY
from scanqueue._service import SHORTEST_RETENTION, ScanQueueService
from scanqueue._validate import (
    check_bool,
    check_instance,
    check_int,
    check_optional_int,
    check_task_id,
    check_timeout,
)
from scanqueue.errors import QueueClosedError, TaskNotFoundError
from scanqueue.models import ScanTask, TaskPriority, WhenRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from scanqueue._core import Core
    from scanqueue.models import LibraryId, QueueStats, ScanScope, Submission

__all__ = ["AsyncScanQueue"]

P = ParamSpec("P")
T = TypeVar("T")

EXECUTOR_THREADS = 4
"""How many of the short calls are at work at a time."""

LINGER = 1.0
"""Real seconds for which the listener stays when nobody waits: most come back at once."""

LONG_AGO = SHORTEST_RETENTION / 2
"""What ended since a look that is not so long ago cannot have been pruned yet."""


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

    Short calls run on an executor of four threads of its own. Those that wait for the queue
    (`wait`, `changes`, `list_changes` with a timeout) cost no thread each: one listener serves
    them all. The properties, and `changes()` without a revision, ask the store on the spot.

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
        self._threads = _Threads(service, self._core)

    @property
    def service(self) -> ScanQueueService:
        """The wrapped service."""
        return self._service

    # --- starting and ending ---

    async def start(self) -> None:
        """Start the workers; see `ScanQueueService.start`."""
        await self._threads.call(self._service.start)

    async def shutdown(
        self,
        timeout: float | None = 8.0,  # noqa: ASYNC109 - the service's, by its clock
        *,
        interrupt_running: bool = False,
    ) -> bool:
        """Shut the queue down; see `ScanQueueService.shutdown`.

        It goes on when the coroutine is cancelled. Whoever waits in another coroutine is answered.
        """

        def shut_down() -> bool:
            is_over = self._service.shutdown(timeout, interrupt_running=interrupt_running)
            self._threads.release()
            return is_over

        return await self._threads.call_apart("shutdown", shut_down)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down, with the usual timeout; a forked child's copy is left alone."""
        if not self._core.forked:
            await self.shutdown()

    @property
    def is_started(self) -> bool:
        """Whether `start` was called."""
        return self._service.is_started

    @property
    def is_shut_down(self) -> bool:
        """Whether `shutdown` was called, be it that scans are still running."""
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
        return await self._threads.call(
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
        return await self._threads.call(
            self._service.submit, library_id, priority, scope=scope, when_running=when_running
        )

    async def cancel_task(self, task_id: UUID) -> ScanTask:
        """Cancel a task, at once; see `ScanQueueService.cancel_task`."""
        return await self._threads.call(self._service.cancel_task, task_id)

    async def cancel_library(self, library_id: LibraryId) -> list[ScanTask]:
        """Cancel the active tasks of a library; see `ScanQueueService.cancel_library`."""
        return await self._threads.call(self._service.cancel_library, library_id)

    # --- running ---

    async def pause(self) -> None:
        """Let no new scan start in the whole queue; see `ScanQueueService.pause`."""
        await self._threads.call(self._service.pause)

    async def resume(self) -> None:
        """Let scans start again; see `ScanQueueService.resume`."""
        await self._threads.call(self._service.resume)

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
        after = check_int("after", after)
        limit = check_optional_int("limit", limit)
        if limit == 0:
            return []
        return await self._threads.listener.answer(_Reader(self._core, timeout, after, limit))

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
        cursor = self.revision if after is None else check_int("after", after)
        return _Changes(self, cursor)

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
        return await self._threads.listener.answer(
            _TaskWaiter(self._core, timeout, task_id, quiet=quiet)
        )


class _Changes(AsyncIterator[ScanTask]):
    """The cursor of one reader; a generator would end where a read of it is cancelled."""

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


class _Reply(Generic[T]):
    """What a thread answers to a coroutine, which makes this and then awaits `get`.

    A thread gives the answer, or the error, and then calls `_hand_over`. What was given stands
    here and not in the future: a future refuses some errors, and complains about others when
    nobody is left to hear of them.
    """

    def __init__(self, core: Core) -> None:
        self.scan = core.scans.current()
        """The scan that the caller is inside of, if it runs an event loop there."""
        self.loop = asyncio.get_running_loop()
        self.arrival: asyncio.Future[None] = self.loop.create_future()
        self._value: T
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    def give(self, value: T) -> None:
        """Set the answer."""
        self._value = value

    def fail(self, error: BaseException) -> None:
        """Set the error; several replies may share one."""
        self._error = error
        self._traceback = error.__traceback__

    async def get(self) -> T:
        """Wait for the answer and return it, or raise the error."""
        await self.arrival
        error, traceback = self._error, self._traceback
        if error is None:
            return self._value
        self._error = self._traceback = None  # no circles: a traceback knows the frames it passed
        try:
            raise error.with_traceback(traceback)
        finally:
            del error, traceback


def _hand_over(replies: Iterable[_Reply[Any]]) -> None:
    """Wake the coroutines whose replies were given; each event loop once."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for reply in replies:
        by_loop[reply.loop].append(reply.arrival)
    for loop, arrivals in by_loop.items():
        with suppress(RuntimeError):  # it is closed, and nobody waits there any more
            loop.call_soon_threadsafe(_arrive, arrivals)


def _arrive(arrivals: Iterable[asyncio.Future[None]]) -> None:
    for arrival in arrivals:
        if not arrival.done():
            arrival.set_result(None)


class _Call(_Reply[T]):
    """A call of the service, to be made by a thread as if the caller made it."""

    def __init__(self, core: Core, function: Callable[[], T]) -> None:
        super().__init__(core)
        self._core = core
        self._function = function
        self._context = copy_context()

    def run(self) -> None:
        """Make the call, unless nobody waits for it any more."""
        if self.arrival.cancelled():
            return
        scans = self._core.scans
        scans.enter(self.scan)
        try:
            self.give(self._context.run(self._function))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's
            self.fail(error)
        finally:
            scans.enter(None)
        _hand_over([self])


class _Threads:
    """The threads of one `AsyncScanQueue`: its executor, those of long calls, and the listener.

    Args:
        service: The queue.
        core: Its core.
    """

    def __init__(self, service: ScanQueueService, core: Core) -> None:
        self._service = service
        self._core = core
        self.after_fork()
        _forks.register(self)

    def after_fork(self) -> None:
        """Begin anew: the threads of the parent are not there, and may hold the locks."""
        self.listener = _Listener(self._service, self._core)
        self._executor: ThreadPoolExecutor | None = None
        self._lock = _sync.Lock()
        """Protects `_executor`; held for moments."""

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a short call made by the executor.

        Args:
            function: What to call.
            args: Its arguments.
            kwargs: Its arguments by name.
        """
        call = _Call(self._core, partial(function, *args, **kwargs))
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(
                    max_workers=EXECUTOR_THREADS, thread_name_prefix="scanqueue-aio"
                )
            self._executor.submit(call.run)
        return await call.get()

    async def call_apart(self, name: str, function: Callable[[], T]) -> T:
        """Have a call that can take long made by a thread of its own, a daemon as workers are.

        Args:
            name: What to call the thread.
            function: What to call.
        """
        call = _Call(self._core, function)
        _sync.Thread(target=call.run, name=f"scanqueue-aio-{name}", daemon=True).start()
        return await call.get()

    def release(self) -> None:
        """Let those go that have nothing left to do; a later call gets new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)
        self.listener.call()  # it lingers no more


class _Waiter(_Reply[T], ABC):
    """A reply that the listener gives when the queue has one, or when a deadline comes."""

    _serials = count()

    def __init__(self, core: Core, timeout: float | None) -> None:
        super().__init__(core)
        self.timeout = timeout
        deadline = core.deadline(check_timeout(timeout))
        self.deadline = None if deadline is None else (deadline, next(self._serials))
        """When to give up, by the clock of the service, and a number that makes it unique."""

    @abstractmethod
    def time_out(self) -> None:
        """Give the answer of one whose deadline has come."""


class _TaskWaiter(_Waiter[ScanTask]):
    """Waits for the end of a task."""

    def __init__(self, core: Core, timeout: float | None, task_id: UUID, *, quiet: bool) -> None:
        super().__init__(core, timeout)
        self.task_id = task_id
        self.quiet = quiet

    def time_out(self) -> None:
        message = f"task {self.task_id} has not ended within {self.timeout} seconds"
        self.fail(TimeoutError(message))


class _Reader(_Waiter[list[ScanTask]]):
    """Waits for the first change after a revision."""

    def __init__(self, core: Core, timeout: float | None, after: int, limit: int | None) -> None:
        super().__init__(core, timeout)
        self.after = after
        self.limit = limit

    def time_out(self) -> None:
        self.give([])


class _Listener:
    """One thread that follows the changes of the queue for all who wait.

    It is a reader like any other: it reads the number of the news first, looks second, waits
    third. Whoever wants to wait is let in between the first and the second, so no wake-up is
    lost. It looks at a task when somebody new waits for it, when it has changed, and when the
    queue closes; not at others.

    The thread starts when somebody comes, and ends when nobody has waited for a moment. It is a
    daemon: a thread that waits would otherwise keep the interpreter from exiting.

    Args:
        service: The queue.
        core: Its core.
    """

    def __init__(self, service: ScanQueueService, core: Core) -> None:
        self._service = service
        self._core = core

        self._lock = _sync.Lock()
        """Protects the next five; held for moments."""
        self._arrivals = _sync.Condition(self._lock)
        """The thread lingers here."""
        self._thread: _sync.Thread | None = None
        self._is_lingering = False
        self._is_called = False
        """It was called, and has not come to see why."""
        self._newcomers: list[_Waiter[Any]] = []
        """Who is to be let in."""
        self._leavers: deque[_Waiter[Any]] = deque()
        """Who does not wait any more; needs no lock."""

        # Only the thread touches what follows.
        self._by_task: dict[UUID, set[_TaskWaiter]] = {}
        self._readers: set[_Reader] = set()
        self._deadlines: SortedDict[tuple[float, int], _Waiter[Any]] = SortedDict()
        self._stopping: set[UUID] = set()
        """Of `_by_task`, what has ended and holds its slot: once that is free it may be pruned."""
        self._answered: list[_Waiter[Any]] = []
        """Who was answered, and is not told yet."""
        self._cursor: int | None = None
        """All changes up to here are known; None when nobody waits."""
        self._looked_at: datetime | None = None
        self._phase = (False, False)
        """Whether the queue was closed, and finished, at the last look."""

    # --- for coroutines ---

    async def answer(self, waiter: _Waiter[T]) -> T:
        """Wait for the answer of the queue, and return it or raise it.

        Args:
            waiter: Who waits, and for what.
        """
        with self._lock:
            if self._thread is None:
                thread = _sync.Thread(target=self._run, name="scanqueue-aio-listener", daemon=True)
                thread.start()
                self._thread = thread
            self._newcomers.append(waiter)
        self.call()
        try:
            return await waiter.get()
        except asyncio.CancelledError:
            self._leavers.append(waiter)
            self.call()
            raise
        except GeneratorExit:
            # Abandoned, with its loop. It may be the garbage collector that came here, at any
            # moment, also while its thread holds a lock: so none is taken.
            self._leavers.append(waiter)
            raise

    def call(self) -> None:
        """Have the thread see who has come and who has left."""
        with self._lock:
            if self._is_called:
                return
            self._is_called = True
            if self._is_lingering:
                self._arrivals.notify()
                return
        self._core.wake()

    # --- the thread ---

    def _run(self) -> None:
        core = self._core
        hub = core.hub
        while True:
            seen = hub.news_seq
            try:
                deadline = self._look(self._let_in())
                if self._by_task or self._readers:
                    hub.wait_for_news(core.clock, seen, deadline)
            except BaseException as error:  # noqa: BLE001 - the store's or the clock's: for all
                self._fail_all(error)
            if not (self._by_task or self._readers or self._linger()):
                return

    def _linger(self) -> bool:
        """Wait a moment for somebody to come; return whether somebody has."""
        self._cursor = None
        clock = SystemClock()
        deadline = clock.monotonic() + LINGER
        with self._lock:
            self._is_lingering = True
            while not (self._newcomers or self._core.hub.finished or clock.monotonic() >= deadline):
                self._is_called = False
                clock.wait_until(self._arrivals, deadline)
            self._is_lingering = False
            if not self._newcomers:
                self._thread = None
            return self._thread is not None

    def _let_in(self) -> list[_Waiter[Any]]:
        """Let newcomers in and leavers out; return the newcomers."""
        with self._lock:
            newcomers, self._newcomers = self._newcomers, []
            self._is_called = False
        for waiter in newcomers:
            if isinstance(waiter, _TaskWaiter):
                self._by_task.setdefault(waiter.task_id, set()).add(waiter)
            else:
                assert isinstance(waiter, _Reader)
                self._readers.add(waiter)
            if waiter.deadline is not None:
                self._deadlines[waiter.deadline] = waiter
        while self._leavers:
            self._let_out(self._leavers.popleft())
        return newcomers

    def _let_out(self, waiter: _Waiter[Any]) -> None:
        """Forget somebody, who may be forgotten already."""
        if isinstance(waiter, _Reader):
            self._readers.discard(waiter)
        else:
            assert isinstance(waiter, _TaskWaiter)
            others = self._by_task.get(waiter.task_id, set())
            others.discard(waiter)
            if not others:
                self._by_task.pop(waiter.task_id, None)
                self._stopping.discard(waiter.task_id)
        if waiter.deadline is not None:
            self._deadlines.pop(waiter.deadline, None)

    def _look(self, newcomers: list[_Waiter[Any]]) -> float | None:
        """Answer whom the news concerns; return when to look again even if there are none."""
        core = self._core
        # Before the store is asked, so that it holds in the answer.
        phase = core.hub.closed, core.hub.finished
        cursor = self._cursor
        changed = self._changed_tasks()
        now = core.now()
        # A task that was pruned since the last look is in no list of changes. That takes longer
        # than the retention, unless it was ended before and only now gave up its slot.
        concerns_all = (
            phase != self._phase
            or self._looked_at is None
            or not timedelta(0) <= now - self._looked_at < LONG_AGO
        )
        self._phase, self._looked_at = phase, now
        try:
            if concerns_all:
                task_ids = set(self._by_task)
            else:
                task_ids = changed & self._by_task.keys() | self._stopping
                task_ids.update(w.task_id for w in newcomers if isinstance(w, _TaskWaiter))
            for task_id in task_ids:
                self._look_at_task(task_id)
            self._refuse_own_scans(newcomers)
            readers = self._readers if concerns_all or self._cursor != cursor else newcomers
            self._look_for_readers([w for w in readers if isinstance(w, _Reader)])
            return self._time_out()
        finally:
            self._tell()

    def _changed_tasks(self) -> set[UUID]:
        """Move the cursor to the latest change; return the tasks that were passed, or more."""
        changed: set[UUID] = set()
        while True:
            with self._core.read() as view:
                revision = view.revision()
                tasks = () if self._cursor is None else view.changed(self._cursor, CHANGES_BATCH)
            changed.update(task.id for task in tasks)
            if len(tasks) < CHANGES_BATCH:
                self._cursor = revision
                return changed
            self._cursor = tasks[-1].revision

    def _look_at_task(self, task_id: UUID) -> None:
        waiters = list(self._by_task.get(task_id, ()))
        try:
            task = self._core.settled(task_id, quiet=False)
        except (TaskNotFoundError, QueueClosedError) as error:
            for waiter in waiters:
                waiter.fail(error)
                self._dismiss(waiter)
            return
        if task is None:
            return
        snapshot = task.snapshot()
        for waiter in waiters:
            if waiter.quiet and task.holds_slot:
                self._stopping.add(task_id)
            else:
                waiter.give(snapshot)
                self._dismiss(waiter)

    def _refuse_own_scans(self, newcomers: list[_Waiter[Any]]) -> None:
        """Fail those who would wait for themselves: the service asks the thread it is called on."""
        scans = self._core.scans
        for waiter in newcomers:
            if waiter.scan is None or not isinstance(waiter, _TaskWaiter):
                continue
            if waiter in self._by_task.get(waiter.task_id, ()):
                scans.enter(waiter.scan)
                try:
                    self._core.refuse_to_wait_for_itself(waiter.task_id)
                except RuntimeError as error:
                    waiter.fail(error)
                    self._dismiss(waiter)
                finally:
                    scans.enter(None)

    def _look_for_readers(self, readers: list[_Reader]) -> None:
        is_finished = self._core.hub.finished  # before the store is asked
        found: dict[tuple[int, int | None], list[ScanTask]] = {}
        for reader in readers:
            place = reader.after, reader.limit  # most are at the same one
            if place not in found:
                found[place] = self._service.list_changes(reader.after, limit=reader.limit)
            if found[place] or is_finished:
                reader.give(list(found[place]))
                self._dismiss(reader)

    def _time_out(self) -> float | None:
        """Answer those whose deadline has come; return the next one."""
        while self._deadlines:
            (deadline, _), waiter = self._deadlines.peekitem(0)
            if not self._core.is_past(deadline):
                return deadline
            waiter.time_out()
            self._dismiss(waiter)
        return None

    def _fail_all(self, error: BaseException) -> None:
        """Answer everybody with an error, as each would have met it."""
        everybody: list[_Waiter[Any]] = [*self._readers, *chain(*self._by_task.values())]
        for waiter in everybody:
            waiter.fail(error)
            self._dismiss(waiter)
        self._tell()

    def _dismiss(self, waiter: _Waiter[Any]) -> None:
        """Note that somebody was answered."""
        self._let_out(waiter)
        self._answered.append(waiter)

    def _tell(self) -> None:
        """Wake those who were answered."""
        answered, self._answered = self._answered, []
        _hand_over(answered)
