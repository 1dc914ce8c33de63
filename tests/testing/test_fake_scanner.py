"""The scanner whose scans do as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from scanqueue import (
    LibraryUnavailable,
    Scanner,
    ScanQueueService,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner, _scan
from tests.service.tools import PATIENCE, Call, await_that, current


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


@pytest.fixture
def scanner() -> FakeScanner:
    """Return a scanner."""
    return FakeScanner()


@pytest.fixture
def queue(scanner: FakeScanner, clock: FakeClock) -> Iterator[ScanQueueService]:
    """Return a service with two workers, started."""
    queue = ScanQueueService(scanner, clock=clock, workers=2)
    queue.start()
    yield queue
    scanner.let_go()
    Call(lambda: queue.shutdown(None)).result()


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan."""
    scanner.hold()
    queue.submit_task("music")
    return scanner.next_scan()


def test_it_is_a_scanner(scanner: FakeScanner) -> None:
    """By its type, too."""
    its_type: Scanner = scanner

    assert isinstance(its_type, Scanner)


def test_until_told_to_hold_it_finds_nothing_at_once(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """An empty result."""
    task = queue.wait(queue.submit_task("music"))

    assert task.result == TaskResult()
    assert [scan.library_id for scan in scanner.scans] == ["music"]
    assert scanner.next_scan() is scanner.scans[0]


def test_a_held_scan_shows_what_it_was_given(queue: ScanQueueService, scan: FakeScan) -> None:
    """Library, task and context."""
    assert scan.library_id == scan.context.library_id == "music"
    assert scan.task == scan.context.task == current(queue, scan.task.id)
    assert repr(scan.context) == f"<ScanContext of library 'music', task {scan.task.id}>"
    assert not scan.has_returned


def test_each_scan_is_given_out_once_in_order(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """`scans` has them all."""
    scanner.hold()
    queue.submit_task("a")
    first = scanner.next_scan()
    queue.submit_task("b")
    second = scanner.next_scan()

    assert [first.library_id, second.library_id] == ["a", "b"]
    assert scanner.scans == [first, second]
    with pytest.raises(TimeoutError, match=r"0\.01 seconds"):
        scanner.next_scan(0.01)


def test_some_libraries_can_be_held(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """The others go through."""
    scanner.hold("a", "b")
    task_id = queue.submit_task("c")
    queue.submit_task("a")

    assert queue.wait(task_id).status is TaskStatus.COMPLETED
    assert [scanner.next_scan().library_id, scanner.next_scan().library_id] == ["c", "a"]
    assert not scanner.scans[1].has_returned


def test_a_released_scan_returns(queue: ScanQueueService, scan: FakeScan) -> None:
    """With what the test says."""
    scan.release(TaskResult(added_count=3))

    assert queue.wait(scan.task.id, quiet=True).result == TaskResult(added_count=3)
    assert scan.has_returned


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), LibraryUnavailable("y")], ids=repr
)
def test_a_failed_scan_raises(
    queue: ScanQueueService, scan: FakeScan, error: BaseException
) -> None:
    """What the test says."""
    scan.fail(error)

    task = queue.wait(scan.task.id)
    assert task.status is TaskStatus.FAILED
    assert task.error == f"{type(error).__name__}: {error}"
    assert scan.has_returned


def test_a_scan_reports(queue: ScanQueueService, scan: FakeScan) -> None:
    """From the test's thread."""
    scan.report(3, 10, "a.flac")

    assert current(queue, scan.task.id).progress == TaskProgress(
        scanned_paths=3, total_paths=10, message="a.flac"
    )


def test_a_held_scan_stops_when_it_is_cancelled(queue: ScanQueueService, scan: FakeScan) -> None:
    """As a good scanner does."""
    queue.cancel_task(scan.task.id)

    assert not queue.wait(scan.task.id, quiet=True).holds_slot
    assert scan.has_returned


def test_a_scan_can_ignore_a_cancel(queue: ScanQueueService, scan: FakeScan) -> None:
    """As a bad one does, until it is released."""
    scan.ignore_cancel()
    queue.cancel_task(scan.task.id)
    assert current(queue, scan.task.id).is_stopping
    assert not scan.has_returned
    scan.release(TaskResult(added_count=1))

    assert queue.wait(scan.task.id, quiet=True).result == TaskResult(added_count=1)


def test_a_scan_calls_what_it_is_told_to(queue: ScanQueueService, scan: FakeScan) -> None:
    """On its own thread, in order; it goes on afterwards."""
    seen: list[object] = []
    scan.do(lambda context: seen.append(queue.submit_task("films")))
    scan.do(lambda context: context.report(2))
    scan.do(lambda context: seen.append("last"))
    scan.release()

    task = queue.wait(scan.task.id)
    assert task.progress.scanned_paths == 2
    assert len(seen) == 2
    assert seen[1] == "last"


def test_what_an_action_raises_the_scanner_raises(queue: ScanQueueService, scan: FakeScan) -> None:
    """The scan ends with it."""

    def action(context: object) -> None:
        message = "in the middle"
        raise OSError(message)

    scan.do(action)

    assert queue.wait(scan.task.id).error == "OSError: in the middle"


