"""Tables in databases that are gone with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import attrs

from scanqueue.models import LibraryId
from scanqueue.protocols import TaskTable
from scanqueue.records import Counts, Slot, TaskRecord
from scanqueue.stores._sqlite_rows import to_text
from scanqueue.stores._sqlite_schema import upgrade
from scanqueue.stores._sqlite_state import load
from scanqueue.stores._sqlite_table import SQLiteTable
from scanqueue.stores._unreadable import Unreadable


def table_in_memory(revision: int) -> SQLiteTable:
    """Return the table of a database that is gone with it, in a transaction without end."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.text_factory = to_text
    upgrade(connection, "memory")
    connection.execute("INSERT INTO queue (one, revision) VALUES (1, ?)", (revision,))
    connection.execute("BEGIN")
    cursor = connection.cursor()
    return SQLiteTable(cursor, "memory", Unreadable(), load(cursor, "memory"))


def values_of(task: TaskRecord) -> tuple[object, ...]:
    """Return all fields of a record, which has no equality of its own."""
    return attrs.astuple(task, recurse=False)


class Interning:
    """A table that gives out the very records that were put in, if they came back unchanged.

    So tests that compare by identity check every field.

    Args:
        records: Those that were put in so far.
        table: The other one.
    """

    def __init__(self, records: dict[UUID, TaskRecord], table: TaskTable) -> None:
        self.records = records
        self.inner = table

    def _one(self, task: TaskRecord | None) -> TaskRecord | None:
        if task is None:
            return None
        known = self.records[task.id]
        assert values_of(task) == values_of(known)
        return known

    def _all(self, tasks: Sequence[TaskRecord]) -> list[TaskRecord]:
        return [known for known in map(self._one, tasks) if known is not None]

    def revision(self) -> int:
        """Do what the other one does."""
        return self.inner.revision()

    def paused(self) -> bool:
        """Do what the other one does."""
        return self.inner.paused()

    def counts(self, since: datetime | None = None) -> Counts:
        """Do what the other one does."""
        return self.inner.counts(since)

    def get(self, task_id: UUID) -> TaskRecord | None:
        """Do what the other one does."""
        return self._one(self.inner.get(task_id))

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        """Do what the other one does."""
        return self._one(self.inner.pending_of(library_id))

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        """Do what the other one does."""
        return self.inner.slot_of(library_id)

    def slots(self) -> list[Slot]:
        """Do what the other one does."""
        return list(self.inner.slots())

    def first_claimable(self) -> TaskRecord | None:
        """Do what the other one does."""
        return self._one(self.inner.first_claimable())

    def oldest_pending(self) -> TaskRecord | None:
        """Do what the other one does."""
        return self._one(self.inner.oldest_pending())

    def pending(self, limit: int | None) -> list[TaskRecord]:
        """Do what the other one does."""
        return self._all(self.inner.pending(limit))

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        """Do what the other one does."""
        return self._all(self.inner.ended(since, limit, library_id))

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        """Do what the other one does."""
        return self._all(self.inner.changed(after, limit))

    def next_revision(self) -> int:
        """Do what the other one does."""
        return self.inner.next_revision()

    def insert(self, task: TaskRecord) -> None:
        """Do what the other one does."""
        self.inner.insert(task)
        self.records[task.id] = task

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        """Do what the other one does."""
        self.inner.replace(old, new)
        self.records[new.id] = new

    def take_slot(self, slot: Slot) -> None:
        """Do what the other one does."""
        self.inner.take_slot(slot)

    def free_slot(self, slot: Slot) -> None:
        """Do what the other one does."""
        self.inner.free_slot(slot)

    def set_paused(self, paused: bool) -> None:
        """Do what the other one does."""
        self.inner.set_paused(paused)

    def delete_ended(self, before: datetime, limit: int) -> int:
        """Do what the other one does."""
        return self.inner.delete_ended(before, limit)
