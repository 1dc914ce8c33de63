"""The rules over a bare table in memory: a queue without threads, clocks and services."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from scanqueue import _rules
from scanqueue._rules import Ending
from scanqueue.models import (
    EndReason,
    LibraryId,
    ScanScope,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.records import Slot, TaskRecord
from scanqueue.stores._table import MemoryTable

WHOLE = ScanScope()
NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)
FIRST_REVISION = 1000

DONE = Ending(TaskResult(added_count=1))
BROKEN = Ending(None, EndReason.ERROR, "OSError: disk on fire")
AWAY = Ending(None, EndReason.UNAVAILABLE, "LibraryUnavailable: unplugged")


def a_record(
    number: int, library_id: LibraryId, priority: TaskPriority, now: datetime, revision: int
) -> TaskRecord:
    """Return a task that was just submitted."""
    return TaskRecord(
        id=UUID(int=number),
        library_id=library_id,
        priority=priority,
        status=TaskStatus.PENDING,
        scope=WHOLE,
        created_at=now,
        revision=revision,
        rank=revision,
    )


class BareQueue:
    """Each rule as a method; `now` is the time, and passes by `pass_time` only."""

    def __init__(self) -> None:
        self.table = MemoryTable(FIRST_REVISION)
        self.now = NOON
        self._made = 0

    def _new_id(self) -> UUID:
        self._made += 1
        return UUID(int=self._made)

    def pass_time(self, seconds: float) -> None:
        """Let the wall clock go on, or be set back."""
        self.now += timedelta(seconds=seconds)

    def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority = TaskPriority.NORMAL,
        scope: ScanScope = WHOLE,
        when_running: WhenRunning = WhenRunning.JOIN,
        *,
        max_pending: int | None = None,
    ) -> tuple[TaskRecord, SubmitOutcome]:
        """Ask for a scan."""
        return _rules.submit(
            self.table,
            library_id,
            priority,
            scope,
            when_running,
            now=self.now,
            new_id=self._new_id,
            max_pending=max_pending,
        )

    def follow_up(self, library_id: LibraryId) -> tuple[TaskRecord, SubmitOutcome]:
        """Ask for a scan that begins after this moment."""
        return self.submit(library_id, when_running=WhenRunning.FOLLOW_UP)

    def try_claim(
        self, owner: str = "me", *, max_running: int | None = None
    ) -> tuple[TaskRecord, Slot] | None:
        """Take the next task, if there is one."""
        return _rules.claim(self.table, owner, now=self.now, max_running=max_running)

    def claim(self, owner: str = "me") -> Slot:
        """Take the next task, which there must be, and return its slot."""
        claimed = self.try_claim(owner)
        assert claimed is not None, "there is nothing to claim"
        return claimed[1]

    def begin(self, library_id: LibraryId, owner: str = "me") -> Slot:
        """Submit a task and claim it; nothing else may be claimable."""
        task, _ = self.submit(library_id)
        slot = self.claim(owner)
        assert slot.task_id == task.id
        return slot

    def report(self, slot: Slot, scanned_paths: int) -> TaskRecord | None:
        """Publish progress."""
        return _rules.report(self.table, slot, TaskProgress(scanned_paths=scanned_paths))

    def finish(
        self, slot: Slot, ending: Ending = DONE, *, scanned_paths: int = 0
    ) -> TaskRecord | None:
        """Have a scanner return."""
        progress = TaskProgress(scanned_paths=scanned_paths)
        return _rules.finish(self.table, slot, ending, progress, now=self.now)

    def cancel(self, task_id: UUID) -> TaskRecord:
        """Cancel a task."""
        return _rules.cancel(self.table, task_id, now=self.now)

    def cancel_library(self, library_id: LibraryId) -> list[TaskRecord]:
        """Cancel the active tasks of a library."""
        return _rules.cancel_library(self.table, library_id, now=self.now)

    def stop(self, slot: Slot, *, durable: bool) -> TaskRecord | None:
        """Ask a scan to stop because of a shutdown."""
        return _rules.stop(self.table, slot, now=self.now, durable=durable)

    def end_pending(self, limit: int = 500) -> list[TaskRecord]:
        """End pending tasks because of a shutdown."""
        return _rules.end_pending(self.table, now=self.now, limit=limit)

    def recover(self, dead: Collection[str], *, max_interruptions: int = 3) -> list[TaskRecord]:
        """Take note that owners are dead."""
        return _rules.recover(self.table, dead, now=self.now, max_interruptions=max_interruptions)

    def prune(self, before: datetime) -> int:
        """Delete some of what ended before a moment."""
        return _rules.prune(self.table, before)

    def get(self, task_id: UUID) -> TaskRecord:
        """Return a task that is there."""
        task = self.table.get(task_id)
        assert task is not None, "the task is gone"
        return task

    def everything(self) -> list[TaskRecord]:
        """Return all tasks, in order of their latest change."""
        return list(self.table.changed(0, None))
