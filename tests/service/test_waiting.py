"""Waiting for the end of a task."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from scanqueue import (
    LibraryId,
    QueueClosedError,
    ScanContext,
    ScanQueueService,
    ScanTask,
    TaskNotFoundError,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import (
    Call,
    Fate,
    MakeQueue,
    await_deadline,
    current,
    fate,
    run_one,
    wait_out,
)


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music", which ignores cancels."""
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    return scan


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("timeout", [None, 0, 1.5, float("inf")], ids=str)
def test_an_ended_task_is_returned_at_once(
    queue: ScanQueueService, timeout: float | None, quiet: bool
) -> None:
    """Whatever the timeout."""
    task_id = queue.submit_task("music")
    queue.run_pending()

    task = queue.wait(task_id, timeout, quiet=quiet)

    assert task.status is TaskStatus.COMPLETED
    assert task == current(queue, task_id)


def test_it_waits_until_the_task_has_ended(queue: ScanQueueService, scan: FakeScan) -> None:
    """And returns it as it ended."""
    call = Call(lambda: queue.wait(scan.task.id))
    scan.report(1)
    assert not call.is_over
    scan.release()

    task = call.result()
    assert task.status is TaskStatus.COMPLETED
    assert task.progress.scanned_paths == 1


def test_many_wait_for_one_task(queue: ScanQueueService, scan: FakeScan) -> None:
    """All get the same."""
    calls = [Call(lambda: queue.wait(scan.task.id)) for _ in range(8)]
    scan.release()

    assert len({call.result() for call in calls}) == 1


