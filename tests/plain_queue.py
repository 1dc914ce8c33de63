"""The queue once more, as plainly as it can be said: what the tests of the rules compare with.

Written from the contract, not from the code: a list of tasks that is searched through, scopes as
the sets of files that they mean, no states and no tables.
"""

from copy import copy
from datetime import datetime, timedelta
from uuid import UUID

import attrs

from scanqueue.models import (
    EndReason,
    LibraryId,
    ScanScope,
    SubmitOutcome,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)

PENDING = TaskStatus.PENDING
RUNNING = TaskStatus.RUNNING

FILES = ("a/1", "a/b/1", "c/1", "d")
SCOPES = [
    ScanScope(paths=paths, deep=deep)
    for paths in ([], ["a"], ["a/b"], ["c"], ["a/b", "c"])
    for deep in (False, True)
]


def files_of(scope: ScanScope) -> frozenset[str]:
    """Return which files of a library a scan of the scope looks at."""
    if not scope.paths:
        return frozenset(FILES)
    return frozenset(file for file in FILES for path in scope.paths if file.startswith(f"{path}/"))


@attrs.frozen
class PlainScan:
    """One attempt of one task in one process."""

    library_id: LibraryId
    task_id: UUID
    attempt: int
    owner: str


@attrs.define(eq=False)
class PlainTask:
    """All that a user may know of a task."""

    id: UUID
    library_id: LibraryId
    priority: TaskPriority
    files: frozenset[str]
    is_deep: bool
    created_at: datetime
    status: TaskStatus = PENDING
    started_at: datetime | None = None
    completed_at: datetime | None = None
    scanned_paths: int = 0
    result: TaskResult | None = None
    error: str | None = None
    """As it is to be, or a part of it: the id of the task that replaces this one."""
    reason: EndReason | None = None
    attempt: int = 0
    interruptions: int = 0
    holds_slot: bool = False

    def end(self, status: TaskStatus, reason: EndReason | None, now: datetime) -> None:
        """End."""
        self.status, self.reason, self.completed_at = status, reason, now

    def go_back(self) -> None:
        """Wait again."""
        self.status, self.started_at, self.scanned_paths = PENDING, None, 0


