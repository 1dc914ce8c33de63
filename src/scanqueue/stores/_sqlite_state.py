"""How a queue is as a whole: one row, and the tasks that were added since it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from scanqueue.errors import StoreCorruptError
from scanqueue.models import TaskStatus
from scanqueue.records import Counts
from scanqueue.stores._sqlite_schema import refuse_newer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from scanqueue.records import TaskRecord

_PENDING = TaskStatus.PENDING
_SELECT = (
    "SELECT revision, paused, pending, running, completed, failed, cancelled, stopping, slots,"
    " (SELECT coalesce(max(seq), queue.revision) FROM tasks) FROM queue WHERE one = 1"
)
_UPDATE = (
    "UPDATE queue SET revision = ?, paused = ?, pending = ?, running = ?, completed = ?,"
    " failed = ?, cancelled = ?, stopping = ?, slots = ? WHERE one = 1"
)


@attrs.define(eq=False)
class QueueState:
    """How a queue is as a whole: kept in step with its tasks, so that nothing is counted."""

    revision: int
    paused: bool
    by_status: dict[TaskStatus, int]
    stopping: int
    slots: int
    saved: int | None
    """The revision that the row has; None: it is to be written."""
    added: int
    """How many tasks were added since, each with a revision of its own."""
    floor: int = 0
    """No new revision is this or less."""

    def copy(self) -> QueueState:
        """Return a state of its own."""
        return QueueState(
            *(self.revision, self.paused, self.by_status.copy(), self.stopping, self.slots),
            *(self.saved, self.added, self.floor),
        )

    def next_revision(self) -> int:
        """Return a revision that nobody has seen."""
        self.revision = revision = max(self.revision, self.floor) + 1
        return revision

    def add(self) -> None:
        """Count a task that was added."""
        self.by_status[_PENDING] += 1
        self.added += 1

    def counts(self) -> Counts:
        """Return how many of each there are."""
        return Counts(
            **{status.value: count for status, count in self.by_status.items()},
            stopping=self.stopping,
            slots=self.slots,
        )

    def exchange(self, old: TaskRecord, new: TaskRecord) -> None:
        """Count a successor in the place of a record."""
        if new.status is not old.status:
            self.by_status[old.status] -= 1
            self.by_status[new.status] += 1
        self.stopping += new.is_stopping - old.is_stopping
        self.saved = None

    def delete(self, status: TaskStatus) -> None:
        """Count a task that was deleted."""
        self.by_status[status] -= 1
        self.saved = None

    def count(self, found: Iterable[tuple[str, int, float]]) -> None:
        """Count everything anew.

        Args:
            found: What there is: a status, how many have it, how many of them are stopping.
        """
        self.by_status, self.stopping, self.saved = dict.fromkeys(TaskStatus, 0), 0, None
        for status, count, stopping in found:
            if status in self.by_status:
                self.by_status[TaskStatus(status)] = count
                self.stopping += int(stopping)

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Hold scans back, or no longer."""
        if paused is not self.paused:
            self.paused, self.saved = paused, None

    def set_slots(self, count: int) -> None:
        """Say how many slots there are."""
        if count != self.slots:
            self.slots, self.saved = count, None

    @property
    def is_found(self) -> bool:
        """Whether `load` finds it as it is: by the row, and by the tasks that were added."""
        return self.revision - self.added == self.saved

    def save(self, cursor: sqlite3.Cursor) -> None:
        """Write the row.

        Args:
            cursor: Inside a transaction.

        Raises:
            sqlite3.Error: SQLite refused.
        """
        # A bool takes SQLite ten times as long as an int.
        values = (self.revision, int(self.paused), *self.by_status.values())
        cursor.execute(_UPDATE, (*values, self.stopping, self.slots))
        self.saved, self.added = self.revision, 0


def load(cursor: sqlite3.Cursor, path: str) -> QueueState:
    """Read the row, and what was added since it was written.

    Args:
        cursor: Inside a transaction.
        path: The file, for errors.

    Raises:
        StoreVersionError: A newer version of the library has taken the database over.
        StoreCorruptError: The row is gone, or holds something else than numbers.
        sqlite3.Error: SQLite refused.
    """
    refuse_newer(cursor, path)
    row = cursor.execute(_SELECT).fetchone()
    if row is None or any(type(value) is not int for value in row):
        message = (
            f"the queue in {path!r} is damaged: it does not know its own state; put a backup in"
            " its place, or delete it to begin a new queue"
        )
        raise StoreCorruptError(message)
    revision, paused, *by_status, stopping, slots, latest = row
    counts = dict(zip(TaskStatus, by_status, strict=True))
    added = max(0, latest - revision)
    counts[_PENDING] += added
    return QueueState(*(revision + added, bool(paused), counts, stopping, slots), revision, added)