def test_quiet_waits_until_the_scanner_has_returned(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """A cancelled task has ended; its scanner is still at work."""
    queue.cancel_task(scan.task.id)
    assert queue.wait(scan.task.id).is_stopping
    with pytest.raises(TimeoutError):
        queue.wait(scan.task.id, 0, quiet=True)
    call = Call(lambda: queue.wait(scan.task.id, quiet=True))
    scan.release()

    assert not call.result().is_stopping


@pytest.mark.parametrize("quiet", [False, True])
def test_a_timeout_raises(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock, quiet: bool
) -> None:
    """`TimeoutError` at the deadline, by the clock, and not before."""
    call = Call(lambda: queue.wait(scan.task.id, 30, quiet=quiet))
    await_deadline(clock, 30.0)
    clock.advance(29.5)
    assert not call.is_over
    clock.advance(0.5)

    with pytest.raises(TimeoutError, match=str(scan.task.id)):
        call.result()


def test_a_timeout_of_zero_only_looks(queue: ScanQueueService) -> None:
    """It does not wait."""
    with pytest.raises(TimeoutError):
        queue.wait(queue.submit_task("music"), 0)


def test_an_unknown_task_is_not_waited_for(queue: ScanQueueService) -> None:
    """`TaskNotFoundError`."""
    task_id = uuid4()

    with pytest.raises(TaskNotFoundError) as caught:
        queue.wait(task_id)

    assert caught.value.task_id == task_id


def test_a_pruned_task_is_not_waited_for(make: MakeQueue, clock: FakeClock) -> None:
    """What is past the retention is gone."""
    queue = make(FakeScanner(), history_retention=timedelta(seconds=60))
    task_id = run_one(queue).id
    clock.advance(61)
    run_one(queue, "another")

    with pytest.raises(TaskNotFoundError):
        queue.wait(task_id)


def test_who_waits_finds_the_task_even_without_a_retention(
    make: MakeQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """An ended task is kept at least 60 s whatever the retention says."""
    queue = make(scanner, history_retention=timedelta(0))
    task_id = run_one(queue).id
    clock.advance(60)
    run_one(queue, "another")
    assert current(queue, task_id).status is TaskStatus.COMPLETED

    clock.advance(0.001)
    run_one(queue, "a third")
    assert queue.get_task(task_id) is None


def test_a_pending_task_is_waited_for(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """Also one that is not claimed yet."""
    task_id = queue.submit_task("music")
    call = Call(lambda: queue.wait(task_id))
    queue.start()

    assert call.result().status is TaskStatus.COMPLETED


def test_who_waits_for_a_scan_to_stop_finds_its_task(
    make: MakeQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """Also where the scanner took longer to stop than the retention is long."""
    scanner.hold()
    queue = make(scanner, history_retention=timedelta(seconds=60))
    queue.start()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    queue.cancel_task(task_id)
    call = Call(lambda: queue.wait(task_id, quiet=True))
    clock.advance(61)
    scan.release(TaskResult(added_count=1))

    assert call.result().result == TaskResult(added_count=1)


# --- at a shutdown


def test_what_the_shutdown_ends_is_returned(
    queue: ScanQueueService, scan: FakeScan, shut_down_as: Fate
) -> None:
    """In a store that is not durable every task ends; in one that is, no wait has an answer."""
    pending = queue.submit_task("pending")
    calls = [Call(partial(wait_out, queue, task_id)) for task_id in (pending, scan.task.id)]
    assert queue.shutdown(0) is False

    assert [fate(call.result()) for call in calls] == [shut_down_as] * 2


def test_quiet_goes_on_waiting_for_a_scan_that_the_shutdown_left_behind(
    queue: ScanQueueService, scan: FakeScan, is_durable: bool
) -> None:
    """The task has ended, and its scanner may still return; one that went back ends no more."""
    call = Call(lambda: queue.wait(scan.task.id, quiet=True))
    assert queue.shutdown(0) is False
    if is_durable:
        with pytest.raises(QueueClosedError):
            call.result()
        return
    assert not call.is_over
    scan.release()

    assert not call.result().is_stopping


def test_afterwards_an_unknown_task_is_unknown_still(queue: ScanQueueService) -> None:
    """A shutdown does not change what there is."""
    queue.shutdown()

    with pytest.raises(TaskNotFoundError):
        queue.wait(uuid4())


# --- inside a scan


def _inside(  # noqa: C901 - a table
    make: MakeQueue, what: str
) -> ScanTask | BaseException:
    """Wait inside a scan of "music", and return what came of it."""
    outcome: list[ScanTask | BaseException] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        if library_id == "music":
            try:
                outcome.append(wait(context))
            except Exception as error:
                outcome.append(error)
        return TaskResult()

    def wait(context: ScanContext) -> ScanTask:  # noqa: PLR0911 - a table
        own = context.task.id
        match what:
            case "itself":
                return queue.wait(own)
            case "itself, with a timeout":
                return queue.wait(own, 5)
            case "itself, cancelled":
                queue.cancel_task(own)
                return queue.wait(own)
            case "itself, cancelled, quiet":
                queue.cancel_task(own)
                return queue.wait(own, quiet=True)
            case "its follow-up":
                return queue.wait(queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP))
            case "its cancelled follow-up":
                other = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
                queue.cancel_task(other)
                return queue.wait(other, quiet=True)
            case "the task before it":
                return queue.wait(before, quiet=True)
            case _:
                return queue.wait(queue.submit_task("films"))

    queue = make(scan, workers=2)
    before = queue.submit_task("music")
    queue.cancel_task(before)
    with queue:
        Call(lambda: queue.wait(queue.submit_task("music"), quiet=True)).result()
    return outcome[0]


@pytest.mark.parametrize(
    "what",
    ["itself", "itself, with a timeout", "itself, cancelled, quiet", "its follow-up"],
)
def test_a_scan_must_not_wait_for_its_own_library(make: MakeQueue, what: str) -> None:
    """What cannot end before it: `RuntimeError`, instead of a hang."""
    outcome = _inside(make, what)

    assert isinstance(outcome, RuntimeError)
    assert "music" in str(outcome)


@pytest.mark.parametrize(
    "what", ["itself, cancelled", "its cancelled follow-up", "the task before it", "another"]
)
def test_a_scan_may_wait_for_what_can_end(make: MakeQueue, what: str) -> None:
    """Other libraries, and what has ended already."""
    outcome = _inside(make, what)

    assert isinstance(outcome, ScanTask)
    assert outcome.is_ended


def test_a_thread_that_a_scan_started_is_not_inside_of_it(make: MakeQueue) -> None:
    """It may wait for the scan, as long as the scan does not wait for it."""
    calls: list[Call[ScanTask]] = []
    waits = threading.Event()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        def wait() -> ScanTask:
            waits.set()
            return queue.wait(context.task.id)

        calls.append(Call(wait))
        waits.wait()
        return TaskResult()

    queue = make(scan)
    run_one(queue)

    assert calls[0].result().status is TaskStatus.COMPLETED
