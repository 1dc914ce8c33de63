"""The queue, as its users see it: arguments are checked here, and snapshots made."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from scanqueue import _rules
from scanqueue._clock import SystemClock
from scanqueue._core import Core, Settings
from scanqueue._forks import call_after_fork
from scanqueue._runner import run_scan
from scanqueue._shutdown import close_at_exit, shut_down
from scanqueue._validate import (
    check_bool,
    check_duration,
    check_instance,
    check_int,
    check_library_id,
    check_member,
    check_moment,
    check_optional_int,
    check_task_id,
    check_timeout,
    wrong_type,
)
from scanqueue._workers import Workers
from scanqueue.models import (
    WHOLE_LIBRARY,
    QueueStats,
    ScanScope,
    Submission,
    TaskPriority,
    WhenRunning,
)
from scanqueue.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from scanqueue.models import LibraryId, ScanTask, SubmitOutcome, TaskResult
    from scanqueue.protocols import Clock, ScanContext, Scanner, TaskStore
    from scanqueue.records import TaskRecord

__all__ = ["ScanQueueService"]

SHORTEST_RETENTION = timedelta(seconds=60)
"""An ended task is kept at least so long, so that whoever waits for it finds it."""

CHANGES_BATCH = 256
"""How many changes a reader of `changes` fetches at once."""

_services: WeakValueDictionary[int, ScanQueueService] = WeakValueDictionary()
"""The service of each store object, by the id of the store."""


class ScanQueueService:
    """A queue of scans: submissions return at once, scans run on background threads.

    Making one starts no thread and opens no file; tasks wait until `start`. As a context manager
    it starts when entered and shuts down when left.

    >>> from scanqueue import ScanQueueService, TaskResult
    >>> def scan(library_id, context):
    ...     return TaskResult(added_count=len(list(context.track(["a.flac", "b.flac"]))))
    >>> with ScanQueueService(scan) as queue:
    ...     task = queue.wait(queue.submit_task("music"))
    >>> task.status, task.result.added_count
    (<TaskStatus.COMPLETED: 'completed'>, 2)

    Thread-safety: every call may come from any thread, from inside a scanner, and from a consumer
    of `changes`; not from a signal handler or `__del__`.

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
        self._scan = None if scanner is None else _as_function(scanner)
        self._worker_count = check_int("workers", workers)
        store = MemoryStore() if store is None else store
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
        if id(store) in _services:
            message = "store must be one that no other service uses: make one for each service"
            raise ValueError(message)
        self._core = Core(store, SystemClock() if clock is None else clock, settings)
        _services[id(store)] = self
        call_after_fork(self._core.after_fork)

    # --- starting and ending ---

    def start(self) -> None:
        """Start the workers; a second call does nothing.

        Raises:
            QueueClosedError: The queue was shut down.
            StoreError: The store cannot be used.
        """
        core = self._core
        core.refuse_if_forked()
        core.refuse_if_closed()
        core.open()
        with core.hub.lock:
            if core.started:
                return
            core.started = True
        close_at_exit(core)
        if core.store.shared:
            core.recover()
            core.keeper.wake()
        if self._scan is not None:
            core.workers = Workers(core, self._scan)
            core.workers.start(self._worker_count)

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
        """Shut down, with the usual timeout; a forked child's copy is left alone."""
        if not self._core.forked:
            self.shutdown()

    @property
    def is_started(self) -> bool:
        """Whether `start` was called."""
        self._core.refuse_if_forked()
        return self._core.started

    @property
    def is_shut_down(self) -> bool:
        """Whether `shutdown` was called, be it that scans are still running."""
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
        check_member("priority", priority, TaskPriority)
        check_instance("scope", scope, ScanScope)
        check_member("when_running", when_running, WhenRunning)
        return self._core.submit(library, priority, scope, when_running)

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
        return self._core.cancel(check_task_id(task_id)).snapshot()

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
        return _snapshots(self._core.cancel_library(check_library_id(library_id)))

    # --- running ---

    def pause(self) -> None:
        """Let no new scan start in the whole queue; running ones go on, submissions are taken.

        It holds for all processes of the queue and, in a durable store, over restarts.

        Raises:
            QueueClosedError: The queue was shut down.
            StoreError: The store failed.
        """
        self._core.set_paused(True)

    def resume(self) -> None:
        """Let scans start again after `pause`.

        Raises:
            QueueClosedError: The queue was shut down.
            StoreError: The store failed.
        """
        self._core.set_paused(False)

    @property
    def is_paused(self) -> bool:
        """Whether new scans are held back."""
        with self._core.read() as view:
            return view.paused()

    def run_pending(self, limit: int | None = None) -> int:
        """Run tasks on the calling thread until none can be claimed; no `start` is needed.

        A `SystemExit` or `KeyboardInterrupt` of a scanner is recorded, then raised.

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
        limit = check_optional_int("limit", limit)
        core = self._core
        if self._scan is None:
            message = "run_pending() needs a scanner: this service was made without one"
            raise RuntimeError(message)
        if core.current_scan() is not None:
            message = "run_pending() must not be called inside a scanner: it would nest scans"
            raise RuntimeError(message)
        core.refuse_if_forked()
        core.refuse_if_closed()
        count = 0
        while limit is None or count < limit:
            context = core.claim()
            if context is None:
                break
            raised = run_scan(core, self._scan, context)
            count += 1
            if isinstance(raised, SystemExit | KeyboardInterrupt):
                raise raised
        return count

    # --- looking ---

    def get_task(self, task_id: UUID) -> ScanTask | None:
        """Return the task as it is now, or None when there is no such task. O(1).

        Args:
            task_id: The task.

        Raises:
            TypeError: `task_id` is not a `UUID`.
            StoreError: The store failed.
        """
        check_task_id(task_id)
        with self._core.read() as view:
            task = view.get(task_id)
        return None if task is None else task.snapshot()

    def get_library_task(self, library_id: LibraryId) -> ScanTask | None:
        """Return the active task of a library: the running one, else the pending one. O(1).

        Args:
            library_id: The library.

        Raises:
            TypeError: `library_id` is neither an int nor a str.
            ValueError: It is no possible id.
            StoreError: The store failed.
        """
        library = check_library_id(library_id)
        with self._core.read() as view:
            tasks = _rules.active_of(view, library)
        return tasks[0].snapshot() if tasks else None

    def list_pending(self, limit: int | None = None) -> list[ScanTask]:
        """Return the pending tasks in order of claim. O(returned).

        One whose library is taken is passed over until it is free.

        Args:
            limit: Return at most this many; None: all.

        Raises:
            TypeError: `limit` is not an int.
            ValueError: `limit` is negative.
            StoreError: The store failed.
        """
        limit = check_optional_int("limit", limit)
        with self._core.read() as view:
            tasks = view.pending(limit)
        return _snapshots(tasks)

    def list_running(self) -> list[ScanTask]:
        """Return the running tasks, oldest start first. O(running).

        Raises:
            StoreError: The store failed.
        """
        with self._core.read() as view:
            tasks = _rules.running(view)
        return _snapshots(tasks)

    def list_history(
        self,
        limit: int | None = None,
        *,
        since: datetime | None = None,
        library_id: LibraryId | None = None,
    ) -> list[ScanTask]:
        """Return ended tasks, latest end first (by order of ending). O(returned).

        Args:
            limit: Return at most this many; None: all.
            since: Leave out those that ended before this moment. None: now minus the retention;
                tasks whose scanner has not returned yet are then listed however old they are.
            library_id: Return only those of this library; None: of all.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `limit` is negative, `since` naive, or `library_id` no possible id.
            StoreError: The store failed.
        """
        limit = check_optional_int("limit", limit)
        library = None if library_id is None else check_library_id(library_id)
        if since is not None:
            check_moment("since", since)
        window_start = self._window_start()
        with self._core.read() as view:
            if since is None:
                tasks = _rules.history(view, window_start, limit, library)
            else:
                tasks = list(view.ended(since, limit, library))
        return _snapshots(tasks)

    def list_tasks(self, limit: int | None = None) -> list[ScanTask]:
        """Return running tasks, pending ones, and history: one moment, each once. O(returned).

        Args:
            limit: Return at most this many in all; None: all.

        Raises:
            TypeError: `limit` is not an int.
            ValueError: `limit` is negative.
            StoreError: The store failed.
        """
        limit = check_optional_int("limit", limit)
        window_start = self._window_start()
        with self._core.read() as view:
            tasks = _rules.running(view)[:limit]
            tasks += view.pending(_rest(limit, tasks))
            tasks += _rules.history(view, window_start, _rest(limit, tasks), None)
        return _snapshots(tasks)

    def _window_start(self) -> datetime:
        return self._core.now() - self._core.settings.retention

    def pending_count(self) -> int:
        """Return how many tasks are pending. O(1).

        Raises:
            StoreError: The store failed.
        """
        with self._core.read() as view:
            return view.counts().pending

    def stats(self) -> QueueStats:
        """Return the queue in numbers. O(1), but for expired tasks, which it deletes first.

        Raises:
            StoreError: The store failed.
        """
        core = self._core
        if not core.hub.closed:
            core.prune_all()
        now = core.now()
        with core.read() as view:
            counts, oldest, paused = view.counts(), view.oldest_pending(), view.paused()
        hub = core.hub
        with hub.lock:
            return QueueStats(
                pending=counts.pending,
                running=counts.running,
                completed=counts.completed,
                failed=counts.failed,
                cancelled=counts.cancelled,
                stopping=counts.stopping,
                workers=hub.workers,
                busy_workers=hub.busy,
                paused=paused,
                oldest_pending_age=(
                    None if oldest is None else max(timedelta(0), now - oldest.created_at)
                ),
                submitted=dict(hub.submitted),
                ended=dict(hub.ended),
                reasons=dict(hub.reasons),
            )

    # --- following along ---

    @property
    def revision(self) -> int:
        """The revision of the latest change."""
        with self._core.read() as view:
            return view.revision()

    def list_changes(
        self, after: int, *, limit: int | None = None, timeout: float | None = 0.0
    ) -> list[ScanTask]:
        """Return the tasks changed since a revision, latest state only, in order of revision.

        Complexity: O(changes since).

        Args:
            after: The revision that the caller has seen. One above the latest is that of another
                queue, and yields everything.
            limit: Return at most this many; None: all.
            timeout: How long to wait for the first one, in seconds; None: until there is one.

        Returns:
            The tasks; none when the timeout is over, or when the queue was shut down.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: A number is negative or NaN.
            StoreError: The store failed.
        """
        after = check_int("after", after)
        limit = check_optional_int("limit", limit)
        deadline = self._core.deadline(check_timeout(timeout))
        if limit == 0:
            return []

        def look() -> list[TaskRecord] | None:
            finished = self._core.hub.finished
            with self._core.read() as view:
                known = after if after <= view.revision() else 0
                tasks = list(view.changed(known, limit))
            return tasks if tasks or finished else None

        return _snapshots(self._core.wait_for(look, deadline) or [])

    def changes(self, after: int | None = None) -> Iterator[ScanTask]:
        """Yield every task that changes, latest state only, in order of revision.

        It yields what has changed since a revision, then waits for more, and ends when the queue
        was shut down. It is a cursor, not a buffer: a slow reader skips intermediate states, but
        no final one within the retention, and costs no memory.

        Args:
            after: The revision of the last task that the reader saw, or `revision` as it was
                before a listing. None: begin at the moment of the call.

        Raises:
            TypeError: `after` is not an int.
            ValueError: `after` is negative.
            StoreError: The store failed.
        """
        return self._follow(self.revision if after is None else check_int("after", after))

    def _follow(self, cursor: int) -> Iterator[ScanTask]:
        while tasks := self.list_changes(cursor, limit=CHANGES_BATCH, timeout=None):
            for task in tasks:
                yield task
                cursor = task.revision

    def wait(self, task_id: UUID, timeout: float | None = None, *, quiet: bool = False) -> ScanTask:
        """Wait until a task has ended, and return it.

        Args:
            task_id: The task.
            timeout: How long to wait, in seconds; None: for as long as it takes.
            quiet: Whether to wait until its scanner has returned, too.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: The timeout is negative or NaN.
            TimeoutError: It has not ended in time.
            TaskNotFoundError: There is no such task, or it was pruned.
            QueueClosedError: A shutdown sent it back to wait for the next start, or has returned
                before it ended.
            RuntimeError: Inside a scan of the same library, which would wait for itself.
            StoreError: The store failed.
        """
        check_task_id(task_id)
        check_bool("quiet", quiet)
        deadline = self._core.deadline(check_timeout(timeout))

        def look() -> TaskRecord | None:
            settled = self._core.settled(task_id, quiet=quiet)
            if settled is None:
                self._core.refuse_to_wait_for_itself(task_id)
            return settled

        task = self._core.wait_for(look, deadline)
        if task is None:
            message = f"task {task_id} has not ended within {timeout} seconds"
            raise TimeoutError(message)
        return task.snapshot()


def _as_function(
    scanner: Scanner | Callable[[LibraryId, ScanContext], TaskResult],
) -> Callable[[LibraryId, ScanContext], TaskResult]:
    scan = getattr(scanner, "scan", scanner)
    if isinstance(scanner, type) or not callable(scan):
        wrong_type("scanner", scanner, "an object with a scan() method, a function, or None")
    return scan


def _snapshots(tasks: Iterable[TaskRecord]) -> list[ScanTask]:
    return [task.snapshot() for task in tasks]


def _rest(limit: int | None, taken: list[TaskRecord]) -> int | None:
    return None if limit is None else limit - len(taken)
