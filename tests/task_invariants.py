"""What holds for every task that a queue shows, whatever its history."""

from datetime import timedelta

from scanqueue.models import NO_PROGRESS, EndReason, ScanTask, TaskStatus

FAILURES = {EndReason.ERROR, EndReason.UNAVAILABLE, EndReason.INTERRUPTED}
CANCELLATIONS = {EndReason.REQUESTED, EndReason.SHUTDOWN}

REASONS = {TaskStatus.FAILED: FAILURES, TaskStatus.CANCELLED: CANCELLATIONS}
"""Why a task ended; those of any other status have none."""


def check_task(task: ScanTask) -> None:
    """Assert that the fields of a task agree with each other."""
    assert task.revision >= 1
    assert task.is_ended == (task.completed_at is not None)
    assert task.reason in REASONS.get(task.status, {None})
    for duration in (task.wait_time, task.run_time):
        assert duration is None or duration >= timedelta(0)
    _check_scan(task)
    _check_what_came_of_it(task)


def _check_scan(task: ScanTask) -> None:
    has_started = task.started_at is not None
    if task.status is not TaskStatus.CANCELLED:
        assert has_started == (task.status is not TaskStatus.PENDING)
    if task.status is TaskStatus.RUNNING:
        assert task.holds_slot
    if task.status in {TaskStatus.COMPLETED, TaskStatus.FAILED}:
        assert not task.holds_slot
    assert has_started or task.progress == NO_PROGRESS
    if has_started or task.holds_slot or task.result is not None:
        assert task.attempt >= 1
    assert task.interruptions >= (task.reason is EndReason.INTERRUPTED)


def _check_what_came_of_it(task: ScanTask) -> None:
    if task.status is TaskStatus.COMPLETED:
        assert task.result is not None
    elif task.status is not TaskStatus.CANCELLED or task.holds_slot:
        assert task.result is None
    if task.status is TaskStatus.FAILED:
        assert task.error
    elif task.reason is not EndReason.SHUTDOWN:  # which may name the task that replaces it
        assert task.error is None
