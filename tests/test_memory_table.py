"""The tables, in memory and in a database, against a naive model: a list of rows to search."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scanqueue._lifecycle import TRANSITIONS, Event, apply, can
from scanqueue.models import LibraryId, TaskPriority, TaskStatus
from scanqueue.protocols import TaskTable
from scanqueue.records import Counts, Slot, TaskRecord
from scanqueue.stores._table import MemoryTable
from tests.bare_queue import FIRST_REVISION, NOON, WHOLE
from tests.stores.tables import Interning, new_table

MakeTable: TypeAlias = Callable[[int], TaskTable]
"""Makes an empty table whose revisions begin there."""

LIBRARIES: list[LibraryId] = [1, "1", "a", "b"]
# A failure takes a while to shrink.
pytestmark = pytest.mark.timeout(600)

LIMITS = st.none() | st.integers(0, 4)
MINUTES = st.integers(-3, 3)


class NaiveTable:
    """What a table does, in the plainest way: every answer is looked for from the start."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.rows: dict[UUID, TaskRecord] = {}
        self.slots: list[Slot] = []
        self.order_of_ending: list[UUID] = []

    def put(self, task: TaskRecord) -> None:
        """Add or replace a row."""
        self.rows[task.id] = task
        if task.status.is_ended and task.id not in self.order_of_ending:
            self.order_of_ending.append(task.id)

    def pending(self) -> list[TaskRecord]:
        """Return what waits, in order of claim."""
        waiting = [row for row in self.rows.values() if row.status is TaskStatus.PENDING]
        return sorted(waiting, key=lambda row: (-row.priority, row.rank))

    def ended(self) -> list[TaskRecord]:
        """Return what has ended, the latest end first."""
        return [self.rows[key] for key in reversed(self.order_of_ending)]

    def changed(self, after: int) -> list[TaskRecord]:
        """Return what has changed since a revision."""
        rows = [row for row in self.rows.values() if row.revision > after]
        return sorted(rows, key=lambda row: row.revision)

    def is_taken(self, library_id: LibraryId) -> bool:
        """Return whether the slot of a library is held."""
        return any(slot.library_id == library_id for slot in self.slots)

    def counts(self, since: datetime | None = None) -> Counts:
        """Count everything, but for what may be deleted."""
        statuses = [
            row.status
            for row in self.rows.values()
            if since is None
            or row.completed_at is None
            or row.holds_slot
            or row.completed_at >= since
        ]
        return Counts(
            pending=statuses.count(TaskStatus.PENDING),
            running=statuses.count(TaskStatus.RUNNING),
            completed=statuses.count(TaskStatus.COMPLETED),
            failed=statuses.count(TaskStatus.FAILED),
            cancelled=statuses.count(TaskStatus.CANCELLED),
            stopping=sum(row.is_stopping for row in self.rows.values()),
            slots=len(self.slots),
        )


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


def end_of(task: TaskRecord) -> float:
    """Return when a task ended, as a number to compare."""
    assert task.completed_at is not None
    return task.completed_at.timestamp()


