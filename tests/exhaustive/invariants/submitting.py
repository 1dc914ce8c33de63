"""What holds of a submission: the table of section 4, and what stands below it."""

from __future__ import annotations

from scanqueue.errors import QueueFullError
from scanqueue.models import SubmitOutcome, TaskPriority, TaskStatus, WhenRunning
from scanqueue.records import TaskRecord
from tests.exhaustive.invariants.registry import of_steps
from tests.exhaustive.moments import Step
from tests.exhaustive.moves import Submit

PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING


def _outcome_by_the_table(step: Step[Submit]) -> SubmitOutcome:
    move, before = step.move, step.before
    for task in before.of(move.library_id, PENDING):
        is_covered = task.priority >= move.priority and task.scope.covers(move.scope)
        return SubmitOutcome.JOINED if is_covered else SubmitOutcome.UPGRADED
    for task in before.of(move.library_id, RUNNING):
        if move.when_running is WhenRunning.JOIN and task.scope.covers(move.scope):
            return SubmitOutcome.JOINED
        return SubmitOutcome.FOLLOW_UP
    return SubmitOutcome.CREATED


def _answer(step: Step[Submit]) -> tuple[TaskRecord, SubmitOutcome] | None:
    if isinstance(step.answer, QueueFullError):
        return None
    assert isinstance(step.answer, tuple)
    task, outcome = step.answer
    return step.after.tasks[task.id], outcome


@of_steps(Submit)
def a_submission_does_what_the_table_says(step: Step[Submit]) -> None:
    """The outcome is the one of the table, and it is what has happened (section 4)."""
    answer = _answer(step)
    if answer is None:
        return
    task, outcome = answer
    assert outcome is _outcome_by_the_table(step)
    is_new = outcome in {SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP}
    assert step.made == (task,) * is_new
    assert [new for _, new in step.changes] == [task] * (outcome is SubmitOutcome.UPGRADED)


@of_steps(Submit)
def a_request_is_covered(step: Step[Submit]) -> None:
    """The task that a request is given covers all that it asks for (section 4)."""
    answer = _answer(step)
    if answer is not None:
        task, _ = answer
        assert task.library_id == step.move.library_id
        assert task.scope.covers(step.move.scope)
        assert task.status is RUNNING or task.priority >= step.move.priority


@of_steps(Submit)
def the_scan_of_a_request_begins_after_it(step: Step[Submit]) -> None:
    """The task still waits, unless the caller chose to join one that runs (section 4)."""
    answer = _answer(step)
    if answer is not None:
        task, outcome = answer
        joins = outcome is SubmitOutcome.JOINED and step.move.when_running is WhenRunning.JOIN
        assert task.status is PENDING or (task.status is RUNNING and joins)


@of_steps(Submit)
def an_upgrade_adds_what_was_asked(step: Step[Submit]) -> None:
    """An upgraded task has the higher priority and the union of the scopes, no more (section 4)."""
    for old, new in step.changes:
        assert new.priority is max(old.priority, step.move.priority)
        assert new.scope == old.scope.union(step.move.scope)
    for task in step.made:
        assert (task.priority, task.scope) == (step.move.priority, step.move.scope)
        assert (task.status, task.created_at) == (PENDING, step.before.now)


@of_steps(Submit)
def a_full_queue_refuses_new_tasks(step: Step[Submit]) -> None:
    """Past `max_pending` a new task is refused, but for HIGH; all else passes (section 3)."""
    move = step.move
    is_full = move.max_pending is not None and len(step.before.pending) >= move.max_pending
    is_new = _outcome_by_the_table(step) in {SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP}
    refuses = is_new and is_full and move.priority is not TaskPriority.HIGH
    assert isinstance(step.answer, Exception) == refuses
