"""Cancelling: every state a task can be in, and what everyone sees."""

from __future__ import annotations

from uuid import uuid4

import pytest

from scanqueue import (
    EndReason,
    LibraryUnavailable,
    QueueClosedError,
    ScanCancelled,
    ScanQueueService,
    ScanScope,
    SubmitOutcome,
    TaskNotCancellableError,
    TaskNotFoundError,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import MakeQueue, current, raising, run_one

CANCELLED = TaskStatus.CANCELLED


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music", which ignores cancels."""
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    return scan


# --- pending


def test_a_pending_task_is_cancelled_at_once_and_never_runs(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """CANCELLED, REQUESTED, out of the queue."""
    task_id = queue.submit_task("music")
    clock.advance(5)

    task = queue.cancel_task(task_id)

    assert (task.status, task.reason) == (CANCELLED, EndReason.REQUESTED)
    assert task.completed_at == clock.now()
    assert {task.started_at, task.result, task.error} == {None}
    assert task.wait_time is not None
    assert task.wait_time.total_seconds() == 5
    assert task.run_time is None
    assert not task.is_stopping
    assert task == current(queue, task_id)
    assert queue.pending_count() == 0
    assert queue.list_pending() == []
    assert queue.list_history() == [task]
    assert queue.run_pending() == 0
    assert scanner.scans == []


def test_who_joined_shares_its_fate(queue: ScanQueueService) -> None:
    """A cancel by one caller ends it for all."""
    first = queue.submit_task("music")
    second = queue.submit_task("music")

    queue.cancel_task(first)

    assert queue.wait(second).status is CANCELLED


# --- running


def test_a_running_task_is_cancelled_at_once_and_stops_later(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """CANCELLED now; stopping until the scanner returns, which is a change of its own."""
    clock.advance(7)

    task = queue.cancel_task(scan.task.id)

    assert (task.status, task.reason) == (CANCELLED, EndReason.REQUESTED)
    assert task.completed_at == clock.now()
    assert task.is_stopping
    assert task.holds_slot
    assert scan.context.cancelled
    assert queue.list_running() == []
    assert queue.get_library_task("music") is None
    assert queue.list_history() == [task]
    assert queue.stats().stopping == 1
    assert queue.stats().busy_workers == 1

    clock.advance(60)
    scan.release()
    after = queue.wait(scan.task.id, quiet=True)

    assert after.revision > task.revision
    assert not after.is_stopping
    assert after.completed_at == task.completed_at, "it ended when it was cancelled"
    assert after.run_time == task.run_time
    assert queue.list_history() == [after]
    assert queue.stats().stopping == 0


def test_a_result_that_comes_after_the_cancel_is_kept(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """What was found is worth knowing; the task stays CANCELLED."""
    queue.cancel_task(scan.task.id)
    scan.release(TaskResult(added_count=4))

    task = queue.wait(scan.task.id, quiet=True)
    assert (task.status, task.reason) == (CANCELLED, EndReason.REQUESTED)
    assert task.result == TaskResult(added_count=4)
    assert task.error is None


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), ScanCancelled(), LibraryUnavailable("gone"), SystemExit(1)],
    ids=lambda e: type(e).__name__,
)
def test_what_a_scanner_raises_after_the_cancel_is_ignored(
    queue: ScanQueueService, scan: FakeScan, error: BaseException
) -> None:
    """No error, no other reason."""
    queue.cancel_task(scan.task.id)
    scan.fail(error)

    task = queue.wait(scan.task.id, quiet=True)
    assert (task.status, task.reason) == (CANCELLED, EndReason.REQUESTED)
    assert {task.result, task.error} == {None}


@pytest.mark.logs_errors
def test_raised_without_a_cancel_it_is_a_failure(make: MakeQueue) -> None:
    """`ScanCancelled` of a scan that nobody cancelled: FAILED, ERROR."""
    task = run_one(make(raising(ScanCancelled("I give up"))))

    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.ERROR)


def test_the_slot_comes_back_only_when_the_scanner_returns(
    make: MakeQueue, scanner: FakeScanner
) -> None:
    """Two scans of one library never overlap, a cancelled one included."""
    scanner.hold()
    queue = make(scanner, workers=2)
    queue.start()
    first = queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    queue.cancel_task(first)
    second = queue.submit_task("music")

    assert queue.run_pending() == 0
    assert current(queue, second).status is TaskStatus.PENDING

    scan.release()
    assert scanner.next_scan().task.id == second
    assert not current(queue, first).holds_slot