class TableMachine(RuleBasedStateMachine):
    """Writes to a table whatever can happen to tasks, and asks it everything."""

    def __init__(self) -> None:
        super().__init__()
        self.table = self.new_table()
        self.naive = NaiveTable()
        self.now = NOON
        self.made = 0

    def new_table(self) -> TaskTable:
        """Return an empty table."""
        raise NotImplementedError

    def next_revision(self) -> int:
        """Take a revision; each is one more than the last."""
        revision = self.table.next_revision()
        self.naive.revision += 1
        assert revision == self.naive.revision
        return revision

    # --- writing ---

    @rule(library_id=st.sampled_from(LIBRARIES), priority=st.sampled_from(TaskPriority))
    def insert(self, library_id: LibraryId, priority: TaskPriority) -> None:
        """Add a pending task to a library that has none."""
        if any(task.library_id == library_id for task in self.naive.pending()):
            return
        self.made += 1
        task = a_record(self.made, library_id, priority, self.now, self.next_revision())
        self.table.insert(task)
        self.naive.put(task)

    @precondition(lambda self: any(row.status.is_active for row in self.naive.rows.values()))
    @rule(data=st.data(), priority=st.sampled_from(TaskPriority))
    def change(self, data: st.DataObject, priority: TaskPriority) -> None:
        """Let one thing happen to an active or stopping task, slot and all."""
        live = [row for row in self.naive.rows.values() if row.status.is_active or row.holds_slot]
        old = data.draw(st.sampled_from(live))
        event = data.draw(st.sampled_from([event for event in Event if can(old, event)]))
        if self.would_be_second(old, event):
            return
        new = apply(old, event, self.next_revision())
        if event is Event.UPGRADE:
            new.priority = priority
        if new.status.is_ended and not old.status.is_ended:
            new.completed_at = self.now
            new.rank = new.revision
        self.move_slot(old, new)
        self.table.replace(old, new)
        self.naive.put(new)

    def would_be_second(self, old: TaskRecord, event: Event) -> bool:
        """Return whether the library would have two pending tasks, or two slots."""
        if event is Event.CLAIM:
            return self.naive.is_taken(old.library_id)
        goes_back = event in (Event.SEND_BACK, Event.DIE) and old.status is TaskStatus.RUNNING
        return goes_back and any(row.library_id == old.library_id for row in self.naive.pending())

    def move_slot(self, old: TaskRecord, new: TaskRecord) -> None:
        """Take or free the slot, where the change does."""
        slot = Slot(old.library_id, old.id, 1, "me")
        if new.holds_slot and not old.holds_slot:
            self.table.take_slot(slot)
            self.naive.slots.append(slot)
        elif old.holds_slot and not new.holds_slot:
            self.table.free_slot(slot)
            self.naive.slots.remove(slot)

    @precondition(lambda self: self.naive.order_of_ending)
    @rule(data=st.data())
    def annotate(self, data: st.DataObject) -> None:
        """Change an ended task that stays as it is but for its error: a hand-over does."""
        old = self.naive.rows[data.draw(st.sampled_from(self.naive.order_of_ending))]
        new = old.successor(self.next_revision())
        new.error = "replaced by another one"
        self.table.replace(old, new)
        self.naive.put(new)

    @rule(minutes=MINUTES, limit=st.integers(0, 3))
    def delete(self, minutes: int, limit: int) -> None:
        """Delete some of what ended before a moment: the earliest, and none that is stopping."""
        before = self.now + timedelta(minutes=minutes)
        due = [
            row
            for row in self.naive.ended()
            if not row.holds_slot and end_of(row) < before.timestamp()
        ]
        assert self.table.delete_ended(before, limit) == min(limit, len(due))
        gone = [row for row in due if self.table.get(row.id) is None]
        left = [row for row in due if row not in gone]
        assert len(gone) == min(limit, len(due))
        assert all(end_of(one) <= end_of(two) for one in gone for two in left)
        for row in gone:
            del self.naive.rows[row.id]
            self.naive.order_of_ending.remove(row.id)

    @rule(minutes=MINUTES)
    def pass_time(self, minutes: int) -> None:
        """Set the clock, forward or back."""
        self.now += timedelta(minutes=minutes)

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:
        """Pause or resume."""
        self.table.set_paused(is_paused)
        assert self.table.paused() == is_paused

    @rule()
    def leave_a_gap(self) -> None:
        """Take a revision and use it for nothing."""
        self.next_revision()

    # --- asking ---

    @rule(
        minutes=MINUTES,
        limit=LIMITS,
        library_id=st.none() | st.sampled_from(LIBRARIES),
    )
    def ask_ended(self, minutes: int, limit: int | None, library_id: LibraryId | None) -> None:
        """What ended since a moment, inclusive, in order of ending."""
        since = self.now + timedelta(minutes=minutes)
        expected = [
            row
            for row in self.naive.ended()
            if end_of(row) >= since.timestamp() and library_id in (None, row.library_id)
        ]
        assert list(self.table.ended(since, limit, library_id)) == expected[:limit]

    @rule(back=st.integers(-3, 40), limit=LIMITS)
    def ask_changed(self, back: int, limit: int | None) -> None:
        """What changed since a revision, latest state only, in order of revision."""
        after = self.naive.revision - back
        assert list(self.table.changed(after, limit)) == self.naive.changed(after)[:limit]

    @invariant()
    def the_rows_are_the_same(self) -> None:
        """The very records, found by id, by library and by change."""
        assert list(self.table.changed(0, None)) == self.naive.changed(0)
        for task_id, row in self.naive.rows.items():
            assert self.table.get(task_id) is row
        assert self.table.get(UUID(int=0)) is None
        assert self.table.revision() == self.naive.revision
        assert self.table.counts() == self.naive.counts()

    @invariant()
    def the_ended_ones_are_in_order_of_ending(self) -> None:
        """From every moment on at which one of them ended, whatever the clock did."""
        ended = self.naive.ended()
        for since in {row.completed_at for row in ended if row.completed_at}:
            expected = [row for row in ended if end_of(row) >= since.timestamp()]
            assert list(self.table.ended(since, None, None)) == expected
            assert self.table.counts(since) == self.naive.counts(since)

    @invariant()
    def the_pending_ones_are_in_order_of_claim(self) -> None:
        """Whole, in part, one by one, and by library."""
        pending = self.naive.pending()
        for limit in (None, 0, 1, 3):
            assert list(self.table.pending(limit)) == pending[:limit]
        claimable = [row for row in pending if not self.naive.is_taken(row.library_id)]
        assert self.table.first_claimable() is (claimable[0] if claimable else None)
        oldest = min(pending, key=lambda row: row.rank, default=None)
        assert self.table.oldest_pending() is oldest
        by_library = {row.library_id: row for row in pending}
        for library_id in LIBRARIES:
            assert self.table.pending_of(library_id) is by_library.get(library_id)

    @invariant()
    def the_slots_are_in_order_of_taking(self) -> None:
        """All of them, and each by its library."""
        assert list(self.table.slots()) == self.naive.slots
        by_library = {slot.library_id: slot for slot in self.naive.slots}
        for library_id in LIBRARIES:
            assert self.table.slot_of(library_id) == by_library.get(library_id)


