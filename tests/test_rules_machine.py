"""The rules over a bare table against a plain queue, through any sequence of calls."""

from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from scanqueue import _rules
from scanqueue._rules import Ending
from scanqueue.errors import QueueFullError, TaskNotCancellableError, TaskNotFoundError
from scanqueue.models import (
    EndReason,
    LibraryId,
    ScanScope,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.records import Slot, TaskRecord
from tests.bare_queue import BareQueue
from tests.plain_queue import MINUTE, SCOPES, PlainQueue, PlainScan, PlainTask, files_of
from tests.task_invariants import check_task

LIBRARIES: list[LibraryId] = [1, "1", "music"]
OWNERS = ["one", "two", "three"]
ENDINGS = [
    Ending(TaskResult(added_count=3)),
    Ending(None, EndReason.ERROR, "OSError: disk on fire"),
    Ending(None, EndReason.UNAVAILABLE, "LibraryUnavailable: unplugged"),
]

# A failure takes a while to shrink.
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

libraries = st.sampled_from(LIBRARIES)
few = st.integers(0, 3)


class RulesMachine(RuleBasedStateMachine):
    """Every rule in any order; `is_durable` says what a shutdown does."""

    is_durable: ClassVar[bool]

    task_ids = Bundle("task_ids")
    slots = Bundle("slots")

    def __init__(self) -> None:
        super().__init__()
        self.real = BareQueue()
        self.plain = PlainQueue()
        self.made = 0
        self.seen_revision = self.real.table.revision()
        self.seen: dict[UUID, TaskRecord] = {}

    # --- what users do ---

    @rule(
        target=task_ids,
        library_id=libraries,
        priority=st.sampled_from(TaskPriority),
        scope=st.sampled_from(SCOPES),
        when_running=st.sampled_from(WhenRunning),
        max_pending=st.none() | few,
    )
    def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority,
        scope: ScanScope,
        when_running: WhenRunning,
        max_pending: int | None,
    ) -> UUID | MultipleResults[UUID]:
        """Ask for a scan."""
        new_id = UUID(int=self.made + 1)
        expected = self.plain.submit(
            library_id,
            priority,
            scope,
            when_running,
            new_id=new_id,
            max_pending=max_pending,
            now=self.real.now,
        )
        if expected is None:
            with pytest.raises(QueueFullError):
                self.real.submit(library_id, priority, scope, when_running, max_pending=max_pending)
            return multiple()
        task, outcome = self.real.submit(
            library_id, priority, scope, when_running, max_pending=max_pending
        )
        assert (task.id, outcome) == expected
        self.made += task.id == new_id
        return task.id

    @rule(task_id=task_ids)
    def cancel(self, task_id: UUID) -> None:
        """Cancel a task, be it that it has ended or was pruned."""
        task = self.plain.get(task_id)
        if task is None:
            with pytest.raises(TaskNotFoundError):
                self.real.cancel(task_id)
        elif task.status.is_ended:
            with pytest.raises(TaskNotCancellableError):
                self.real.cancel(task_id)
        else:
            self.plain.cancel(task, self.real.now)
            assert self.real.cancel(task_id).id == task_id

    @rule(library_id=libraries)
    def cancel_library(self, library_id: LibraryId) -> None:
        """Cancel what is active of a library."""
        expected = self.plain.cancel_library(library_id, self.real.now)
        assert [task.id for task in self.real.cancel_library(library_id)] == expected

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:
        """Pause or resume."""
        self.real.table.set_paused(is_paused)
        self.plain.is_paused = is_paused

    # --- what workers do ---

    @initialize(target=slots, is_busy=st.booleans())
    def begin(self, is_busy: bool) -> MultipleResults[Slot]:
        """Begin with a scan of each library, so that the rare things are not too far away."""
        found = []
        for library_id in LIBRARIES * is_busy:
            self.submit(library_id, TaskPriority.NORMAL, SCOPES[2], WhenRunning.JOIN, None)
            found.append(self.claim("one", None))
        return multiple(*(slot for slot in found if isinstance(slot, Slot)))

    @rule(target=slots, owner=st.sampled_from(OWNERS), max_running=st.none() | st.integers(1, 3))
    def claim(self, owner: str, max_running: int | None) -> Slot | MultipleResults[Slot]:
        """Begin the next scan."""
        expected = self.plain.claim(owner, max_running, self.real.now)
        claimed = self.real.try_claim(owner, max_running=max_running)
        if claimed is None:
            assert expected is None
            return multiple()
        task, slot = claimed
        assert scan_of(slot) == expected
        assert task is self.real.get(slot.task_id)
        return slot

    @rule(slot=slots, scanned_paths=few)
    def report(self, slot: Slot, scanned_paths: int) -> None:
        """Publish progress of a scan, be it that it has lost its slot long ago."""
        self.plain.report(scan_of(slot), scanned_paths)
        task = self.real.report(slot, scanned_paths)
        assert (task is not None) == bool(self.plain.touched)

    @rule(slot=slots, ending=st.sampled_from(ENDINGS), scanned_paths=few)
    def finish(self, slot: Slot, ending: Ending, scanned_paths: int) -> None:
        """Have a scanner return, be it that it has lost its slot long ago."""
        failure = None
        if ending.reason is not None and ending.error is not None:
            failure = (ending.reason, ending.error)
        self.plain.finish(scan_of(slot), ending.result, failure, scanned_paths, self.real.now)
        task = self.real.finish(slot, ending, scanned_paths=scanned_paths)
        assert (task is not None) == bool(self.plain.touched)

    @rule(slot=slots)
    def stop(self, slot: Slot) -> None:
        """Ask a scan to stop because of a shutdown."""
        self.plain.stop(scan_of(slot), self.real.now, is_durable=self.is_durable)
        task = self.real.stop(slot, durable=self.is_durable)
        assert (task is not None) == bool(self.plain.touched)
        assert task is None or task is self.real.get(slot.task_id)

    # --- what time does ---

    @rule(minutes=st.integers(-3, 5))
    def pass_time(self, minutes: int) -> None:
        """Set the clock, forward or back."""
        self.real.pass_time(60 * minutes)

    @rule(minutes=st.integers(-2, 3))
    def prune(self, minutes: int) -> None:
        """Forget what ended before a moment."""
        before = self.real.now - minutes * MINUTE
        assert self.real.prune(before) == self.plain.prune(before)

    @rule(minutes=st.integers(-3, 3), limit=st.none() | few)
    def look_at_history(self, minutes: int, limit: int | None) -> None:
        """In order of ending, whatever the clock did."""
        since = self.real.now + minutes * MINUTE
        found = [task.id for task in self.real.table.ended(since, limit, None)]
        assert found == self.plain.history(since)[:limit]

    # --- what must hold after each step ---

    @invariant()
    def every_task_is_as_the_contract_has_it(self) -> None:
        """Compared in all that users may know, and found in the order of claim."""
        assert {task.id for task in self.plain.tasks} == {
            task.id for task in self.real.everything()
        }
        for plain in self.plain.tasks:
            compare(self.real.get(plain.id), plain)
        claim_order = [task.id for task in self.real.table.pending(None)]
        assert claim_order == [task.id for task in self.plain.pending()]

    @invariant()
    def the_changes_are_those_that_happened(self) -> None:
        """Each has a new revision of its own, and what did not change has none."""
        table = self.real.table
        changed = table.changed(self.seen_revision, None)
        revisions = [task.revision for task in changed]
        assert {task.id for task in changed} == set(self.plain.touched)
        assert revisions == sorted(set(revisions))
        assert all(self.seen_revision < revision <= table.revision() for revision in revisions)
        everything = self.real.everything()
        for after in (0, self.seen_revision - 3, self.seen_revision + 1, table.revision()):
            newer = [task for task in everything if task.revision > after]
            assert table.changed(after, None) == newer
            assert table.changed(after, 1) == newer[:1]
        self.plain.touched.clear()
        self.seen_revision = table.revision()

    @invariant()
    def nothing_moves_the_wrong_way(self) -> None:
        """Ended tasks stay ended, priorities and attempts never fall, ranks and ids stay."""
        now = {task.id: task for task in self.real.everything()}
        for task_id, old in self.seen.items():
            new = now.get(task_id)
            if new is None:
                assert old.status.is_ended
                assert not old.holds_slot
                continue
            assert new.priority >= old.priority
            assert new.priority == old.priority or old.status is TaskStatus.PENDING
            assert new.revision >= old.revision
            assert new.attempt >= old.attempt
            assert new.interruptions >= old.interruptions
            assert new.created_at == old.created_at
            ends = new.status.is_ended and not old.status.is_ended
            assert new.rank == (new.revision if ends else old.rank)
            if old.status.is_ended:
                assert (new.status, new.reason, new.completed_at, new.scope) == (
                    *(old.status, old.reason, old.completed_at, old.scope),
                )
                assert old.holds_slot or not new.holds_slot
        self.seen = now

    @invariant()
    def no_library_is_scanned_twice_or_waits_twice(self) -> None:
        """At most one RUNNING and one PENDING task, and one slot, of each library."""
        everything = self.real.everything()
        for status in (TaskStatus.RUNNING, TaskStatus.PENDING):
            libraries = [task.library_id for task in everything if task.status is status]
            assert len(libraries) == len(set(libraries))
        slots = list(self.real.table.slots())
        assert [scan_of(slot) for slot in slots] == self.plain.scans
        holders = {(task.id, task.attempt) for task in everything if task.holds_slot}
        assert holders == {(slot.task_id, slot.attempt) for slot in slots}
        for slot in slots:
            is_running = self.real.get(slot.task_id).status is TaskStatus.RUNNING
            assert _rules.is_lost(self.real.table, slot, 0) == (not is_running)

    @invariant()
    def the_counts_are_right(self) -> None:
        """Kept, not counted, and yet the same."""
        counts = self.real.table.counts()
        everything = self.real.everything()
        by_status = dict.fromkeys(TaskStatus, 0)
        for task in everything:
            by_status[task.status] += 1
        assert by_status == {
            TaskStatus.PENDING: counts.pending,
            TaskStatus.RUNNING: counts.running,
            TaskStatus.COMPLETED: counts.completed,
            TaskStatus.FAILED: counts.failed,
            TaskStatus.CANCELLED: counts.cancelled,
        }
        assert counts.stopping == sum(task.is_stopping for task in everything)
        assert counts.slots == len(self.plain.scans)


