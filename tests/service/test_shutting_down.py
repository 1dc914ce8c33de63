"""Shutting down a queue that is gone with its process."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from scanqueue import (
    EndReason,
    LibraryId,
    QueueClosedError,
    ScanContext,
    ScanQueueService,
    ScanTask,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import (
    PATIENCE,
    Call,
    MakeQueue,
    await_deadline,
    current,
    ids,
    scan_nothing,
)

CANCELLED, COMPLETED = TaskStatus.CANCELLED, TaskStatus.COMPLETED


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music", which ignores cancels."""
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    return scan


# --- what is over


def test_an_idle_queue_shuts_down_at_once(queue: ScanQueueService) -> None:
    """True: no scan was left behind; the workers are gone."""
    before = threading.active_count()
    queue.start()

    assert queue.shutdown() is True

    assert queue.is_shut_down
    assert queue.stats().workers == 0
    assert threading.active_count() == before


def test_without_a_scan_none_is_left_behind(make: MakeQueue) -> None:
    """However short the timeout, and whatever the workers were looking for at that moment."""
    answers = []
    for _ in range(100):
        queue = make(scan_nothing, workers=3)
        queue.start()
        queue.resume()
        answers.append(queue.shutdown(0))

    assert answers == [True] * 100


def test_a_queue_that_was_never_started_shuts_down(queue: ScanQueueService) -> None:
    """Its pending tasks end, too."""
    task_id = queue.submit_task("music")

    assert queue.shutdown() is True

    task = current(queue, task_id)
    assert (task.status, task.reason) == (CANCELLED, EndReason.SHUTDOWN)
    assert not queue.is_started


def test_an_unused_queue_shuts_down_and_still_answers(queue: ScanQueueService) -> None:
    """No store was needed until then."""
    assert queue.shutdown() is True
    assert queue.list_tasks() == []
    assert queue.stats().pending == 0
    assert list(queue.changes(0)) == []


