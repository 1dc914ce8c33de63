"""What holds of claims, reports and the return of a scanner."""

from __future__ import annotations

from scanqueue.models import EndReason, TaskProgress, TaskStatus
from scanqueue.records import Slot, TaskRecord
from tests.exhaustive.invariants.registry import of_steps
from tests.exhaustive.moments import Step, submission
from tests.exhaustive.moves import LAST_REPORT, Claim, Finish, Report, Stop

PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = TaskStatus


def _claimed(step: Step[Claim]) -> tuple[TaskRecord, Slot] | None:
    answer: tuple[TaskRecord, Slot] | None = step.answer  # type: ignore[assignment]
    return answer


@of_steps(Claim)
def the_most_urgent_goes_first(step: Step[Claim]) -> None:
    """No claimable task of higher priority, or as high and older, is passed over (section 5)."""
    claimed = _claimed(step)
    if claimed is None:
        return
    free = [task for task in step.before.pending if not step.before.slot_of(task.library_id)]
    first = min(free, key=lambda task: (-task.priority, submission(task)))
    assert [(old.id, new) for old, new in step.changes] == [(first.id, claimed[0])]


@of_steps(Claim)
def what_can_start_starts(step: Step[Claim]) -> None:
    """A claim finds nothing only when the queue is paused or full, or no library is free."""
    before, limit = step.before, step.move.max_running
    held_back = before.is_paused or (limit is not None and len(before.slots) >= limit)
    if _claimed(step) is None:
        assert held_back or all(before.slot_of(task.library_id) for task in before.pending)
        assert step.is_still


@of_steps(Claim)
def nothing_starts_in_a_paused_queue(step: Step[Claim]) -> None:
    """No new scan starts while the queue is paused (section 3)."""
    assert _claimed(step) is None or not step.before.is_paused


@of_steps(Claim)
def max_running_holds(step: Step[Claim]) -> None:
    """No more scans than `max_running` are at work, stopping ones counted (section 5)."""
    limit = step.move.max_running
    assert _claimed(step) is None or limit is None or len(step.after.slots) <= limit


@of_steps(Claim)
def a_claim_takes_the_slot(step: Step[Claim]) -> None:
    """A claim makes its task RUNNING and takes a slot that was free for it (section 1)."""
    claimed = _claimed(step)
    if claimed is not None:
        task, slot = claimed
        assert task.status is RUNNING
        assert slot == Slot(task.library_id, task.id, task.attempt, step.move.owner)
        assert step.after.slots == (*step.before.slots, slot)
        assert step.before.slot_of(task.library_id) is None


@of_steps(Report, Finish, Stop)
def a_late_write_changes_nothing(step: Step[Report | Finish | Stop]) -> None:
    """Whoever does not hold the slot can write nothing (section 5)."""
    if step.move.slot not in step.before.slots:
        assert step.is_still
        assert step.answer is None


@of_steps(Report)
def a_report_changes_the_progress(step: Step[Report]) -> None:
    """What a scan reports while it runs is its progress, and nothing else changes (section 5)."""
    move = step.move
    if move.slot not in step.before.slots:
        return
    old, new = step.before.tasks[move.slot.task_id], step.after.tasks[move.slot.task_id]
    said = TaskProgress(scanned_paths=move.scanned_paths)
    news = old.status is RUNNING and old.progress != said
    assert [task for task, _ in step.changes] == [old] * news
    assert step.answer is (new if news else None)
    assert new.progress == (said if news else old.progress)
    assert (new.status, new.scope, new.holds_slot) == (old.status, old.scope, old.holds_slot)


@of_steps(Finish)
def a_scanner_that_returns_frees_its_slot(step: Step[Finish]) -> None:
    """When the scanner of a task returns, that slot is free, and no other (section 1)."""
    slot = step.move.slot
    if slot in step.before.slots:
        assert step.after.slots == tuple(held for held in step.before.slots if held != slot)
        task = step.after.tasks[slot.task_id]
        assert [new for _, new in step.changes] == [task]
        assert step.answer is task


@of_steps(Finish)
def a_scan_ends_as_its_scanner_did(step: Step[Finish]) -> None:
    """With a result it is COMPLETED, else FAILED with reason, error, last report (section 5)."""
    slot, ending = step.move.slot, step.move.ending
    if slot not in step.before.slots or step.before.tasks[slot.task_id].status is not RUNNING:
        return
    task = step.after.tasks[slot.task_id]
    assert task.status is (FAILED if ending.result is None else COMPLETED)
    assert (task.result, task.reason, task.error) == (ending.result, ending.reason, ending.error)
    assert task.progress == TaskProgress(scanned_paths=LAST_REPORT)
    assert task.reason is not EndReason.INTERRUPTED


@of_steps(Finish)
def who_was_stopped_is_not_completed(step: Step[Finish]) -> None:
    """A late result is kept where the task ended, dropped where it went back (sections 6, 7)."""
    slot, ending = step.move.slot, step.move.ending
    if slot in step.before.slots:
        old, new = step.before.tasks[slot.task_id], step.after.tasks[slot.task_id]
        if old.status is not RUNNING:
            assert new.status is old.status
            assert new.error == old.error
            assert new.result == (ending.result if old.status is CANCELLED else None)
