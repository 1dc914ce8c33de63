"""What a table does, in the plainest way: every answer is looked for from the start."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from scanqueue.models import TaskStatus
from scanqueue.records import Counts

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from scanqueue.models import LibraryId
    from scanqueue.records import Slot, TaskRecord


class PlainTable:
    """The model that a store is compared with.

    Args:
        revision: Where its revisions begin.
    """

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.paused = False
        self.rows: dict[UUID, TaskRecord] = {}
        self.slots: list[Slot] = []
        self.order_of_ending: list[UUID] = []

    def copy(self) -> PlainTable:
        """Return one of its own with the same records, which never change."""
        twin = copy.copy(self)
        twin.rows, twin.slots = dict(self.rows), list(self.slots)
        twin.order_of_ending = list(self.order_of_ending)
        return twin

    # --- writing ---

    def put(self, task: TaskRecord) -> None:
        """Add or replace a task."""
        self.rows[task.id] = task
        if task.status.is_ended and task.id not in self.order_of_ending:
            self.order_of_ending.append(task.id)

    def delete(self, task: TaskRecord) -> None:
        """Delete a task that has ended."""
        del self.rows[task.id]
        self.order_of_ending.remove(task.id)

    # --- asking ---

    def live(self) -> list[TaskRecord]:
        """Return the tasks to which something can happen: active or stopping."""
        return [row for row in self.rows.values() if row.status.is_active or row.holds_slot]

    def pending(self) -> list[TaskRecord]:
        """Return what waits, in order of claim."""
        waiting = [row for row in self.rows.values() if row.status is TaskStatus.PENDING]
        return sorted(waiting, key=lambda row: (-row.priority, row.rank))

    def claimable(self) -> list[TaskRecord]:
        """Return what waits for a library that is free."""
        taken = {slot.library_id for slot in self.slots}
        return [row for row in self.pending() if row.library_id not in taken]

    def ended(
        self, since: datetime | None = None, library_id: LibraryId | None = None
    ) -> list[TaskRecord]:
        """Return what has ended, the latest end first."""
        rows = [self.rows[key] for key in reversed(self.order_of_ending)]
        return [
            row
            for row in rows
            if (since is None or not _is_before(row, since))
            and library_id in {None, row.library_id}
        ]

    def deletable(self, before: datetime) -> list[TaskRecord]:
        """Return what may be deleted: what ended before a moment, and is not stopping."""
        return [row for row in self.ended() if not row.holds_slot and _is_before(row, before)]

    def changed(self, after: int) -> list[TaskRecord]:
        """Return what has changed since a revision."""
        rows = [row for row in self.rows.values() if row.revision > after]
        return sorted(rows, key=lambda row: row.revision)

    def counts(self, since: datetime | None = None) -> Counts:
        """Count everything, but for what may be deleted."""
        gone = [] if since is None else [row.id for row in self.deletable(since)]
        rows = [row for row in self.rows.values() if row.id not in gone]
        statuses = [row.status for row in rows]
        return Counts(
            pending=statuses.count(TaskStatus.PENDING),
            running=statuses.count(TaskStatus.RUNNING),
            completed=statuses.count(TaskStatus.COMPLETED),
            failed=statuses.count(TaskStatus.FAILED),
            cancelled=statuses.count(TaskStatus.CANCELLED),
            stopping=sum(row.is_stopping for row in rows),
            slots=len(self.slots),
        )


def _is_before(task: TaskRecord, moment: datetime) -> bool:
    return task.completed_at is not None and task.completed_at < moment