def test_a_follow_up_is_left_alone(
    queue: ScanQueueService, scanner: FakeScanner, scan: FakeScan
) -> None:
    """`cancel_task` cancels one task; the follow-up runs next."""
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)

    queue.cancel_task(scan.task.id)

    assert current(queue, follow_up).status is TaskStatus.PENDING
    scan.release()
    assert scanner.next_scan().task.id == follow_up


def test_a_follow_up_is_cancelled_on_its_own(queue: ScanQueueService, scan: FakeScan) -> None:
    """The running scan goes on."""
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)

    assert queue.cancel_task(follow_up).status is CANCELLED

    assert not scan.context.cancelled
    scan.release()
    assert queue.wait(scan.task.id).status is TaskStatus.COMPLETED


# --- ended, or never there


@pytest.mark.logs_errors
@pytest.mark.parametrize("how", ["completed", "failed", "cancelled", "stopping"])
def test_an_ended_task_cannot_be_cancelled(
    queue: ScanQueueService, scan: FakeScan, how: str
) -> None:
    """The error carries the task; nothing changes."""
    if how in ("cancelled", "stopping"):
        queue.cancel_task(scan.task.id)
    if how == "failed":
        scan.fail(ValueError())
    elif how != "stopping":
        scan.release()
    task = queue.wait(scan.task.id, quiet=how != "stopping")
    revision = queue.revision

    with pytest.raises(TaskNotCancellableError) as caught:
        queue.cancel_task(scan.task.id)

    assert caught.value.task == task
    assert caught.value.http_status == 409
    assert str(task.id) in str(caught.value)
    assert task.status.value in str(caught.value)
    assert queue.revision == revision
    assert current(queue, task.id) == task


def test_an_unknown_task_cannot_be_cancelled(queue: ScanQueueService) -> None:
    """`TaskNotFoundError`, which is a `LookupError`, carries the id."""
    task_id = uuid4()

    with pytest.raises(TaskNotFoundError) as caught:
        queue.cancel_task(task_id)

    assert caught.value.task_id == task_id
    assert caught.value.http_status == 404
    assert str(task_id) in str(caught.value)
    assert isinstance(caught.value, LookupError)


# --- a library


def test_a_library_is_cancelled_in_one_step(queue: ScanQueueService, scan: FakeScan) -> None:
    """The running task and its follow-up, the running one first."""
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    other = queue.submit_task("films")

    cancelled = queue.cancel_library("music")

    assert [task.id for task in cancelled] == [scan.task.id, follow_up]
    assert all(t.status is CANCELLED and t.reason is EndReason.REQUESTED for t in cancelled)
    assert [task.is_stopping for task in cancelled] == [True, False]
    assert scan.context.cancelled
    assert current(queue, other).is_active
    assert queue.stats().reasons[EndReason.REQUESTED] == 2


def test_a_library_with_a_pending_task_only(queue: ScanQueueService) -> None:
    """Just that one."""
    task_id = queue.submit_task("music")

    assert [task.id for task in queue.cancel_library("music")] == [task_id]


def test_a_library_with_nothing_active_gives_nothing(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """Unknown, ended or stopping: an empty list and no change."""
    queue.cancel_task(scan.task.id)
    revision = queue.revision

    assert queue.cancel_library("music") == []
    assert queue.cancel_library("unknown") == []
    assert queue.cancel_library(1) == []
    assert queue.revision == revision


# --- cancel against what comes next


def test_a_new_request_after_a_cancel_is_a_new_task(queue: ScanQueueService) -> None:
    """An ended task never becomes active again."""
    first = queue.submit_task("music", scope=ScanScope(paths=("rock",)))
    queue.cancel_task(first)

    submission = queue.submit("music")

    assert submission.outcome is SubmitOutcome.CREATED
    assert submission.task_id != first
    assert current(queue, first).status is CANCELLED


def test_a_cancel_wakes_who_waits(queue: ScanQueueService, scan: FakeScan) -> None:
    """At once, while the scanner is still at work."""
    queue.cancel_task(scan.task.id)

    assert queue.wait(scan.task.id).is_stopping


def test_after_shutdown_there_is_nothing_to_cancel(queue: ScanQueueService) -> None:
    """`QueueClosedError`."""
    task_id = queue.submit_task("music")
    queue.shutdown()

    with pytest.raises(QueueClosedError):
        queue.cancel_task(task_id)
    with pytest.raises(QueueClosedError):
        queue.cancel_library("music")