class PlainQueue:
    """Every rule of the contract; each call notes in `touched` which tasks it changed."""

    def __init__(self) -> None:
        self.tasks: list[PlainTask] = []
        """In order of submission."""
        self.endings: list[PlainTask] = []
        """In order of ending."""
        self.scans: list[PlainScan] = []
        """Those at work, in order of their start."""
        self.is_paused = False
        self.touched: list[UUID] = []

    def copy(self) -> "PlainQueue":
        """Return a queue of its own that is as this one."""
        copies = {task.id: copy(task) for task in self.tasks}
        new = PlainQueue()
        new.tasks = list(copies.values())
        new.endings = [copies[task.id] for task in self.endings]
        new.scans = self.scans.copy()
        new.is_paused = self.is_paused
        new.touched = self.touched.copy()
        return new

    # --- looking ---

    def find(self, library_id: LibraryId, status: TaskStatus) -> PlainTask | None:
        """Return the task of a library with a status, of which there must not be two."""
        found = [t for t in self.tasks if t.library_id == library_id and t.status is status]
        assert len(found) <= 1
        return found[0] if found else None

    def get(self, task_id: UUID) -> PlainTask | None:
        """Return a task by id."""
        return next((task for task in self.tasks if task.id == task_id), None)

    def task_of(self, scan: PlainScan) -> PlainTask | None:
        """Return the task of a scan that is at work."""
        return self.get(scan.task_id) if scan in self.scans else None

    def pending(self) -> list[PlainTask]:
        """Return the pending tasks in order of claim."""
        return sorted(
            (task for task in self.tasks if task.status is PENDING), key=lambda t: -t.priority
        )

    # --- submitting and running ---

    def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority,
        scope: ScanScope,
        when_running: WhenRunning,
        *,
        new_id: UUID,
        max_pending: int | None,
        now: datetime,
    ) -> tuple[UUID, SubmitOutcome] | None:
        """Return the task that covers the request; None: refused."""
        files, is_deep = files_of(scope), scope.deep
        pending, running = self.find(library_id, PENDING), self.find(library_id, RUNNING)
        if pending:
            before = (pending.priority, pending.files, pending.is_deep)
            self._widen(pending, priority, files, is_deep=is_deep)
            if before == (pending.priority, pending.files, pending.is_deep):
                return pending.id, SubmitOutcome.JOINED
            self.touched.append(pending.id)
            return pending.id, SubmitOutcome.UPGRADED
        is_covered = running and files <= running.files and is_deep <= running.is_deep
        if running and is_covered and when_running is WhenRunning.JOIN:
            return running.id, SubmitOutcome.JOINED
        is_full = max_pending is not None and len(self.pending()) >= max_pending
        if is_full and priority is not TaskPriority.HIGH:
            return None
        self.tasks.append(PlainTask(new_id, library_id, priority, files, is_deep, now))
        self.touched.append(new_id)
        return new_id, SubmitOutcome.FOLLOW_UP if running else SubmitOutcome.CREATED

    @staticmethod
    def _widen(
        task: PlainTask, priority: TaskPriority, files: frozenset[str], *, is_deep: bool
    ) -> None:
        task.priority = max(task.priority, priority)
        task.files |= files
        task.is_deep |= is_deep

    def claim(self, owner: str, max_running: int | None, now: datetime) -> PlainScan | None:
        """Begin the next scan."""
        if self.is_paused or (max_running is not None and len(self.scans) >= max_running):
            return None
        taken = {scan.library_id for scan in self.scans}
        task = next((task for task in self.pending() if task.library_id not in taken), None)
        if task is None:
            return None
        task.status, task.started_at, task.holds_slot = RUNNING, now, True
        task.attempt += 1
        scan = PlainScan(task.library_id, task.id, task.attempt, owner)
        self.scans.append(scan)
        self.touched.append(task.id)
        return scan

    def report(self, scan: PlainScan, scanned_paths: int) -> None:
        """Take note of progress."""
        task = self.task_of(scan)
        if task and task.status is RUNNING and task.scanned_paths != scanned_paths:
            task.scanned_paths = scanned_paths
            self.touched.append(task.id)

    def finish(
        self,
        scan: PlainScan,
        result: TaskResult | None,
        error: tuple[EndReason, str] | None,
        scanned_paths: int,
        now: datetime,
    ) -> None:
        """Take note that a scanner returned."""
        task = self.task_of(scan)
        if task is None:
            return
        self.touched.append(task.id)
        self._free(scan, task)
        if task.status is RUNNING:
            task.scanned_paths = scanned_paths
            if error is None:
                self._end(task, TaskStatus.COMPLETED, None, now)
            else:
                self._end(task, TaskStatus.FAILED, error[0], now)
                task.error = error[1]
        if task.status is not PENDING:
            task.result = result

    def _free(self, scan: PlainScan, task: PlainTask) -> None:
        self.scans.remove(scan)
        task.holds_slot = False

    def _end(
        self, task: PlainTask, status: TaskStatus, reason: EndReason | None, now: datetime
    ) -> None:
        task.end(status, reason, now)
        self.endings.append(task)
        self.touched.append(task.id)

    # --- ending ---

    def cancel(self, task: PlainTask, now: datetime) -> None:
        """Cancel an active task."""
        self._end(task, TaskStatus.CANCELLED, EndReason.REQUESTED, now)

    def cancel_library(self, library_id: LibraryId, now: datetime) -> list[UUID]:
        """Cancel what is active; the running task first."""
        found = [self.find(library_id, status) for status in (RUNNING, PENDING)]
        tasks = [task for task in found if task]
        for task in tasks:
            self.cancel(task, now)
        return [task.id for task in tasks]

    def end_pending(self, limit: int, now: datetime) -> list[UUID]:
        """End pending tasks at a shutdown."""
        tasks = self.pending()[:limit]
        for task in tasks:
            self._end(task, TaskStatus.CANCELLED, EndReason.SHUTDOWN, now)
        return [task.id for task in tasks]

    def stop(self, scan: PlainScan, now: datetime, *, is_durable: bool) -> None:
        """Ask a scan to stop at a shutdown."""
        task = self.task_of(scan)
        if task is None or task.status is not RUNNING:
            return
        self.touched.append(task.id)
        heir = self.find(task.library_id, PENDING)
        if is_durable and heir is None:
            task.go_back()
            return
        self._end(task, TaskStatus.CANCELLED, EndReason.SHUTDOWN, now)
        if is_durable and heir:
            self._take_over(heir, task)

    def _take_over(self, heir: PlainTask, task: PlainTask) -> None:
        self._widen(heir, task.priority, task.files, is_deep=task.is_deep)
        heir.interruptions = max(heir.interruptions, task.interruptions)
        task.error = str(heir.id)
        self.touched.append(heir.id)

    def recover(self, dead: set[str], max_interruptions: int, now: datetime) -> set[UUID]:
        """Take note of dead processes; return the tasks whose slots they held."""
        lost = [scan for scan in self.scans if scan.owner in dead]
        for scan in lost:
            task = self.get(scan.task_id)
            assert task is not None
            self.touched.append(task.id)
            self._free(scan, task)
            if task.status is not RUNNING:
                continue
            task.interruptions += 1
            heir = self.find(task.library_id, PENDING)
            if heir is None and task.interruptions < max_interruptions:
                task.go_back()
                continue
            self._end(task, TaskStatus.FAILED, EndReason.INTERRUPTED, now)
            task.error = "died"
            if heir:
                self._take_over(heir, task)
        return {scan.task_id for scan in lost}

    def prune(self, before: datetime) -> int:
        """Forget what ended before a moment, but for what is stopping."""
        due = [t for t in self.endings if t.completed_at < before and not t.holds_slot]  # type: ignore[operator]
        for task in due:
            self.tasks.remove(task)
            self.endings.remove(task)
            self.touched = [task_id for task_id in self.touched if task_id != task.id]
        return len(due)

    def history(self, since: datetime) -> list[UUID]:
        """Return what ended since a moment, the latest end first."""
        return [t.id for t in reversed(self.endings) if t.completed_at >= since]  # type: ignore[operator]


MINUTE = timedelta(minutes=1)
