"""Pausing."""

from __future__ import annotations

from scanqueue import ScanQueueService, SubmitOutcome, TaskPriority, TaskStatus
from scanqueue.testing import FakeScanner
from tests.service.tools import Fate, MakeQueue, current, fate


def test_a_paused_queue_starts_no_scan_and_takes_submissions(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """Not even a HIGH one, not by a worker, not by `run_pending`."""
    queue.start()
    queue.pause()

    submission = queue.submit("music", TaskPriority.HIGH)

    assert submission.outcome is SubmitOutcome.CREATED
    assert queue.is_paused
    assert queue.stats().paused
    assert queue.run_pending() == 0
    assert scanner.scans == []
    assert queue.list_pending() == [submission.task]


def test_resuming_starts_what_waits(make: MakeQueue, scanner: FakeScanner) -> None:
    """On all workers."""
    scanner.hold()
    queue = make(scanner, workers=2)
    queue.start()
    queue.pause()
    queue.submit_task("a")
    queue.submit_task("b")

    queue.resume()

    assert {scanner.next_scan().library_id, scanner.next_scan().library_id} == {"a", "b"}
    assert not queue.is_paused


def test_running_scans_go_on(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """A pause is about what has not begun."""
    scanner.hold()
    queue.start()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()
    queue.pause()

    assert not scan.context.cancelled
    scan.release()
    assert queue.wait(task_id).status is TaskStatus.COMPLETED
    next_id = queue.submit_task("music")
    assert current(queue, next_id).status is TaskStatus.PENDING


def test_pausing_twice_is_pausing_once(queue: ScanQueueService) -> None:
    """It is a state, not a count."""
    assert not queue.is_paused
    queue.resume()
    queue.pause()
    queue.pause()
    queue.resume()

    assert not queue.is_paused
    queue.submit_task("music")
    assert queue.run_pending() == 1


def test_a_queue_can_be_paused_before_its_start(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """The workers wait."""
    queue.pause()
    queue.submit_task("music")
    queue.start()
    assert queue.is_paused
    assert scanner.scans == []

    queue.resume()

    assert scanner.next_scan().library_id == "music"


def test_a_paused_queue_cancels_and_shuts_down(queue: ScanQueueService, shut_down_as: Fate) -> None:
    """It is paused, not dead."""
    queue.start()
    queue.pause()
    first = queue.submit_task("a")
    second = queue.submit_task("b")

    assert queue.cancel_task(first).status is TaskStatus.CANCELLED
    assert queue.shutdown() is True
    assert fate(current(queue, second)) == shut_down_as
    assert queue.is_paused
