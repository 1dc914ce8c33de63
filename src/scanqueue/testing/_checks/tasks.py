"""Tasks to put into a store that is checked, and the changes that they go through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count as count_up
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import uuid4

import attrs

from scanqueue.models import ScanScope, TaskPriority, TaskStatus
from scanqueue.records import Slot, TaskRecord
from scanqueue.testing._checks.running import Unkept, expect_equal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scanqueue.models import LibraryId
    from scanqueue.protocols import TaskTable
    from scanqueue.records import OwnerId

WHOLE = ScanScope()
NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)
MANY = 150
"""So many tasks do not go on one page."""


def minutes(count: float) -> timedelta:
    """Return so many minutes."""
    return timedelta(minutes=count)


_submitted = count_up(1)
"""Counts the tasks that were submitted, of whatever store."""


def submit(
    table: TaskTable,
    library_id: LibraryId = "music",
    priority: TaskPriority = TaskPriority.NORMAL,
    *,
    rank: int | None = None,
) -> TaskRecord:
    """Insert a PENDING task.

    By the wall clock, which somebody sets back all the time, each was created a second before the
    last one: what is first goes by rank, and never by moments.

    Args:
        table: Where.
        library_id: Of which library.
        priority: How urgent.
        rank: Its rank; None: the revision of its submission, as it always is.
    """
    revision = table.next_revision()
    task = TaskRecord(
        id=uuid4(),
        library_id=library_id,
        priority=priority,
        status=TaskStatus.PENDING,
        scope=WHOLE,
        created_at=NOON - timedelta(seconds=next(_submitted)),
        revision=revision,
        rank=revision if rank is None else rank,
    )
    table.insert(task)
    return task


def current(table: TaskTable, task: TaskRecord) -> TaskRecord:
    """Return a task as the table has it now."""
    found = table.get(task.id)
    if found is None:
        raise Unkept("a task that was inserted is not there")
    return found


def change(table: TaskTable, task: TaskRecord, **fields: object) -> TaskRecord:
    """Replace a task by a successor that differs in some fields."""
    new = task.successor(table.next_revision())
    for name, value in fields.items():
        setattr(new, name, value)
    table.replace(current(table, task), new)
    return new


def claim(
    table: TaskTable, task: TaskRecord, owner: OwnerId = "somebody"
) -> tuple[TaskRecord, Slot]:
    """Let a scan of a task begin; return the RUNNING task and its slot."""
    slot = Slot(task.library_id, task.id, task.attempt + 1, owner)
    table.take_slot(slot)
    running = change(
        table,
        task,
        status=TaskStatus.RUNNING,
        holds_slot=True,
        attempt=slot.attempt,
        started_at=NOON,
    )
    return running, slot


def end(
    table: TaskTable,
    task: TaskRecord,
    at: datetime = NOON,
    *,
    status: TaskStatus = TaskStatus.CANCELLED,
    slot: Slot | None = None,
) -> TaskRecord:
    """Let a task end; one that holds a slot keeps it, unless it is given.

    Args:
        table: Where.
        task: Which.
        at: When, by the wall clock.
        status: How.
        slot: The slot to free with it.
    """
    new = task.successor(table.next_revision())
    new.status, new.completed_at, new.rank = status, at, new.revision
    if slot is not None:
        table.free_slot(slot)
        new.holds_slot = False
    table.replace(current(table, task), new)
    return new


def values_of(task: TaskRecord) -> tuple[object, ...]:
    """Return all fields of a record, which has no equality of its own, and their kinds."""
    values = _fields(task)
    return *values, *map(_kind, values)


def _kind(value: object) -> object:
    """Return what must be the same of two values beside that they are equal."""
    return value.utcoffset() if isinstance(value, datetime) else type(value)


_fields = attrgetter(*(field.name for field in attrs.fields(TaskRecord)))


def expect_same(found: TaskRecord | None, expected: TaskRecord, what: str) -> None:
    """Raise if a record is not the one that was written, in every field and its type and zone."""
    if found is None:
        raise Unkept(f"{what} is not there")
    for field in attrs.fields(TaskRecord):
        value, written = getattr(found, field.name), getattr(expected, field.name)
        if value != written or _kind(value) != _kind(written):
            raise Unkept(f"{field.name} of {what} is {value!r:.100}, not {written!r:.100}")


def expect_tasks(found: Iterable[TaskRecord], expected: Iterable[TaskRecord], what: str) -> None:
    """Raise if records are not the expected ones, by library and revision, in the same order."""
    expect_equal(
        [(task.library_id, task.revision) for task in found],
        [(task.library_id, task.revision) for task in expected],
        f"{what} gives (library, revision)",
    )