def test_what_an_action_returns_does_not_end_the_scan(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """Only `release` and `fail` do."""
    scan.do(lambda context: TaskResult(added_count=1))
    scan.do(lambda context: context.report(1))
    scan.release()

    assert queue.wait(scan.task.id).result == TaskResult()


def test_letting_go_releases_all_and_holds_no_more(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """Also those that ignore cancels."""
    scanner.hold()
    scanner.hold("c")
    ids = [queue.submit_task(name) for name in "ab"]
    scanner.next_scan().ignore_cancel()
    scanner.next_scan()
    scanner.let_go()
    ids += [queue.submit_task("c")]

    assert {queue.wait(i).status for i in ids} == {TaskStatus.COMPLETED}


def test_a_held_scan_waits_for_no_deadline(scan: FakeScan, clock: FakeClock) -> None:
    """`await_waiters` must count what `advance` can wake, or tests lose their grip."""
    scan.do(lambda context: context.sleep(5))
    clock.await_waiters(1)

    assert clock.deadlines() == [5.0]
    clock.advance(5)
    clock.advance(1000)
    assert not scan.has_returned


@pytest.mark.parametrize("result", [5, None.__class__, "x"])
def test_only_a_result_can_be_returned(scan: FakeScan, result: TaskResult) -> None:
    """A mistake in a test is found where it is made."""
    with pytest.raises(TypeError, match="result"):
        scan.release(result)


def test_only_an_exception_can_be_raised(scan: FakeScan) -> None:
    """Same."""
    with pytest.raises(TypeError, match="error"):
        scan.fail("oops")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="error"):
        scan.fail(ValueError)  # type: ignore[arg-type]


def test_only_a_function_can_be_called(scan: FakeScan) -> None:
    """Same."""
    with pytest.raises(TypeError, match="action must be a function"):
        scan.do(5)  # type: ignore[arg-type]


ORDERS: dict[str, Callable[[FakeScan], None]] = {
    "do": lambda scan: scan.do(print),
    "fail": lambda scan: scan.fail(OSError()),
    "release": lambda scan: scan.release(TaskResult(added_count=9)),
}


@pytest.mark.parametrize("order", list(ORDERS))
def test_orders_to_a_scan_that_has_returned_are_refused(
    queue: ScanQueueService, scan: FakeScan, order: str
) -> None:
    """A test that means them to change something would pass without."""
    scan.do(lambda context: 1 // 0)
    task = queue.wait(scan.task.id, quiet=True)
    with pytest.raises(RuntimeError, match=rf"^{order}\(\) comes too late .* has returned already"):
        ORDERS[order](scan)

    assert current(queue, scan.task.id) == task


@pytest.mark.parametrize("order", list(ORDERS))
def test_orders_to_a_scan_that_was_cancelled_change_nothing(
    queue: ScanQueueService, scan: FakeScan, order: str
) -> None:
    """Whether it has heard of the cancel before is chance, and a test must not depend on it."""
    queue.cancel_task(scan.task.id)
    task = queue.wait(scan.task.id, quiet=True)
    ORDERS[order](scan)

    assert current(queue, scan.task.id) == task


@pytest.mark.parametrize("order", list(ORDERS))
def test_orders_to_a_scan_that_was_told_to_return_are_refused(
    queue: ScanQueueService, scan: FakeScan, order: str
) -> None:
    """Whether it has done so already or not."""
    gate = threading.Event()
    scan.do(lambda context: gate.wait(PATIENCE))
    scan.release()
    with pytest.raises(RuntimeError, match=rf"^{order}\(\) comes .* was told to return already"):
        ORDERS[order](scan)
    gate.set()

    assert queue.wait(scan.task.id).result == TaskResult()


def test_a_scan_that_has_returned_can_be_released(queue: ScanQueueService, scan: FakeScan) -> None:
    """It is what tests do to be sure; and a late report changes nothing, as that of any scanner."""
    scan.release()
    task = queue.wait(scan.task.id, quiet=True)
    scan.release()
    scan.report(9)

    assert current(queue, scan.task.id) == task


def test_a_scan_that_is_held_on_the_tests_own_thread_fails_the_test(
    scanner: FakeScanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of hanging: nobody is there to release it."""
    monkeypatch.setattr(_scan, "PATIENCE", 0.01)
    queue = ScanQueueService(scanner)
    scanner.hold()
    task_id = queue.submit_task("music")
    with pytest.raises(SystemExit, match=r"'music', attempt 1, running> is held, and run_pending"):
        queue.run_pending()

    task = current(queue, task_id)
    assert task.status is TaskStatus.FAILED
    assert "release it from another thread" in str(task.error)
    assert "scanqueue-fake-scan" not in {thread.name for thread in threading.enumerate()}


def test_a_scan_on_the_tests_own_thread_can_be_released_by_another(scanner: FakeScanner) -> None:
    """Whatever it is told, however often."""
    queue = ScanQueueService(scanner, clock=FakeClock())
    scanner.hold()
    task_id = queue.submit_task("music")
    call = Call(queue.run_pending)
    scan = scanner.next_scan()
    scan.do(lambda context: context.report(1))
    await_that(lambda: current(queue, task_id).progress.scanned_paths)
    scan.release()

    assert call.result() == 1
    assert current(queue, task_id).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("timeout", [float("nan"), -1])
def test_a_timeout_that_is_none_is_refused(timeout: float) -> None:
    """It would wait for ever, or say that nothing has begun."""
    with pytest.raises(ValueError, match="timeout"):
        FakeScanner().next_scan(timeout)
    with pytest.raises(TypeError, match="timeout"):
        FakeScanner().next_scan("1")  # type: ignore[arg-type]


def test_a_scan_can_be_waited_for_for_ever(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """What no platform can wait is cut, not refused."""
    call = Call(lambda: scanner.next_scan(float("inf")))
    queue.submit_task("music")

    assert call.result().library_id == "music"