def test_pending_tasks_end_cancelled(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """CANCELLED, SHUTDOWN, at the moment of the shutdown; they never run."""
    task_ids = [queue.submit_task(n) for n in range(1200)]
    clock.advance(9)

    queue.shutdown()

    tasks = [current(queue, task_id) for task_id in task_ids]
    assert {(t.status, t.reason) for t in tasks} == {(CANCELLED, EndReason.SHUTDOWN)}
    assert {task.completed_at for task in tasks} == {clock.now()}
    assert queue.pending_count() == 0
    assert scanner.scans == []
    assert queue.stats().reasons[EndReason.SHUTDOWN] == 1200


def test_leaving_the_context_shuts_down(make: MakeQueue) -> None:
    """Entering starts, leaving shuts down, also by an exception."""
    queue = make(scan_nothing)
    with suppress(ZeroDivisionError), queue as entered:
        assert entered is queue
        assert queue.is_started
        assert not queue.is_shut_down
        raise ZeroDivisionError

    assert queue.is_shut_down


def test_after_a_shutdown_there_is_no_start(queue: ScanQueueService) -> None:
    """And no submission, cancel, pause, resume or run."""
    queue.shutdown()

    for call in (queue.start, queue.__enter__, queue.pause, queue.resume, queue.run_pending):
        with pytest.raises(QueueClosedError) as caught:
            call()
        assert caught.value.http_status == 503
    with pytest.raises(QueueClosedError):
        queue.submit("music")
    with pytest.raises(QueueClosedError):
        queue.cancel_library("music")


def test_reads_still_answer_afterwards(queue: ScanQueueService) -> None:
    """What happened stays visible."""
    done = queue.submit_task("done")
    queue.run_pending()
    pending = queue.submit_task("pending")
    queue.shutdown()

    assert ids(queue.list_history()) == [pending, done]
    assert ids(queue.list_tasks()) == [pending, done]
    assert queue.list_pending() == queue.list_running() == []
    assert queue.get_library_task("pending") is None
    assert ids(queue.list_changes(0)) == [done, pending]
    assert queue.wait(pending).reason is EndReason.SHUTDOWN
    assert queue.stats().completed == 1
    assert queue.revision > 0
    assert queue.pending_count() == 0
    assert not queue.is_paused


# --- running scans


def test_it_waits_for_the_running_scans(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """What ends in time ends as it would have."""
    call = Call(lambda: queue.shutdown(10))
    await_deadline(clock, 9.0)
    assert not scan.context.cancelled
    assert queue.is_shut_down, "nothing more is taken from the call on"
    scan.release(TaskResult(added_count=1))

    assert call.result() is True

    task = current(queue, scan.task.id)
    assert (task.status, task.result) == (COMPLETED, TaskResult(added_count=1))


def test_no_claim_begins_once_it_is_called(
    queue: ScanQueueService, scanner: FakeScanner, scan: FakeScan, clock: FakeClock
) -> None:
    """A follow-up does not run; it ended when the shutdown began."""
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    call = Call(lambda: queue.shutdown(10))
    await_deadline(clock, 9.0)
    assert current(queue, follow_up).reason is EndReason.SHUTDOWN
    scan.release()

    assert call.result() is True
    assert len(scanner.scans) == 1


@pytest.mark.parametrize(
    ("timeout", "notice"), [(8, 7.2), (10, 9.0), (1, 0.9), (100, 99.0)], ids=str
)
def test_shortly_before_the_deadline_it_asks_the_scans_to_stop(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock, timeout: float, notice: float
) -> None:
    """A tenth of the timeout before it, at most a second."""
    call = Call(lambda: queue.shutdown(timeout))
    await_deadline(clock, notice)
    assert not scan.context.cancelled

    clock.advance(notice)
    await_deadline(clock, float(timeout))

    assert scan.context.cancelled
    task = current(queue, scan.task.id)
    assert (task.status, task.reason) == (CANCELLED, EndReason.SHUTDOWN)
    assert task.is_stopping
    assert task.completed_at == clock.now()
    scan.release(TaskResult(added_count=2))
    assert call.result() is True
    after = current(queue, scan.task.id)
    assert (after.status, after.reason) == (CANCELLED, EndReason.SHUTDOWN)
    assert after.result == TaskResult(added_count=2), "a late result is kept where it ended"
    assert not after.holds_slot


def test_what_has_not_returned_at_the_deadline_is_left_behind(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """False; its slot is not freed by that, but when it returns."""
    call = Call(lambda: queue.shutdown(10))
    await_deadline(clock, 9.0)
    clock.advance(9)
    await_deadline(clock, 10.0)
    clock.advance(1)

    assert call.result() is False

    task = current(queue, scan.task.id)
    assert (task.status, task.reason) == (CANCELLED, EndReason.SHUTDOWN)
    assert task.is_stopping
    assert queue.stats().stopping == 1
    scan.release()
    assert queue.wait(scan.task.id, timeout=None, quiet=False).status is CANCELLED


def test_calling_it_again_waits_again(queue: ScanQueueService, scan: FakeScan) -> None:
    """A host that waits in steps gets True in the end."""
    assert queue.shutdown(0) is False
    assert queue.shutdown(0) is False
    again = Call(lambda: queue.shutdown(None))
    scan.release()

    assert again.result() is True
    assert queue.shutdown(0) is True
    assert not current(queue, scan.task.id).holds_slot


def test_no_limit_waits_as_long_as_it_takes(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """`None`: the scan is never asked to stop."""
    call = Call(lambda: queue.shutdown(None))
    for _ in range(5):
        clock.advance(1e6)
    assert not call.is_over
    assert not scan.context.cancelled
    scan.release()

    assert call.result() is True
    assert current(queue, scan.task.id).status is COMPLETED


@pytest.mark.parametrize("timeout", [None, 8.0, float("inf")], ids=str)
def test_with_interrupt_running_it_asks_at_once(
    queue: ScanQueueService, scan: FakeScan, timeout: float | None
) -> None:
    """`interrupt_running=True`: no waiting first."""
    call = Call(lambda: queue.shutdown(timeout, interrupt_running=True))
    assert queue.wait(scan.task.id).reason is EndReason.SHUTDOWN
    assert not call.is_over
    scan.release()

    assert call.result() is True


def test_asked_to_stop_it_is_not_completed_whatever_it_does_later(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """Also what it raises does not count."""
    assert queue.shutdown(0) is False
    scan.fail(ValueError("late"))
    assert queue.shutdown(None) is True

    task = current(queue, scan.task.id)
    assert (task.status, task.reason, task.error) == (CANCELLED, EndReason.SHUTDOWN, None)


def test_a_scan_that_was_cancelled_before_stays_requested(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """The first reason stands."""
    queue.cancel_task(scan.task.id)
    assert queue.shutdown(0) is False
    scan.release()
    assert queue.shutdown(None) is True

    assert current(queue, scan.task.id).reason is EndReason.REQUESTED


def test_a_scan_of_run_pending_is_waited_for_too(make: MakeQueue, scanner: FakeScanner) -> None:
    """It runs on another thread than a worker's; it is a scan all the same."""
    scanner.hold()
    queue = make(scanner, workers=0)
    queue.submit_task("a")
    queue.submit_task("b")
    running = Call(queue.run_pending)
    scan = scanner.next_scan()
    call = Call(lambda: queue.shutdown(None))
    reader = list(zip(range(1), queue.changes(0), strict=False))
    assert reader
    assert not call.is_over
    scan.release()

    assert call.result() is True
    assert running.result() == 1, "nothing new begins"


# --- inside a scanner


def test_inside_a_scanner_it_waits_for_the_others_only(make: MakeQueue) -> None:
    """And answers False; its own scan ends as it would have."""
    answers: list[bool] = []
    begun = threading.Event()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        if library_id == "host":
            begun.wait(PATIENCE)
            answers.append(queue.shutdown(None))
            return TaskResult(added_count=1)
        begun.set()
        context.sleep(5)
        return TaskResult()

    clock = FakeClock()
    queue = make(scan, workers=2, clock=clock)
    queue.start()
    host, other = queue.submit_task("host"), queue.submit_task("other")
    await_deadline(clock, 5.0)
    clock.advance(5)

    assert queue.wait(host, quiet=True).status is COMPLETED
    assert current(queue, other).status is COMPLETED
    assert answers == [False]
    assert Call(lambda: queue.shutdown(None)).result() is True


def test_inside_a_scanner_of_run_pending_it_ends_the_run(make: MakeQueue) -> None:
    """The scan goes on to its end, and no other begins."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        assert queue.shutdown() is False
        return TaskResult()

    queue = make(scan)
    first, second = queue.submit_task(1), queue.submit_task(2)

    assert queue.run_pending() == 1
    assert current(queue, first).status is COMPLETED
    assert current(queue, second).reason is EndReason.SHUTDOWN


# --- those who follow along


def test_readers_of_changes_get_the_endings_before_the_end(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """Everything that the shutdown did, then the iterator ends."""
    pending = queue.submit_task("pending")
    after = queue.revision
    reader: Call[list[ScanTask]] = Call(lambda: list(queue.changes(after)))
    shutdown = Call(lambda: queue.shutdown(None, interrupt_running=True))
    queue.wait(scan.task.id)
    scan.release()
    assert shutdown.result() is True

    last = {task.id: task for task in reader.result()}
    assert last[pending].reason is EndReason.SHUTDOWN
    assert last[scan.task.id].reason is EndReason.SHUTDOWN
    assert not last[scan.task.id].is_stopping


def test_readers_end_also_when_a_scan_is_left_behind(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """They get the ending; nobody waits for a scan that may never return."""
    after = queue.revision
    reader = Call(lambda: list(queue.changes(after)))
    assert queue.shutdown(0) is False

    assert reader.result()[-1].is_stopping


def test_two_threads_may_shut_down(queue: ScanQueueService, scan: FakeScan) -> None:
    """Both wait, both are told."""
    calls = [Call(lambda: queue.shutdown(None)) for _ in range(3)]
    scan.release()

    assert [call.result() for call in calls] == [True] * 3