def scan_of(slot: Slot) -> PlainScan:
    """Return a slot as the plain queue has it."""
    return PlainScan(slot.library_id, slot.task_id, slot.attempt, slot.owner)


def compare(real: TaskRecord, plain: PlainTask) -> None:
    """Compare all that users may know of a task."""
    check_task(real.snapshot())
    assert (real.library_id, real.priority, real.status) == (
        *(plain.library_id, plain.priority, plain.status),
    )
    assert (files_of(real.scope), real.scope.deep) == (plain.files, plain.is_deep)
    assert (real.created_at, real.started_at, real.completed_at) == (
        *(plain.created_at, plain.started_at, plain.completed_at),
    )
    assert (real.progress.scanned_paths, real.result) == (plain.scanned_paths, plain.result)
    assert (real.reason, real.attempt, real.interruptions, real.holds_slot) == (
        *(plain.reason, plain.attempt, plain.interruptions, plain.holds_slot),
    )
    assert (real.error is None) == (plain.error is None)
    assert plain.error is None or plain.error in str(real.error)


class VolatileMachine(RulesMachine):
    """A queue whose tasks end with it."""

    is_durable = False

    @rule(limit=few)
    def end_pending(self, limit: int) -> None:
        """End pending tasks because of a shutdown."""
        expected = self.plain.end_pending(limit, self.real.now)
        assert [task.id for task in self.real.end_pending(limit)] == expected


class DurableMachine(RulesMachine):
    """A queue whose tasks outlive their processes."""

    is_durable = True

    @precondition(lambda self: self.plain.scans)
    @rule(data=st.data(), max_interruptions=st.integers(1, 3))
    def recover(self, data: st.DataObject, max_interruptions: int) -> None:
        """Take note that processes have died, among them one that held a slot."""
        at_work = sorted({scan.owner for scan in self.plain.scans})
        dead = {data.draw(st.sampled_from(at_work)), data.draw(st.sampled_from(OWNERS))}
        expected = self.plain.recover(dead, max_interruptions, self.real.now)
        tasks = self.real.recover(dead, max_interruptions=max_interruptions)
        assert {task.id for task in tasks} == expected
        assert all(task is self.real.get(task.id) for task in tasks)


TestVolatileQueue = VolatileMachine.TestCase
TestDurableQueue = DurableMachine.TestCase
TestVolatileQueue.settings = TestDurableQueue.settings = settings(
    max_examples=2 * settings().max_examples,
    stateful_step_count=2 * settings().stateful_step_count,
)
