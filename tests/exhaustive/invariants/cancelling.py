"""What holds of cancels, and of forgetting."""

from __future__ import annotations

from scanqueue.errors import TaskNotCancellableError, TaskNotFoundError
from scanqueue.models import EndReason, TaskStatus
from scanqueue.records import TaskRecord
from tests.exhaustive.invariants.registry import of_steps
from tests.exhaustive.moments import Step
from tests.exhaustive.moves import Cancel, CancelLibrary, Prune

PENDING, RUNNING, CANCELLED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.CANCELLED


def _is_cancelled(old: TaskRecord, new: TaskRecord) -> bool:
    """Return whether a task was cancelled as it should be: at once, and with its slot."""
    is_told = (new.status, new.reason) == (CANCELLED, EndReason.REQUESTED)
    return is_told and new.holds_slot == old.holds_slot and new.progress == old.progress


@of_steps(Cancel)
def a_cancel_is_answered_at_once(step: Step[Cancel]) -> None:
    """An active task is CANCELLED, and no other changes: not its follow-up either (section 6)."""
    old = step.before.tasks.get(step.move.task_id)
    if old is not None and old.status.is_active:
        new = step.after.tasks[old.id]
        assert step.answer is new
        assert step.changes == ((old, new),)
        assert _is_cancelled(old, new)


@of_steps(Cancel)
def what_is_not_active_cannot_be_cancelled(step: Step[Cancel]) -> None:
    """An ended task cannot be cancelled, and an unknown one cannot be found (section 6)."""
    old = step.before.tasks.get(step.move.task_id)
    if old is None:
        assert isinstance(step.answer, TaskNotFoundError)
        assert step.answer.task_id == step.move.task_id
    elif old.status.is_ended:
        assert isinstance(step.answer, TaskNotCancellableError)
        assert step.answer.task == old.snapshot()


@of_steps(CancelLibrary)
def a_cancelled_library_has_nothing_active(step: Step[CancelLibrary]) -> None:
    """All that is active of a library is cancelled in one step, the running task first."""
    library_id = step.move.library_id
    active = [
        *step.before.of(library_id, RUNNING),
        *step.before.of(library_id, PENDING),
    ]
    news = [step.after.tasks[task.id] for task in active]
    assert step.answer == news
    assert {task.id for task, _ in step.changes} == {task.id for task in active}
    assert all(_is_cancelled(old, new) for old, new in zip(active, news, strict=True))
    assert not step.after.of(library_id, RUNNING, PENDING)


@of_steps(Prune)
def pruning_forgets_what_has_expired(step: Step[Prune]) -> None:
    """The ended tasks of before a moment are gone, but for those that are stopping (section 3)."""
    expired = [
        task
        for task in step.before.changed
        if task.completed_at is not None
        and task.completed_at < step.move.before
        and not task.holds_slot
    ]
    assert list(step.gone) == expired
    assert step.answer == len(expired)
    assert not step.changes
