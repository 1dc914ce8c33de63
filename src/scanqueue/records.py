"""What a store keeps: the lean counterparts of the models.

A record is never changed once a table has it: a change is a `successor` that replaces it. So a
record can be read without a lock, and a snapshot can be made of it at any time.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import attrs

from scanqueue.models import (
    NO_PROGRESS,
    EndReason,
    LibraryId,
    ScanScope,
    ScanTask,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)

__all__ = ["Counts", "OwnerId", "Slot", "TaskRecord"]

OwnerId: TypeAlias = str
"""One service in one process, by a name of its own; an owner dies with its process."""


@attrs.define(eq=False, weakref_slot=False)
class TaskRecord:
    """One task. The fields are those of `ScanTask`, and `rank`."""

    id: UUID
    library_id: LibraryId
    priority: TaskPriority
    status: TaskStatus
    scope: ScanScope
    created_at: datetime
    revision: int
    rank: int
    """Its place among its like: while it is active by age, as the revision of its submission; once
    it has ended in the order of ending, as the revision of its end."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    progress: TaskProgress = NO_PROGRESS
    result: TaskResult | None = None
    error: str | None = None
    reason: EndReason | None = None
    attempt: int = 0
    interruptions: int = 0
    holds_slot: bool = False

    def successor(self, revision: int) -> TaskRecord:
        """Return a copy with another revision, for a rule to change before it replaces this one.

        Args:
            revision: The revision of the change.
        """
        return TaskRecord(
            self.id,
            self.library_id,
            self.priority,
            self.status,
            self.scope,
            self.created_at,
            revision,
            self.rank,
            self.started_at,
            self.completed_at,
            self.progress,
            self.result,
            self.error,
            self.reason,
            self.attempt,
            self.interruptions,
            self.holds_slot,
        )

    def snapshot(self) -> ScanTask:
        """Return the frozen value that leaves the library."""
        return ScanTask(
            id=self.id,
            library_id=self.library_id,
            priority=self.priority,
            status=self.status,
            scope=self.scope,
            created_at=self.created_at,
            started_at=self.started_at,
            completed_at=self.completed_at,
            progress=self.progress,
            result=self.result,
            error=self.error,
            reason=self.reason,
            attempt=self.attempt,
            interruptions=self.interruptions,
            holds_slot=self.holds_slot,
            revision=self.revision,
        )

    @property
    def is_stopping(self) -> bool:
        """Whether it has ended and its scanner has not returned yet."""
        return self.holds_slot and self.status.is_ended


@attrs.define(unsafe_hash=True, weakref_slot=False)
class Slot:
    """The right to scan a library, held by one attempt of one task in one process.

    Never changed, as records are not.
    """

    library_id: LibraryId
    task_id: UUID
    attempt: int
    owner: OwnerId


@attrs.frozen(kw_only=True)
class Counts:
    """How many of each a table holds."""

    pending: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    stopping: int = 0
    slots: int = 0
    """Slots that are held, by whatever the status of their task."""
