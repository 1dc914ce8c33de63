"""A state machine that drives a store beside a plain table; here hypothesis is needed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID, uuid4

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scanqueue._lifecycle import Event, apply, can
from scanqueue._validate import wrong_value
from scanqueue.models import TaskPriority, TaskProgress, TaskStatus
from scanqueue.records import Slot, TaskRecord
from scanqueue.testing._checks.plain_table import PlainTable
from scanqueue.testing._checks.running import expect, expect_equal, expect_raises
from scanqueue.testing._checks.store_bench import FIRST_REVISION
from scanqueue.testing._checks.tasks import NOON, WHOLE, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scanqueue.models import LibraryId
    from scanqueue.protocols import TaskStore, TaskTable, TaskView

LIBRARIES: Final[list[LibraryId]] = [1, "1", "a", "b"]

_LIMITS = st.none() | st.integers(0, 4)
_MINUTES = st.integers(-3, 3)


class _BreakOff(Exception):  # noqa: N818 - it says what is done
    """What a write is left by."""


class StoreMachine(RuleBasedStateMachine):
    """Writes to a store whatever can happen to tasks, and asks it everything after each step."""

    make_store: ClassVar[Callable[[], TaskStore]]
    """Makes the store of a new queue."""
    reopen: ClassVar[Callable[[TaskStore], TaskStore] | None]
    """Makes another store of the queue of a store; None: that is not possible."""

    def __init__(self) -> None:
        super().__init__()
        store = type(self).make_store()
        if store.durable and type(self).reopen is None:
            wrong_value("reopen", None, "given for a store that is durable")
        self.store = self._open(store)
        self.plain = PlainTable(FIRST_REVISION)
        self.now = NOON
        self.made = 0
        self.stale: TaskRecord | None = None
        """A record that was replaced."""

    def teardown(self) -> None:
        """Close the store."""
        self.store.close()

    @staticmethod
    def _open(store: TaskStore) -> TaskStore:
        store.open(uuid4().hex, FIRST_REVISION)
        return store

    def _next_revision(self, table: TaskTable) -> int:
        revision = table.next_revision()
        expect(revision > self.plain.revision, "a revision is not above those before it")
        self.plain.revision = revision
        return revision

    # --- writing ---

    @rule(library_id=st.sampled_from(LIBRARIES), priority=st.sampled_from(TaskPriority))
    def insert(self, library_id: LibraryId, priority: TaskPriority) -> None:
        """Add a pending task to a library that has none."""
        if not self._waits(library_id):
            with self.store.write() as table:
                self._insert(table, library_id, priority)

    def _waits(self, library_id: LibraryId) -> bool:
        return any(task.library_id == library_id for task in self.plain.pending())

    def _insert(self, table: TaskTable, library_id: LibraryId, priority: TaskPriority) -> None:
        self.made += 1
        revision = self._next_revision(table)
        task = TaskRecord(
            id=UUID(int=self.made),
            library_id=library_id,
            priority=priority,
            status=TaskStatus.PENDING,
            scope=WHOLE,
            created_at=self.now,
            revision=revision,
            rank=revision,
        )
        table.insert(task)
        self.plain.put(task)

    @precondition(lambda self: self.plain.live())
    @rule(data=st.data(), priority=st.sampled_from(TaskPriority), sync=st.booleans())
    def change(self, data: st.DataObject, priority: TaskPriority, sync: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        """Let one thing happen to an active or stopping task, slot and all."""
        known = data.draw(st.sampled_from(self.plain.live()))
        events = [event for event in Event if can(known, event)]
        possible = [event for event in events if not self._would_be_second(known, event)]
        event = data.draw(st.sampled_from(possible))
        with self.store.write(sync=sync) as table:
            old = self._current(table, known)
            new = apply(old, event, self._next_revision(table))
            progress = TaskProgress(scanned_paths=new.revision, message=f"{self.made}")
            changes: dict[Event, dict[str, object]] = {
                Event.UPGRADE: {"priority": priority},
                Event.CLAIM: {"attempt": old.attempt + 1, "started_at": self.now},
                Event.REPORT: {"progress": progress},
            }
            for name, value in changes.get(event, {}).items():
                setattr(new, name, value)
            if new.status.is_ended and not old.status.is_ended:
                new.completed_at, new.rank = self.now, new.revision
            self._move_slot(table, old, new)
            table.replace(old, new)
            self.plain.put(new)
            self.stale = old

    def _would_be_second(self, old: TaskRecord, event: Event) -> bool:
        """Return whether the library would have two pending tasks, or two slots."""
        if event is Event.CLAIM:
            return any(slot.library_id == old.library_id for slot in self.plain.slots)
        goes_back = event in {Event.SEND_BACK, Event.DIE} and old.status is TaskStatus.RUNNING
        return goes_back and self._waits(old.library_id)

    def _move_slot(self, table: TaskTable, old: TaskRecord, new: TaskRecord) -> None:
        """Take or free the slot, where the change does."""
        slot = Slot(old.library_id, old.id, new.attempt, "somebody")
        if new.holds_slot and not old.holds_slot:
            table.take_slot(slot)
            self.plain.slots.append(slot)
        elif old.holds_slot and not new.holds_slot:
            table.free_slot(slot)
            self.plain.slots.remove(slot)

    @staticmethod
    def _current(table: TaskTable, known: TaskRecord) -> TaskRecord:
        found = table.get(known.id)
        _expect_same([] if found is None else [found], [known], "`get`")
        assert found is not None
        return found

    @precondition(lambda self: self.plain.order_of_ending)
    @rule(data=st.data())
    def annotate(self, data: st.DataObject) -> None:
        """Change an ended task that stays as it is but for its error: a hand-over does."""
        known = self.plain.rows[data.draw(st.sampled_from(self.plain.order_of_ending))]
        with self.store.write() as table:
            old = self._current(table, known)
            new = old.successor(self._next_revision(table))
            new.error = "replaced by another one"
            table.replace(old, new)
            self.plain.put(new)

    @rule(minutes=_MINUTES, limit=st.integers(0, 3))
    def delete(self, minutes: int, limit: int) -> None:
        """Delete some of what ended before a moment: the earliest, and none that is stopping."""
        before = self.now + timedelta(minutes=minutes)
        due = self.plain.deletable(before)
        with self.store.write() as table:
            deleted = table.delete_ended(before, limit)
            gone = [task for task in due if table.get(task.id) is None]
        expect_equal((deleted, len(gone)), (min(limit, len(due)),) * 2, "deleted, and gone, are")
        left = [task for task in due if task not in gone]
        earliest = all(_end_of(one) <= _end_of(two) for one in gone for two in left)
        expect(earliest, "`delete_ended` left an earlier end than it deleted")
        for task in gone:
            self.plain.delete(task)

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        """Pause or resume."""
        with self.store.write() as table:
            table.set_paused(is_paused)
        self.plain.paused = is_paused

    @rule()
    def leave_a_gap(self) -> None:
        """Take a revision and use it for nothing."""
        with self.store.write() as table:
            self._next_revision(table)

    @rule(library_id=st.sampled_from(LIBRARIES))
    def break_off(self, library_id: LibraryId) -> None:
        """Leave a write by an exception: all of it is gone, or, in memory, all of it is there."""
        if self._waits(library_id):
            return
        before = self.plain.copy()
        task_id = UUID(int=self.made + 1)
        try:
            with self.store.write() as table:
                self._insert(table, library_id, TaskPriority.NORMAL)
                table.set_paused(not before.paused)
                self.plain.paused = not before.paused
                raise _BreakOff
        except _BreakOff:
            with self.store.read() as view:
                is_there = view.get(task_id) is not None
                revision = view.revision()
        expect(not (is_there and self.store.durable), "a write that was broken off is there")
        if not is_there:
            self.plain = before
            self.plain.revision = revision

    @rule(minutes=_MINUTES)
    def pass_time(self, minutes: int) -> None:
        """Set the clock, forward or back."""
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.store.durable)
    @rule()
    def restart(self) -> None:
        """Close the store, and open another one of the same queue."""
        reopen = type(self).reopen
        assert reopen is not None
        another = reopen(self.store)
        expect(another is not self.store, "`reopen` gave back the store that it was given")
        self.store.close()
        self.store = self._open(another)

    @precondition(lambda self: self.stale is not None)
    @rule()
    def replace_what_is_not_current(self) -> None:
        """Replace a record that was replaced before, which changes nothing."""
        assert self.stale is not None
        with self.store.write() as table:
            late = self.stale.successor(self._next_revision(table))
            with expect_raises(ValueError, "it replaced a record that was not current"):
                table.replace(self.stale, late)

    @precondition(lambda self: self.plain.slots)
    @rule(data=st.data())
    def mistake_a_slot(self, data: st.DataObject) -> None:
        """Take a slot that is held, and free one that is another's, which changes nothing."""
        held = data.draw(st.sampled_from(self.plain.slots))
        with self.store.write() as table:
            with expect_raises(ValueError, "it took a slot that was held"):
                table.take_slot(held)
            with expect_raises(ValueError, "it freed the slot of another owner"):
                table.free_slot(attrs.evolve(held, owner="another"))

    # --- asking ---

    @rule(minutes=_MINUTES, limit=_LIMITS, library_id=st.none() | st.sampled_from(LIBRARIES))
    def ask_ended(self, minutes: int, limit: int | None, library_id: LibraryId | None) -> None:
        """What ended since a moment, inclusive, in order of ending."""
        since = self.now + timedelta(minutes=minutes)
        expected = self.plain.ended(since, library_id)[:limit]
        with self.store.read() as view:
            _expect_same(view.ended(since, limit, library_id), expected, "`ended`")

    @rule(back=st.integers(-3, 40), limit=_LIMITS)
    def ask_changed(self, back: int, limit: int | None) -> None:
        """What changed since a revision, latest state only, in order of revision."""
        after = self.plain.revision - back
        with self.store.read() as view:
            _expect_same(view.changed(after, limit), self.plain.changed(after)[:limit], "`changed`")

    @invariant()
    def the_store_says_what_the_plain_table_says(self) -> None:
        """In one read, about everything."""
        with self.store.read() as view:
            self._compare_rows(view)
            self._compare_ended(view)
            self._compare_pending(view)
            self._compare_slots(view)

    def _compare_rows(self, view: TaskView) -> None:
        plain = self.plain
        _expect_same(view.changed(0, None), plain.changed(0), "`changed`")
        for task_id, row in plain.rows.items():
            _expect_same(_one(view.get(task_id)), [row], "`get`")
        expect_equal(view.get(UUID(int=0)), None, "`get` of an unknown id is")
        expect_equal(view.revision(), plain.revision, "`revision` is")
        expect_equal(view.paused(), plain.paused, "`paused` is")
        expect_equal(view.counts(), plain.counts(), "the counts are")

    def _compare_ended(self, view: TaskView) -> None:
        """From every moment on at which a task ended, whatever the clock did."""
        ended = self.plain.ended()
        for since in {row.completed_at for row in ended if row.completed_at}:
            _expect_same(view.ended(since, None, None), self.plain.ended(since), "`ended`")
            expect_equal(view.counts(since), self.plain.counts(since), "the counts since are")

    def _compare_pending(self, view: TaskView) -> None:
        """Whole, in part, one by one, and by library."""
        pending = self.plain.pending()
        for limit in (None, 0, 1, 3):
            _expect_same(view.pending(limit), pending[:limit], "`pending`")
        claimable = self.plain.claimable()[:1]
        _expect_same(_one(view.first_claimable()), claimable, "`first_claimable`")
        oldest = sorted(pending, key=lambda row: row.rank)[:1]
        _expect_same(_one(view.oldest_pending()), oldest, "`oldest_pending`")
        for library_id in LIBRARIES:
            of_library = [row for row in pending if row.library_id == library_id]
            _expect_same(_one(view.pending_of(library_id)), of_library, "`pending_of`")

    def _compare_slots(self, view: TaskView) -> None:
        """All of them in the order of taking, and each by its library."""
        expect_equal(list(view.slots()), self.plain.slots, "`slots` gives")
        by_library: dict[Any, Slot] = {slot.library_id: slot for slot in self.plain.slots}
        for library_id in LIBRARIES:
            expect_equal(view.slot_of(library_id), by_library.get(library_id), "`slot_of` gives")


def _one(task: TaskRecord | None) -> list[TaskRecord]:
    return [] if task is None else [task]


def _expect_same(found: Iterable[TaskRecord], expected: list[TaskRecord], what: str) -> None:
    """Raise if these are not the same records, in every field, in the same order."""
    found = list(found)
    are_same = len(found) == len(expected) and all(
        one is two or values_of(one) == values_of(two)
        for one, two in zip(found, expected, strict=True)
    )
    if not are_same:
        expect_equal(found, expected, f"{what} gives")


def _end_of(task: TaskRecord) -> float:
    """Return when a task ended, as a number to compare."""
    assert task.completed_at is not None
    return task.completed_at.timestamp()