class MemoryTableMachine(TableMachine):
    """The table in memory."""

    def new_table(self) -> MemoryTable:
        """Return an empty one."""
        return MemoryTable(FIRST_REVISION)


class SQLiteTableMachine(TableMachine):
    """The table in a database."""

    def new_table(self) -> Interning:
        """Return an empty one."""
        return new_table(FIRST_REVISION)


TestMemoryTable = MemoryTableMachine.TestCase
TestSQLiteTable = SQLiteTableMachine.TestCase
# A step is cheap, and it takes many to end a task, let alone to delete one.
TestMemoryTable.settings = settings(
    max_examples=3 * settings().max_examples,
    stateful_step_count=2 * settings().stateful_step_count,
)
TestSQLiteTable.settings = settings(
    stateful_step_count=2 * settings().stateful_step_count,
)


@pytest.fixture(params=[MemoryTable, new_table], ids=["memory", "sqlite"])
def make_table(request: pytest.FixtureRequest) -> MakeTable:
    """Return what makes an empty table."""
    maker: MakeTable = request.param
    return maker


def a_task(table: TaskTable, library_id: LibraryId = "a") -> TaskRecord:
    """Return a pending task that is in the table."""
    revision = table.next_revision()
    task = a_record(revision, library_id, TaskPriority.NORMAL, NOON, revision)
    table.insert(task)
    return task


