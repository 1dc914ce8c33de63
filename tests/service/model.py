"""What the queue should do, told once more, as plainly as it can be: lists and loops."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import attrs

from scanqueue import (
    EndReason,
    LibraryId,
    ScanScope,
    ScanTask,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)

PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING


class FullError(Exception):
    """The queue takes no more."""


class EndedError(Exception):
    """The task has ended already."""


class UnknownError(Exception):
    """There is no such task."""


@attrs.define(eq=False)
class ModelTask:
    """One task."""

    id: UUID | None
    library_id: LibraryId
    priority: TaskPriority
    scope: ScanScope
    created_at: datetime
    status: TaskStatus = PENDING
    started_at: datetime | None = None
    completed_at: datetime | None = None
    progress: TaskProgress = attrs.Factory(lambda: TaskProgress(scanned_paths=0))
    result: TaskResult | None = None
    error: str | None = None
    reason: EndReason | None = None
    attempt: int = 0
    holds_slot: bool = False
    shut_down: bool = False

    def check(self, task: ScanTask) -> None:
        """Fail, with the fields that differ, unless a task of the queue is this one."""
        names = [field.name for field in attrs.fields(ModelTask) if field.name != "shut_down"]
        differing = {
            name: (getattr(task, name), getattr(self, name))
            for name in names
            if getattr(task, name) != getattr(self, name)
        }
        assert not differing, f"task {task.id} differs from the model's in {differing}"


class Model:
    """A queue.

    Args:
        max_running: How many scans at a time.
        max_pending: How many pending tasks.
        retention: How long ended tasks are kept.
        durable: Whether the tasks outlive a shutdown.
    """

    def __init__(
        self,
        max_running: int | None,
        max_pending: int | None,
        retention: timedelta,
        *,
        durable: bool,
    ) -> None:
        self.durable = durable
        self.max_running = max_running
        self.max_pending = max_pending
        self.retention = retention
        self.paused = False
        self.tasks: list[ModelTask] = []  # by age
        self.starts: list[ModelTask] = []  # by start
        self.ends: list[ModelTask] = []  # by order of ending
        self.changes: list[ModelTask] = []  # every change, in order
        self.submitted = dict.fromkeys(SubmitOutcome, 0)
        self.ended = {status: 0 for status in TaskStatus if status.is_ended}
        self.reasons = dict.fromkeys(EndReason, 0)

    # --- looking

    def with_status(self, status: TaskStatus) -> list[ModelTask]:
        """Return the tasks of a status, by age."""
        return [task for task in self.tasks if task.status is status]

    def pending(self) -> list[ModelTask]:
        """Return the pending tasks in order of claim."""
        return sorted(self.with_status(PENDING), key=lambda task: -task.priority)

    def running(self) -> list[ModelTask]:
        """Return the running tasks, oldest start first."""
        return [task for task in self.starts if task.status is RUNNING]

    def history(self, since: datetime) -> list[ModelTask]:
        """Return those that ended since, and those that are stopping, latest end first."""
        return [
            task
            for task in reversed(self.ends)
            if (task.completed_at is not None and task.completed_at >= since) or task.holds_slot
        ]

    def active(self, library_id: LibraryId) -> list[ModelTask]:
        """Return the active tasks of a library, the running one first."""
        return [
            task
            for status in (RUNNING, PENDING)
            for task in self.with_status(status)
            if task.library_id == library_id
        ]

    def changed_since(self, place: int) -> list[ModelTask]:
        """Return what has changed since a place in the changes, latest state only, in order."""
        changed = self.changes[place:]
        return [
            task
            for n, task in enumerate(changed)
            if task not in changed[n + 1 :] and task in self.tasks
        ]

    def find(self, task_id: UUID) -> ModelTask | None:
        """Return the task, if it is there."""
        return next((task for task in self.tasks if task.id == task_id), None)

    def claimable(self) -> ModelTask | None:
        """Return the task to run next."""
        slots = [task.library_id for task in self.tasks if task.holds_slot]
        if self.paused or (self.max_running is not None and len(slots) >= self.max_running):
            return None
        return next((task for task in self.pending() if task.library_id not in slots), None)

    # --- what users do

    def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority,
        scope: ScanScope,
        when_running: WhenRunning,
        now: datetime,
    ) -> tuple[ModelTask, SubmitOutcome]:
        """Do as the table of the contract says, row by row."""
        task, outcome = self._submit(library_id, priority, scope, when_running, now)
        self.submitted[outcome] += 1
        return task, outcome

    def _submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority,
        scope: ScanScope,
        when_running: WhenRunning,
        now: datetime,
    ) -> tuple[ModelTask, SubmitOutcome]:
        running = pending = None
        for task in self.active(library_id):
            if task.status is RUNNING:
                running = task
            else:
                pending = task
        if pending is not None:
            before = pending.priority, pending.scope
            pending.priority = max(pending.priority, priority)
            pending.scope = pending.scope.union(scope)
            if (pending.priority, pending.scope) == before:
                return pending, SubmitOutcome.JOINED
            self.changes.append(pending)
            return pending, SubmitOutcome.UPGRADED
        if running and when_running is WhenRunning.JOIN and running.scope.covers(scope):
            return running, SubmitOutcome.JOINED
        is_full = (
            self.max_pending is not None and len(self.with_status(PENDING)) >= self.max_pending
        )
        if is_full and priority is not TaskPriority.HIGH:
            raise FullError
        task = ModelTask(None, library_id, priority, scope, now)
        self.tasks.append(task)
        self.changes.append(task)
        return task, SubmitOutcome.FOLLOW_UP if running else SubmitOutcome.CREATED

    def cancel(self, task_id: UUID, now: datetime) -> ModelTask:
        """Cancel a task."""
        task = self.find(task_id)
        if task is None:
            raise UnknownError
        if task.status.is_ended:
            raise EndedError
        self._end(task, TaskStatus.CANCELLED, EndReason.REQUESTED, now)
        return task

    def cancel_library(self, library_id: LibraryId, now: datetime) -> list[ModelTask]:
        """Cancel the active tasks of a library."""
        tasks = self.active(library_id)
        for task in tasks:
            self._end(task, TaskStatus.CANCELLED, EndReason.REQUESTED, now)
        return tasks

    def shut_down(self, now: datetime) -> None:
        """End everything that has not, or, in a durable queue, send back what runs."""
        for task in self.running() if self.durable else self.pending() + self.running():
            heirs = self.active(task.library_id)[1:] if self.durable else []
            if self.durable and not heirs:
                task.status = PENDING
                task.started_at = None
                task.progress = TaskProgress(scanned_paths=0)
                self.starts.remove(task)
                self.changes.append(task)
                continue
            self._end(task, TaskStatus.CANCELLED, EndReason.SHUTDOWN, now)
            for heir in heirs:
                task.error = f"replaced by task {heir.id}, which was waiting already"
                heir.priority = max(heir.priority, task.priority)
                heir.scope = heir.scope.union(task.scope)
                self.changes.append(heir)

    def restart(self) -> None:
        """Be the queue of a new service on the same tasks, which has done nothing yet."""
        assert self.durable
        self.submitted = dict.fromkeys(self.submitted, 0)
        self.ended = dict.fromkeys(self.ended, 0)
        self.reasons = dict.fromkeys(self.reasons, 0)

    # --- what scans do

    def claim(self, now: datetime) -> ModelTask | None:
        """Begin the next scan."""
        task = self.claimable()
        if task is not None:
            task.status = RUNNING
            task.started_at = now
            task.attempt += 1
            task.holds_slot = True
            self.starts.append(task)
            self.changes.append(task)
        return task

    def report(self, task: ModelTask, progress: TaskProgress) -> None:
        """Publish progress."""
        if task.status is RUNNING and task.progress != progress:
            task.progress = progress
            self.changes.append(task)

    def finish(
        self,
        task: ModelTask,
        now: datetime,
        result: TaskResult | None,
        error: str | None = None,
        reason: EndReason | None = None,
    ) -> None:
        """Note that a scanner has returned."""
        task.holds_slot = False
        task.result = None if task.status is PENDING else result
        if task.status is RUNNING:
            task.error = error
            status = TaskStatus.COMPLETED if result else TaskStatus.FAILED
            self._end(task, status, reason, now)
        else:
            self.changes.append(task)

    def _end(
        self, task: ModelTask, status: TaskStatus, reason: EndReason | None, now: datetime
    ) -> None:
        task.status = status
        task.reason = reason
        task.completed_at = now
        self.ends.append(task)
        self.changes.append(task)
        self.ended[status] += 1
        if reason is not None:
            self.reasons[reason] += 1

    def forget(self, task: ModelTask, now: datetime) -> None:
        """Forget a task that was pruned, which only what is past the retention may be."""
        assert task.completed_at is not None
        assert task.completed_at < now - self.retention
        assert not task.holds_slot
        self.ends.remove(task)
        self.tasks.remove(task)
