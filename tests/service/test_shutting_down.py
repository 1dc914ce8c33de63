"""Shutting down a queue that is gone with its process, and one that goes on with the next."""

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
    ScanScope,
    ScanTask,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import (
    PATIENCE,
    Call,
    Fate,
    MakeQueue,
    await_deadline,
    await_that,
    current,
    fate,
    ids,
    scan_nothing,
    wait_out,
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
    before = set(threading.enumerate())
    queue.start()

    assert queue.shutdown() is True

    assert queue.is_shut_down
    assert queue.stats().workers == 0
    assert set(threading.enumerate()) <= before


def test_without_a_scan_none_is_left_behind(make: MakeQueue) -> None:
    """However short the timeout, and whatever the workers were looking for at that moment."""
    answers = []
    for _ in range(100):
        queue = make(scan_nothing, workers=3)
        queue.start()
        queue.resume()
        answers.append(queue.shutdown(0))

    assert answers == [True] * 100


def test_a_queue_that_was_never_started_shuts_down(
    queue: ScanQueueService, shut_down_as: Fate
) -> None:
    """Its pending tasks end, too, or wait for the next start."""
    task_id = queue.submit_task("music")

    assert queue.shutdown() is True

    assert fate(current(queue, task_id)) == shut_down_as
    assert not queue.is_started


def test_an_unused_queue_shuts_down_and_still_answers(queue: ScanQueueService) -> None:
    """No store was needed until then."""
    assert queue.shutdown() is True
    assert queue.list_tasks() == []
    assert queue.stats().pending == 0
    assert list(queue.changes(0)) == []


@pytest.mark.memory_only("in a durable queue they stay")
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


@pytest.mark.sqlite_only("in a queue that is not durable they end")
def test_pending_tasks_stay_as_they_are(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """A shutdown does not even count as a change of them."""
    for n in range(20):
        queue.submit_task(n)
    before = queue.list_pending(), queue.revision, queue.stats()

    assert queue.shutdown() is True

    assert (queue.list_pending(), queue.revision, queue.stats()) == before
    assert scanner.scans == []


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


def test_reads_still_answer_afterwards(
    queue: ScanQueueService, is_durable: bool, shut_down_as: Fate
) -> None:
    """What happened stays visible."""
    done = queue.submit_task("done")
    queue.run_pending()
    pending = queue.submit_task("pending")
    queue.shutdown()

    stays = [pending] if is_durable else []
    assert ids(queue.list_history()) == [
        task_id for task_id in (pending, done) if task_id not in stays
    ]
    assert ids(queue.list_tasks()) == [pending, done]
    assert ids(queue.list_pending()) == stays
    assert queue.list_running() == []
    active = queue.get_library_task("pending")
    assert ids([active] if active else []) == stays
    assert ids(queue.list_changes(0)) == [done, pending]
    assert fate(wait_out(queue, pending)) == shut_down_as
    assert queue.stats().completed == 1
    assert queue.revision > 0
    assert queue.pending_count() == len(stays)
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
    queue: ScanQueueService,
    scanner: FakeScanner,
    scan: FakeScan,
    clock: FakeClock,
    shut_down_as: Fate,
) -> None:
    """A follow-up does not run; it ended when the shutdown began, if it does not outlive it."""
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    call = Call(lambda: queue.shutdown(10))
    await_deadline(clock, 9.0)
    assert fate(current(queue, follow_up)) == shut_down_as
    scan.release()

    assert call.result() is True
    assert len(scanner.scans) == 1


@pytest.mark.parametrize(
    ("timeout", "notice"), [(8, 7.2), (10, 9.0), (1, 0.9), (100, 99.0)], ids=str
)
def test_shortly_before_the_deadline_it_asks_the_scans_to_stop(  # noqa: PLR0917 - fixtures
    queue: ScanQueueService,
    scan: FakeScan,
    clock: FakeClock,
    timeout: float,
    notice: float,
    is_durable: bool,
    shut_down_as: Fate,
) -> None:
    """A tenth of the timeout before it, at most a second."""
    call = Call(lambda: queue.shutdown(timeout))
    await_deadline(clock, notice)
    assert not scan.context.cancelled

    clock.advance(notice)
    await_deadline(clock, float(timeout))

    assert scan.context.cancelled
    task = current(queue, scan.task.id)
    assert fate(task) == shut_down_as
    assert task.holds_slot
    assert task.completed_at == (None if is_durable else clock.now())
    late = TaskResult(added_count=2)
    scan.release(late)
    assert call.result() is True
    after = current(queue, scan.task.id)
    assert fate(after) == shut_down_as
    assert after.result == (None if is_durable else late), "a late result is kept where it ended"
    assert not after.holds_slot


@pytest.mark.sqlite_only("in a queue that is not durable it ends")
def test_a_scan_that_is_asked_to_stop_goes_back(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """As if it had never begun: the same task in the same place, but for its attempt."""
    scan.report(3, 10)
    urgent = queue.submit_task("later", TaskPriority.HIGH)
    same = queue.submit_task("also later")
    clock.advance(9)

    assert queue.shutdown(0) is False

    task = current(queue, scan.task.id)
    assert ids(queue.list_pending()) == [urgent, task.id, same]
    assert (task.attempt, task.interruptions, task.created_at) == (1, 0, scan.task.created_at)
    assert task.started_at is None
    assert task.progress == TaskProgress(scanned_paths=0)
    scan.report(4, 10)
    assert current(queue, task.id) == task
    scan.release()
    assert queue.shutdown(None) is True


@pytest.mark.sqlite_only("in a queue that is not durable both end")
def test_a_scan_that_has_a_follow_up_is_replaced_by_it(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """There is one PENDING task of a library, which asks for what both asked for."""
    follow_up = queue.submit_task(
        "music", TaskPriority.LOW, scope=ScanScope(paths=["a"]), when_running=WhenRunning.FOLLOW_UP
    )
    assert queue.shutdown(0) is False

    ended, left = current(queue, scan.task.id), current(queue, follow_up)
    assert fate(ended) == (CANCELLED, EndReason.SHUTDOWN)
    assert ended.is_stopping
    assert str(follow_up) in str(ended.error)
    assert queue.list_pending() == [left]
    assert (left.scope, left.priority) == (ScanScope(), TaskPriority.NORMAL)


def test_what_has_not_returned_at_the_deadline_is_left_behind(
    queue: ScanQueueService,
    scan: FakeScan,
    clock: FakeClock,
    is_durable: bool,
    shut_down_as: Fate,
) -> None:
    """False; its slot is not freed by that, but when it returns."""
    call = Call(lambda: queue.shutdown(10))
    await_deadline(clock, 9.0)
    clock.advance(9)
    await_deadline(clock, 10.0)
    clock.advance(1)

    assert call.result() is False

    task = current(queue, scan.task.id)
    assert fate(task) == shut_down_as
    assert task.holds_slot
    assert queue.stats().stopping == (0 if is_durable else 1)
    scan.release()
    assert fate(wait_out(queue, scan.task.id)) == shut_down_as


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
    queue: ScanQueueService, scan: FakeScan, timeout: float | None, shut_down_as: Fate
) -> None:
    """`interrupt_running=True`: no waiting first."""
    call = Call(lambda: queue.shutdown(timeout, interrupt_running=True))
    assert fate(wait_out(queue, scan.task.id)) == shut_down_as
    assert not call.is_over
    scan.release()

    assert call.result() is True


def test_asked_to_stop_it_is_not_completed_whatever_it_does_later(
    queue: ScanQueueService, scan: FakeScan, shut_down_as: Fate
) -> None:
    """Also what it raises does not count."""
    assert queue.shutdown(0) is False
    scan.fail(ValueError("late"))
    assert queue.shutdown(None) is True

    task = current(queue, scan.task.id)
    assert fate(task) == shut_down_as
    assert task.error is None


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


def test_inside_a_scanner_of_run_pending_it_ends_the_run(
    make: MakeQueue, shut_down_as: Fate
) -> None:
    """The scan goes on to its end, and no other begins."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        assert queue.shutdown() is False
        return TaskResult()

    queue = make(scan)
    first, second = queue.submit_task(1), queue.submit_task(2)

    assert queue.run_pending() == 1
    assert current(queue, first).status is COMPLETED
    assert fate(current(queue, second)) == shut_down_as


# --- those who follow along


def test_readers_of_changes_get_the_endings_before_the_end(
    queue: ScanQueueService, scan: FakeScan, shut_down_as: Fate
) -> None:
    """Everything that the shutdown did, then the iterator ends."""
    after = queue.revision
    pending = queue.submit_task("pending")
    reader: Call[list[ScanTask]] = Call(lambda: list(queue.changes(after)))
    shutdown = Call(lambda: queue.shutdown(None, interrupt_running=True))
    wait_out(queue, scan.task.id)
    scan.release()
    assert shutdown.result() is True

    last = {task.id: task for task in reader.result()}
    assert fate(last[pending]) == shut_down_as
    assert fate(last[scan.task.id]) == shut_down_as
    assert not last[scan.task.id].holds_slot


def test_readers_end_also_when_a_scan_is_left_behind(
    queue: ScanQueueService, scan: FakeScan, shut_down_as: Fate
) -> None:
    """They get the ending; nobody waits for a scan that may never return."""
    after = queue.revision
    reader = Call(lambda: list(queue.changes(after)))
    assert queue.shutdown(0) is False

    last = reader.result()[-1]
    assert fate(last) == shut_down_as
    assert last.holds_slot


def test_two_threads_may_shut_down(queue: ScanQueueService, scan: FakeScan) -> None:
    """Both wait, both are told."""
    calls = [Call(lambda: queue.shutdown(None)) for _ in range(3)]
    scan.release()

    assert [call.result() for call in calls] == [True] * 3


def test_left_by_an_exception_it_asks_the_scans_to_stop_at_once(
    make: MakeQueue, scanner: FakeScanner
) -> None:
    """A test that fails is not to wait for its scans, least of all by a clock that stands still."""
    scanner.hold()

    def leave() -> None:
        with make(scanner) as queue:
            queue.submit_task("music")
            scanner.next_scan()
            raise LookupError

    with pytest.raises(LookupError):
        Call(leave).result()
    assert scanner.scans[0].has_returned


def test_inside_a_scanner_the_others_hear_that_it_has_returned(make: MakeQueue) -> None:
    """Who waits for a task that will not run any more, before it or after it, need not go on."""
    found: list[ScanTask] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        waits = Call(lambda: wait_out(queue, later))
        await_that(lambda: queue._core.hub.readers > 0)
        assert queue.shutdown(0) is False
        found.extend([waits.result(), Call(lambda: wait_out(queue, later)).result()])
        return TaskResult()

    queue = make(scan)
    task_id = queue.submit_task("music")
    later = queue.submit_task("films")
    queue.start()
    await_that(lambda: len(found) == 2)
    assert queue.wait(task_id).status is TaskStatus.COMPLETED
    assert found[0] == found[1]