def test_a_new_table_is_empty(make_table: MakeTable) -> None:
    """It begins at the revision that it is given."""
    table = make_table(5)
    assert table.revision() == 5
    assert table.next_revision() == 6
    assert table.counts() == Counts()
    assert not table.paused()
    assert table.first_claimable() is None
    assert table.oldest_pending() is None


def test_replacing_what_is_not_current_is_refused(make_table: MakeTable) -> None:
    """The compare-and-set: nothing is changed."""
    table = make_table(0)
    old = a_task(table)
    new = old.successor(table.next_revision())
    table.replace(old, new)
    late = old.successor(table.next_revision())
    with pytest.raises(ValueError, match="has changed since it was read"):
        table.replace(old, late)
    assert table.get(old.id) is new
    assert table.changed(0, None) == [new]


def test_replacing_what_is_not_there_is_refused(make_table: MakeTable) -> None:
    """A task that was deleted does not come back."""
    table = make_table(0)
    old = a_task(make_table(0))
    with pytest.raises(ValueError, match="has changed since it was read"):
        table.replace(old, old.successor(2))
    assert table.get(old.id) is None
    assert table.counts() == Counts()


def test_a_slot_that_is_held_cannot_be_taken(make_table: MakeTable) -> None:
    """Not even by the same scan."""
    table = make_table(0)
    slot = Slot("a", UUID(int=1), 1, "me")
    table.take_slot(slot)
    for other in (slot, attrs.evolve(slot, owner="you")):
        with pytest.raises(ValueError, match="the slot of library 'a' is held"):
            table.take_slot(other)
    assert table.slots() == [slot]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_slot_that_is_not_held_cannot_be_freed(make_table: MakeTable, is_held: bool) -> None:
    """Nor one that another attempt holds."""
    table = make_table(0)
    slot = Slot("a", UUID(int=1), 2, "me")
    if is_held:
        table.take_slot(slot)
    with pytest.raises(ValueError, match="this slot of library 'a' is not held"):
        table.free_slot(attrs.evolve(slot, attempt=1))
    assert table.slots() == [slot] * is_held


def test_an_early_end_behind_a_clock_that_was_set_back_is_found(make_table: MakeTable) -> None:
    """What ended first has the later moment; it is in the window, the last one is not."""
    table = make_table(0)
    tasks = [a_task(table, number) for number in range(3)]
    ended = []
    for old, minutes in zip(tasks, (10, 30, 0), strict=True):
        new = apply(old, Event.CANCEL, table.next_revision())
        new.completed_at = NOON + timedelta(minutes=minutes)
        new.rank = new.revision
        table.replace(old, new)
        ended.append(new)
    first, second, _ = ended
    for library_id, expected in ((None, [second, first]), (0, [first]), (2, [])):
        assert list(table.ended(NOON + timedelta(minutes=5), None, library_id)) == expected
    assert list(table.ended(NOON + timedelta(minutes=30), None, None)) == [second]
    assert list(table.ended(NOON + timedelta(minutes=31), None, None)) == []


def test_thousands_of_changes_of_a_few_tasks_are_remembered_as_a_few(make_table: MakeTable) -> None:
    """The latest state of each is found, from every revision on."""
    table = make_table(0)
    tasks = [a_task(table, number) for number in range(3)]
    for number in range(5000):
        old = tasks.pop(0)
        new = old.successor(table.next_revision())
        table.replace(old, new)
        tasks.append(new)
        if number % 97 == 0:
            assert list(table.changed(0, None)) == sorted(tasks, key=lambda task: task.revision)
            assert list(table.changed(new.revision - 1, None)) == [new]
            assert list(table.changed(new.revision, None)) == []
    assert table.counts() == Counts(pending=3)


def test_every_event_is_one_that_the_machine_can_make() -> None:
    """So that no kind of change of a row goes untested."""
    assert {event for _, event in TRANSITIONS} == set(Event)
