"""The queue, as its users see it: arguments are checked here, and snapshots made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

from scanqueue import _forks, _requests
from scanqueue._clock import SystemClock
from scanqueue._core import Core
from scanqueue._queries import Queries, snapshots
from scanqueue._runner import as_function
from scanqueue._scope import WHOLE_LIBRARY
from scanqueue._settings import Settings
from scanqueue._shutdown import close_at_exit, let_go, shut_down
from scanqueue._validate import (
    check_bool,
    check_duration,
    check_int,
    check_library_id,
    check_limit,
    check_optional_int,
    check_part,
    check_task_id,
    check_timeout,
    wrong_type,
)
from scanqueue._workers import Workers, run_here
from scanqueue.models import (
    LibraryId,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskPriority,
    TaskResult,
    WhenRunning,
)
from scanqueue.protocols import Clock, ScanContext, Scanner, TaskStore
from scanqueue.records import TaskRecord
from scanqueue.stores.memory import MemoryStore

__all__ = ["ScanQueueService"]

SHORTEST_RETENTION = timedelta(seconds=60)
"""An ended task is kept at least so long, so that whoever waits for it finds it."""


class ScanQueueService(Queries):
    """A queue of scans: submissions return at once, scans run on background threads.

    Making one starts no thread and opens no file; tasks wait until `start`. As a context manager
    it starts when entered and shuts down when left (with `interrupt_running` if by an exception).

    >>> from scanqueue import ScanQueueService, TaskResult
    >>> def scan(library_id, context):
    ...     return TaskResult(added_count=len(list(context.track(["a.flac", "b.flac"]))))
    >>> with ScanQueueService(scan) as queue:
    ...     task = queue.wait(queue.submit_task("music"))
    >>> task.status, task.result.added_count
    (<TaskStatus.COMPLETED: 'completed'>, 2)

    Thread-safety: every call may come from any thread, from inside a scanner, and from a consumer
    of `changes`; not from a signal handler or `__del__`. In a forked child, the copy of a service
    that was started answers every call with `QueueClosedError`; that of one that was not works as
    if it had been made there.

    Args:
        scanner: What scans: an object with `scan(library_id, context)`, or a function. None: this
            process submits and looks only, and another one on the same store scans.
        store: Where tasks live; a new `MemoryStore` when None. One store object serves one service.
        clock: Where time comes from; the system's when None.
        workers: How many scans run at a time in this process; 0: only `run_pending` runs them.
        max_running: How many run at a time in the whole queue, over all its processes; stopping
            ones count. None: no limit but that of the workers.
        history_retention: How long an ended task is kept; at least 60 seconds whatever this says.
        max_pending: Refuse new tasks while this many are pending; joins, upgrades and requests of
            HIGH priority always pass. None: no limit.
        max_interruptions: After how many deaths of its process a task is given up; a shutdown
            does not count.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, the store has a service already, or nothing could
            ever run: no scanner, and a store that is not shared.
    """

    def __init__(
        self,
        scanner: Scanner | Callable[[LibraryId, ScanContext], TaskResult] | None,
        *,
        store: TaskStore | None = None,
        clock: Clock | None = None,
        workers: int = 1,
        max_running: int | None = None,
        history_retention: timedelta = timedelta(hours=24),
        max_pending: int | None = None,
        max_interruptions: int = 3,
    ) -> None:
        self._scan = None if scanner is None else as_function(scanner)
        self._worker_count = check_int("workers", workers)
        store = MemoryStore() if store is None else store
        check_part("store", store, TaskStore)
        clock = SystemClock() if clock is None else clock
        check_part("clock", clock, Clock)
        settings = Settings(
            max_running=check_optional_int("max_running", max_running, minimum=1),
            retention=max(
                check_duration("history_retention", history_retention), SHORTEST_RETENTION
            ),
            max_pending=check_optional_int("max_pending", max_pending),
            max_interruptions=check_int("max_interruptions", max_interruptions, minimum=1),
        )
        if self._scan is None and not store.shared:
            message = (
                "scanner must not be None with a store that is not shared: nothing could ever run"
            )
            raise ValueError(message)
        super().__init__(Core(store, clock, settings))
        _forks.register(self._core)

    def __repr__(self) -> str:
        core = self._core
        state = "shut down" if core.hub.closed else "started" if core.started else "not started"
        return f"<ScanQueueService on {core.store!r}, {state}>"

    # --- starting and ending ---

    def start(self) -> None:
        """Start the workers; a second call does nothing.

        Raises:
            QueueClosedError: The queue was shut down.
            StoreError: The store cannot be used, or failed to free what dead processes held.
            RuntimeError: The system has no more threads; a second call starts those missing.
        """
        core = self._core
        core.refuse_if_closed()
        if self.is_started:
            return
        core.open_to_run()
        with core.setting_up:
            core.refuse_if_closed()
            if core.started:
                return
            core.started = True  # before the first scan, which may fork
            try:
                close_at_exit(core)
                if core.is_shared:
                    core.keeper.wake()
                if self._scan is not None:
                    core.workers = core.workers or Workers(core, self._scan)
                    core.workers.start(self._worker_count)
            except BaseException:  # out of threads, or Ctrl-C
                core.started = False
                let_go(core)
                raise

    def shutdown(self, timeout: float | None = 8.0, *, interrupt_running: bool = False) -> bool:
        """Take no more submissions, start no more scans, and wait for those that run.

        Scans that have not ended shortly before the timeout (a tenth of it, at most 1 second) are
        asked to stop; those that have not returned when it is over are left behind. What was asked
        to stop ends CANCELLED with the reason SHUTDOWN, as pending tasks do; in a durable store
        these wait for the next start instead. Reads still answer afterwards.

        Calling it again waits again. Inside a scanner it waits for the other scans only, and
        answers False.

        Args:
            timeout: How long to wait, in seconds; None: for as long as it takes.
            interrupt_running: Whether to ask the scans to stop at once.

        Returns:
            True when no scan was left behind.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: The timeout is negative or NaN.
            QueueClosedError: This is a forked child's copy of a service that was started.
        """
        seconds = check_timeout(timeout)
        check_bool("interrupt_running", interrupt_running)
        self._core.refuse_if_forked()
        return shut_down(self._core, seconds, interrupt_running=interrupt_running)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down, with the usual timeout; a forked child's copy is left alone.

        Left by an exception, the scans are asked to stop at once: whoever waits for it is not to
        wait for them.
        """
        if not self._core.forked:  # pragma: no branch - in forked children only
            self.shutdown(interrupt_running=exc_type is not None)

    @property
    def is_started(self) -> bool:
        """Whether `start` was called; the queue may have been shut down since.

        Raises:
            QueueClosedError: This is a forked child's copy of a service that was started.
        """
        self._core.refuse_if_forked()
        return self._core.started

    @property
    def is_shut_down(self) -> bool:
        """Whether `shutdown` was called; scans may still be running.

        Raises:
            QueueClosedError: This is a forked child's copy of a service that was started.
        """
        self._core.refuse_if_forked()
        return self._core.hub.closed

    # --- submitting and cancelling ---

    def submit_task(
        self,
        library_id: LibraryId,
        priority: TaskPriority = TaskPriority.NORMAL,
        *,
        scope: ScanScope = WHOLE_LIBRARY,
        when_running: WhenRunning = WhenRunning.JOIN,
    ) -> UUID:
        """Ask for a scan, and return the id of the task that will cover it, at once.

        A library has at most one pending task: a request joins it, raising its priority and
        widening its scope where it asks for more. While the library is being scanned, a request
        joins that scan if its scope covers it (JOIN), or waits behind it (FOLLOW_UP).
        Complexity: O(log n).

        Args:
            library_id: The library, by the host's own id.
            priority: How urgent it is.
            scope: What to scan of it; all of it by default.
            when_running: What to do when the library is being scanned already. A running scan may
                have passed the folder that changed: FOLLOW_UP is for those who cannot miss it.

        Returns:
            The id of the task that will cover the request.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `library_id` is empty, too long, no valid Unicode, or beyond 64 bits.
            QueueFullError: As many tasks are pending as the queue takes.
            QueueClosedError: The queue was shut down.
            StoreError: The store failed; nothing was queued.
        """
        return self._submit(library_id, priority, scope, when_running)[0].id

    def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority = TaskPriority.NORMAL,
        *,
        scope: ScanScope = WHOLE_LIBRARY,
        when_running: WhenRunning = WhenRunning.JOIN,
    ) -> Submission:
        """Ask for a scan as `submit_task` does, and say what happened.

        Args:
            library_id: The library, by the host's own id.
            priority: How urgent it is.
            scope: What to scan of it; all of it by default.
            when_running: What to do when the library is being scanned already.

        Returns:
            The task that will cover the request, and whether it was made for it.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `library_id` is empty, too long, no valid Unicode, or beyond 64 bits.
            QueueFullError: As many tasks are pending as the queue takes.
            QueueClosedError: The queue was shut down.
            StoreError: The store failed; nothing was queued.
        """
        task, outcome = self._submit(library_id, priority, scope, when_running)
        return Submission(task=task.snapshot(), outcome=outcome)

    def _submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority,
        scope: ScanScope,
        when_running: WhenRunning,
    ) -> tuple[TaskRecord, SubmitOutcome]:
        library = check_library_id(library_id)
        if not isinstance(priority, TaskPriority):
            wrong_type("priority", priority, "a member of TaskPriority")
        if not isinstance(scope, ScanScope):
            wrong_type("scope", scope, "a ScanScope")
        if type(scope) is not ScanScope:  # what a subclass does must not run under a lock
            scope = ScanScope(paths=scope.paths, deep=scope.deep)
        if not isinstance(when_running, WhenRunning):
            wrong_type("when_running", when_running, "a member of WhenRunning")
        return _requests.submit(self._core, library, priority, scope, when_running)

    def cancel_task(self, task_id: UUID) -> ScanTask:
        """Cancel a task, at once; a follow-up of the same library is left alone.

        A pending task never runs. A running one is CANCELLED from now on, whatever its scanner
        does; its context says `cancelled`, and its library is free when the scanner returns.

        Args:
            task_id: The task.

        Returns:
            The cancelled task.

        Raises:
            TypeError: `task_id` is not a `UUID`.
            TaskNotFoundError: There is no such task.
            TaskNotCancellableError: It has ended already; nothing was changed.
            QueueClosedError: The queue was shut down.
            StoreError: The store failed; nothing was changed.
        """
        return _requests.cancel(self._core, check_task_id(task_id)).snapshot()

    def cancel_library(self, library_id: LibraryId) -> list[ScanTask]:
        """Cancel the active tasks of a library in one step (it was removed, say).

        Args:
            library_id: The library.

        Returns:
            The cancelled tasks, the one that was running first; empty when there were none.

        Raises:
            TypeError: `library_id` is neither an int nor a str.
            ValueError: It is no possible id.
            QueueClosedError: The queue was shut down.
            StoreError: The store failed; nothing was changed.
        """
        return snapshots(_requests.cancel_library(self._core, check_library_id(library_id)))

    # --- running ---

    def pause(self) -> None:
        """Let no new scan start in the whole queue; running ones go on, submissions are taken.

        It holds for all processes of the queue and, in a durable store, over restarts.

        Raises:
            QueueClosedError: The queue was shut down.
            StoreError: The store failed.
        """
        _requests.set_paused(self._core, True)

    def resume(self) -> None:
        """Let scans start again after `pause`.

        Raises:
            QueueClosedError: The queue was shut down.
            StoreError: The store failed.
        """
        _requests.set_paused(self._core, False)

    def run_pending(self, limit: int | None = None) -> int:
        """Run tasks on the calling thread until none can be claimed; no `start` is needed.

        A `SystemExit` or `KeyboardInterrupt` of a scanner is recorded, then raised. While the
        store fails to record the end of a scan, it tries again, as workers do, and does not return.

        Args:
            limit: Run at most this many; None: all.

        Returns:
            How many ran.

        Raises:
            TypeError: `limit` is not an int.
            ValueError: `limit` is negative.
            RuntimeError: Inside a scanner, or in a service without one.
            QueueClosedError: The queue was shut down before.
            StoreError: The store failed before a scan began.
        """
        limit = check_limit(limit)
        core = self._core
        if self._scan is None:
            message = "run_pending() needs a scanner: this service was made without one"
            raise RuntimeError(message)
        if core.scans.current() is not None:
            message = "run_pending() must not be called inside a scanner: it would nest scans"
            raise RuntimeError(message)
        core.refuse_if_closed()
        return run_here(core, self._scan, limit)
