"""What a service answers: the looking half of `ScanQueueService`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from scanqueue import _rules
from scanqueue._core import Core
from scanqueue._validate import (
    check_bool,
    check_cursor,
    check_library_id,
    check_limit,
    check_moment,
    check_task_id,
    check_timeout,
)
from scanqueue.models import LibraryId, QueueStats, ScanTask
from scanqueue.records import TaskRecord

CHANGES_BATCH = 256
"""How many changes a reader of `changes` fetches at once."""


class Queries:
    """Looks, lists and waits. Records become snapshots here, outside of all locks."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get_task(self, task_id: UUID) -> ScanTask | None:
        """Return the task as it is now, or None when there is no such task. O(1).

        Args:
            task_id: The task.

        Raises:
            TypeError: `task_id` is not a `UUID`.
            StoreError: The store failed.
        """
        task_id = check_task_id(task_id)
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
        limit = check_limit(limit)
        with self._core.read() as view:
            tasks = view.pending(limit)
        return snapshots(tasks)

    def list_running(self) -> list[ScanTask]:
        """Return the running tasks, oldest start first. O(running).

        Raises:
            StoreError: The store failed.
        """
        with self._core.read() as view:
            tasks = _rules.running(view)
        return snapshots(tasks)

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
        limit = check_limit(limit)
        library = None if library_id is None else check_library_id(library_id)
        since = None if since is None else check_moment("since", since)
        window_start = self._window_start()
        with self._core.read() as view:
            if since is None:
                tasks = _rules.history(view, window_start, limit, library)
            else:
                tasks = list(view.ended(since, limit, library))
        return snapshots(tasks)

    def list_tasks(self, limit: int | None = None) -> list[ScanTask]:
        """Return running tasks, pending ones, and history: one moment, each once. O(returned).

        Args:
            limit: Return at most this many in all; None: all.

        Raises:
            TypeError: `limit` is not an int.
            ValueError: `limit` is negative.
            StoreError: The store failed.
        """
        limit = check_limit(limit)
        window_start = self._window_start()
        with self._core.read() as view:
            tasks = _rules.running(view)[:limit]
            tasks += view.pending(_rest(limit, tasks))
            tasks += _rules.history(view, window_start, _rest(limit, tasks), None)
        return snapshots(tasks)

    def _window_start(self) -> datetime:
        return self._core.window_start(self._core.now())

    @property
    def is_paused(self) -> bool:
        """Whether new scans are held back.

        Raises:
            StoreError: The store failed.
        """
        with self._core.read() as view:
            return view.paused()

    def pending_count(self) -> int:
        """Return how many tasks are pending. O(1).

        Raises:
            StoreError: The store failed.
        """
        with self._core.read() as view:
            return view.counts().pending

    def stats(self) -> QueueStats:
        """Return the queue in numbers. O(1 + expired tasks that no ending has deleted yet).

        Raises:
            StoreError: The store failed.
        """
        core = self._core
        now = core.now()
        with core.read() as view:
            counts = view.counts(core.window_start(now))
            oldest, paused = view.oldest_pending(), view.paused()
        busy_workers = sum(scan.on_worker for scan in core.scans.all())
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
                busy_workers=busy_workers,
                paused=paused,
                oldest_pending_age=(
                    None if oldest is None else max(timedelta(0), now - oldest.created_at)
                ),
                submitted=hub.submitted,
                ended=hub.ended,
                reasons=hub.reasons,
            )

    # --- following along ---

    @property
    def revision(self) -> int:
        """The revision of the latest change.

        Raises:
            StoreError: The store failed.
        """
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
        after = check_cursor(after)
        limit = check_limit(limit)
        deadline = self._core.deadline(check_timeout(timeout))
        self._core.refuse_if_forked()
        if limit == 0:
            return []
        tasks, _ = self._fetch_changes(after, limit, deadline)
        return tasks

    def _fetch_changes(
        self, after: int, limit: int | None, deadline: float | None
    ) -> tuple[list[ScanTask], int]:
        """Wait for changes; return them, and `changes_seq` as it was before they were read."""
        hub = self._core.hub

        def look() -> tuple[list[TaskRecord], int] | None:
            finished, seen = hub.finished, hub.changes_seq  # before the store is asked
            with self._core.read() as view:
                known = after if after <= view.revision() else 0
                tasks = list(view.changed(known, limit))
            return (tasks, seen) if tasks or finished else None

        tasks, seen = self._core.wait_for(look, deadline) or ([], 0)
        return snapshots(tasks), seen

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
        self._core.refuse_if_forked()
        return self._follow(self.revision if after is None else check_cursor(after))

    def _follow(self, cursor: int) -> Iterator[ScanTask]:
        hub = self._core.hub
        tasks, seen = self._fetch_changes(cursor, CHANGES_BATCH, None)
        while tasks:
            for task in tasks:
                # What has changed since it was fetched comes later, in its latest state.
                if hub.changes_seq == seen or self._is_latest(task):
                    yield task
                cursor = task.revision
            tasks, seen = self._fetch_changes(cursor, CHANGES_BATCH, None)

    def _is_latest(self, task: ScanTask) -> bool:
        found = self.get_task(task.id)
        return found is not None and found.revision == task.revision

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
        task_id = check_task_id(task_id)
        check_bool("quiet", quiet)
        deadline = self._core.deadline(check_timeout(timeout))

        def look() -> TaskRecord | None:
            settled = self._core.settled(task_id, quiet=quiet)
            if settled is None:
                self._core.refuse_to_wait_for_itself(task_id)
            return settled

        task = self._core.wait_for(look, deadline)
        if task is None:
            raise late(task_id, timeout, quiet=quiet)
        return task.snapshot()


def late(task_id: UUID, timeout: float | None, *, quiet: bool) -> TimeoutError:
    """Return the error of a wait for a task that was in vain."""
    what = "ended and let go of its library" if quiet else "ended"
    return TimeoutError(f"task {task_id} has not {what} within {timeout} seconds")


def snapshots(tasks: Iterable[TaskRecord]) -> list[ScanTask]:
    """Return the frozen values of records."""
    return [task.snapshot() for task in tasks]


def _rest(limit: int | None, taken: list[TaskRecord]) -> int | None:
    return None if limit is None else limit - len(taken)
