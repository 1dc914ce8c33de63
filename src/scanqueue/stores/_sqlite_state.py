"""The one row that says how a queue is as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from scanqueue.errors import StoreCorruptError
from scanqueue.models import TaskStatus
from scanqueue.records import Counts
from scanqueue.stores._sqlite_schema import refuse_newer

if TYPE_CHECKING:
    import sqlite3

    from scanqueue.records import TaskRecord

_SELECT = (
    "SELECT revision, paused, pending, running, completed, failed, cancelled, stopping, slots"
    " FROM queue WHERE one = 1"
)
_UPDATE = (
    "UPDATE queue SET revision = ?, paused = ?, pending = ?, running = ?, completed = ?,"
    " failed = ?, cancelled = ?, stopping = ?, slots = ? WHERE one = 1"
)


@attrs.define
class QueueState:
    """How a queue is as a whole: kept in step with its tasks, so that nothing is counted."""

    revision: int
    paused: bool
    by_status: dict[TaskStatus, int]
    stopping: int
    slots: int

    def copy(self) -> QueueState:
        """Return a state of its own."""
        return QueueState(
            self.revision, self.paused, self.by_status.copy(), self.stopping, self.slots
        )

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

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the row.

        Raises:
            sqlite3.Error: SQLite refused.
        """
        # A bool takes SQLite ten times as long.
        counts = self.by_status.values()
        values = (self.revision, int(self.paused), *counts, self.stopping, self.slots)
        connection.execute(_UPDATE, values)


def load(connection: sqlite3.Connection, path: str) -> QueueState:
    """Read the row.

    Args:
        connection: Inside a transaction.
        path: The file, for errors.

    Raises:
        StoreVersionError: A newer version of the library has taken the database over.
        StoreCorruptError: The row is gone, or holds something else than numbers.
        sqlite3.Error: SQLite refused.
    """
    refuse_newer(connection, path)
    row = connection.execute(_SELECT).fetchone()
    if row is None or any(type(value) is not int for value in row):
        message = (
            f"the queue in {path!r} is damaged: it does not know its own state; put a backup in"
            " its place, or delete it to begin a new queue"
        )
        raise StoreCorruptError(message)
    revision, paused, *by_status, stopping, slots = row
    counts = dict(zip(TaskStatus, by_status, strict=True))
    return QueueState(revision, bool(paused), counts, stopping, slots)
