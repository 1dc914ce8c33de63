"""The queue as one thread would see it: whether an answer is right, said by the plain queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

import attrs

from scanqueue import (
    EndReason,
    LibraryId,
    ScanScope,
    SubmitOutcome,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from tests.plain_queue import PlainQueue, PlainScan, PlainTask
from tests.simulation.history import Answer, Seen
from tests.simulation.world import BEGINNING

CALLS = frozenset(
    {
        *("submit", "cancel_task", "cancel_library", "pause", "resume", "wait"),
        *("get_task", "get_library_task", "stats", "pending_count", "is_paused"),
        *("list_pending", "list_running", "list_history", "list_tasks", "list_changes"),
        "begin_to_follow",
    }
)
"""The calls whose answers it knows."""

_MANY = 1_000
_WHOLE = ScanScope()
_ORDER = list(TaskStatus)

Step: TypeAlias = "Callable[[Sequential], bool]"
"""Does in the model what a thread did, and returns whether that can have been."""


class Sequential:
    """A plain queue that may be closed, and has a list of changes.

    Args:
        is_durable: Whether tasks outlive a shutdown.
    """

    def __init__(self, *, is_durable: bool = False) -> None:
        self.queue = PlainQueue()
        self.is_durable = is_durable
        self.is_closed = False
        self.mark = 0
        """How many changes there had been when the reader began."""

    def copy(self) -> Sequential:
        """Return a model of its own that is as this one."""
        new = Sequential(is_durable=self.is_durable)
        new.queue = self.queue.copy()
        new.is_closed = self.is_closed
        new.mark = self.mark
        return new

    def key(self) -> object:
        """Return what two models that will answer alike have in common."""
        tasks = tuple(attrs.astuple(task, recurse=False) for task in self.queue.tasks)
        endings = tuple(task.id for task in self.queue.endings)
        return (tasks, endings, self.is_closed, self.queue.is_paused, tuple(self._changed()))

    # --- what answers look like ---

    def _seen(self, task: PlainTask) -> Seen:
        return Seen(
            (task.id, task.status, task.priority, task.reason, task.attempt, task.holds_slot)
        )

    def _by_id(self, task_id: UUID) -> PlainTask:
        task = self.queue.get(task_id)
        assert task is not None
        return task

    def _running(self) -> tuple[Seen, ...]:
        tasks = [self._by_id(scan.task_id) for scan in self.queue.scans]
        return tuple(self._seen(task) for task in tasks if task.status is TaskStatus.RUNNING)

    def _pending(self) -> tuple[Seen, ...]:
        return tuple(map(self._seen, self.queue.pending()))

    def _history(self) -> tuple[Seen, ...]:
        return tuple(map(self._seen, reversed(self.queue.endings)))

    def _active(self, library_id: LibraryId) -> PlainTask | None:
        found = (self.queue.find(library_id, s) for s in (TaskStatus.RUNNING, TaskStatus.PENDING))
        return next((task for task in found if task is not None), None)

    def _changed(self) -> list[UUID]:
        latest = dict.fromkeys(reversed(self.queue.touched[self.mark :]))
        return list(reversed(latest))

    # --- calls: each returns whether the answer is right ---

    def answers(self, answer: Answer, name: str, *arguments: object, **options: object) -> bool:
        """Make a call; return whether the answer is right. A store that failed changed nothing."""
        call: Callable[..., bool] = getattr(self, name)
        return answer == "StoreError" or call(answer, *arguments, **options)

    def submit(
        self,
        answer: Answer,
        library_id: LibraryId,
        priority: TaskPriority = TaskPriority.NORMAL,
        *,
        scope: ScanScope = _WHOLE,
        when_running: WhenRunning = WhenRunning.JOIN,
    ) -> bool:
        """Submit."""
        if self.is_closed or not isinstance(answer, tuple):
            return self.is_closed and answer == "QueueClosedError"
        outcome, task = answer
        is_known = self.queue.get(task[0]) is not None
        if is_known == (outcome in {SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP}):
            return False
        found = self.queue.submit(
            *(library_id, priority, scope, when_running),
            new_id=task[0],
            max_pending=None,
            now=BEGINNING,
        )
        return found == (task[0], outcome) and self._seen(self._by_id(task[0])) == task

    def cancel_task(self, answer: Answer, task_id: UUID) -> bool:
        """Cancel."""
        task = self.queue.get(task_id)
        if self.is_closed:
            return answer == "QueueClosedError"
        if task is None:
            return answer == "TaskNotFoundError"
        if task.status.is_ended:
            return answer == "TaskNotCancellableError"
        self.queue.cancel(task, BEGINNING)
        return answer == self._seen(task)

    def cancel_library(self, answer: Answer, library_id: LibraryId) -> bool:
        """Cancel what is active."""
        if self.is_closed:
            return answer == "QueueClosedError"
        cancelled = self.queue.cancel_library(library_id, BEGINNING)
        return answer == tuple(self._seen(self._by_id(task_id)) for task_id in cancelled)

    def get_task(self, answer: Answer, task_id: UUID) -> bool:
        """Look at a task."""
        task = self.queue.get(task_id)
        return answer == (None if task is None else self._seen(task))

    def get_library_task(self, answer: Answer, library_id: LibraryId) -> bool:
        """Look at the active task."""
        task = self._active(library_id)
        return answer == (None if task is None else self._seen(task))

    def list_pending(self, answer: Answer) -> bool:
        """List in order of claim."""
        return answer == self._pending()

    def list_running(self, answer: Answer) -> bool:
        """List in order of start."""
        return answer == self._running()

    def list_history(self, answer: Answer) -> bool:
        """List in order of ending, the latest first."""
        return answer == self._history()

    def list_tasks(self, answer: Answer) -> bool:
        """List everything, of one moment."""
        return answer == self._running() + self._pending() + self._history()

    def list_changes(self, answer: Answer, after: int, *, timeout: float = 0.0) -> bool:
        """List what has changed since the beginning of the race."""
        return answer == tuple(self._seen(self._by_id(task_id)) for task_id in self._changed())

    def stats(self, answer: Answer) -> bool:
        """Count, of one moment."""
        found = [task.status for task in self.queue.tasks]
        stopping = sum(task.status.is_ended and task.holds_slot for task in self.queue.tasks)
        return answer == (*map(found.count, _ORDER), stopping, self.queue.is_paused)

    def pending_count(self, answer: Answer) -> bool:
        """Count what waits."""
        return answer == len(self.queue.pending())

    def is_paused(self, answer: Answer) -> bool:
        """Look whether it is paused."""
        return answer == self.queue.is_paused

    def pause(self, answer: Answer) -> bool:
        """Hold scans back."""
        return self._set_paused(answer, is_paused=True)

    def resume(self, answer: Answer) -> bool:
        """Hold them back no longer."""
        return self._set_paused(answer, is_paused=False)

    def _set_paused(self, answer: Answer, *, is_paused: bool) -> bool:
        if self.is_closed:
            return answer == "QueueClosedError"
        self.queue.is_paused = is_paused
        return answer is None

    def wait(
        self, answer: Answer, task_id: UUID, timeout: float | None = None, *, quiet: bool = False
    ) -> bool:
        """Wait until a task has ended; this is the moment at which the answer was found."""
        task = self.queue.get(task_id)
        if task is None:
            return answer == "TaskNotFoundError"
        if task.status.is_ended and not (quiet and task.holds_slot):
            return answer == self._seen(task)
        return answer == "TimeoutError" or (answer == "QueueClosedError" and self.is_closed)

    def begin_to_follow(self, answer: Answer) -> bool:
        """Begin the list of changes here."""
        self.mark = len(self.queue.touched)
        return answer is None

    # --- what threads of the library do ---

    def close(self) -> bool:
        """Take nothing more."""
        self.is_closed = True
        return True

    def sweep(self) -> bool:
        """End what is pending, as a shutdown does."""
        if not self.is_durable:
            self.queue.end_pending(_MANY, BEGINNING)
        return True

    def claim(self, scan: PlainScan) -> bool:
        """Begin the next scan, which must be this one."""
        return self.queue.claim(scan.owner, None, BEGINNING) == scan

    def stop(self, scan: PlainScan) -> bool:
        """Ask a scan to stop, as a shutdown does."""
        self.queue.stop(scan, BEGINNING, is_durable=self.is_durable)
        return True

    def finish(self, scan: PlainScan, *, failed: bool) -> bool:
        """Note that a scanner returned."""
        result = None if failed else TaskResult()
        error = (EndReason.ERROR, "") if failed else None
        self.queue.finish(scan, result, error, 0, BEGINNING)
        return True
