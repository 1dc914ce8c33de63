"""What a queue looks like from outside, and one step from such a look to the next."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import attrs

from scanqueue.models import LibraryId, TaskStatus
from scanqueue.records import Counts, Slot, TaskRecord
from tests.bare_queue import BareQueue
from tests.exhaustive.moves import Move

M_co = TypeVar("M_co", bound=Move, covariant=True)

ACTIVE = (TaskStatus.PENDING, TaskStatus.RUNNING)


@attrs.frozen(eq=False)
class Moment:
    """All that a table says, asked in one moment.

    Records are never changed, so two moments are compared by which records they hold.
    """

    now: datetime
    revision: int
    is_paused: bool
    counts: Counts
    changed: tuple[TaskRecord, ...]
    """Every task, in order of revision, as the table has it."""
    pending: tuple[TaskRecord, ...]
    """The pending tasks in order of claim, as the table has it."""
    slots: tuple[Slot, ...]
    tasks: dict[UUID, TaskRecord]
    """The same as `changed`, by id. Ids grow in order of submission."""

    def of(self, library_id: LibraryId, *statuses: TaskStatus) -> list[TaskRecord]:
        """Return the tasks of a library that have one of the statuses, in order of submission."""
        found = [
            task
            for task in self.changed
            if task.library_id == library_id and task.status in statuses
        ]
        return sorted(found, key=submission)

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        """Return the slot of a library."""
        return next((slot for slot in self.slots if slot.library_id == library_id), None)


def submission(task: TaskRecord) -> int:
    """Return the place of a task in the order of submission, whatever its rank says."""
    return task.id.int


def observe(queue: BareQueue) -> Moment:
    """Ask a queue everything."""
    table = queue.table
    changed = tuple(table.changed(0, None))
    return Moment(
        queue.now,
        table.revision(),
        table.paused(),
        table.counts(),
        changed,
        tuple(table.pending(None)),
        tuple(table.slots()),
        {task.id: task for task in changed},
    )


def is_still(queue: BareQueue, moment: Moment) -> bool:
    """Return whether nothing has happened to a queue since a moment."""
    table = queue.table
    return (
        table.revision() == moment.revision
        and table.changed(0, None) == list(moment.changed)
        and table.slots() == list(moment.slots)
        and table.paused() == moment.is_paused
        and queue.now == moment.now
    )


@attrs.frozen(eq=False)
class Step(Generic[M_co]):
    """One move: what was, what was done, what it answered, and what is."""

    before: Moment
    move: M_co
    answer: object
    """What the rule returned, or the error that it raised."""
    after: Moment
    changes: tuple[tuple[TaskRecord, TaskRecord], ...] = ()
    """The tasks that changed, as they were and as they are, in order of revision."""
    made: tuple[TaskRecord, ...] = ()
    """The tasks that are new."""
    gone: tuple[TaskRecord, ...] = ()
    """The tasks that are no more."""

    @property
    def is_still(self) -> bool:
        """Whether nothing has happened."""
        return self.after is self.before


def step_between(before: Moment, move: Move, answer: object, after: Moment) -> Step[Move]:
    """Return the step from one moment to another, with all that has happened in it."""
    old, new = before.tasks, after.tasks
    changes, made = [], []
    for task in after.changed:
        was = old.get(task.id)
        if was is None:
            made.append(task)
        elif was is not task:
            changes.append((was, task))
    gone = [task for task in before.changed if task.id not in new]
    return Step(before, move, answer, after, tuple(changes), tuple(made), tuple(gone))
