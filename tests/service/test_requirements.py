"""The eighteen requirements that the library was made for, each as its users would try it."""

from __future__ import annotations

import pytest

from scanqueue import (
    LibraryId,
    ScanContext,
    ScanQueueService,
    TaskNotCancellableError,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import MakeQueue, current, ids, libraries, raising, run_one

LOW, NORMAL, HIGH = TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music"."""
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    return scanner.next_scan()


@pytest.mark.requirement("1.1")
def test_a_scan_asked_for_makes_a_task_and_returns_its_id_at_once(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """The caller does not wait for the worker, which is occupied."""
    task_id = queue.submit_task("films")

    assert current(queue, task_id).library_id == "films"
    assert task_id != scan.task.id


@pytest.mark.requirement("1.2")
def test_a_new_task_joins_the_pending_queue_and_is_processed_in_the_background(
    queue: ScanQueueService, scanner: FakeScanner, scan: FakeScan
) -> None:
    """It waits behind the others, and runs when its turn comes."""
    task_id = queue.submit_task("films")
    assert ids(queue.list_pending()) == [task_id]
    assert current(queue, task_id).status is TaskStatus.PENDING

    scan.release()

    assert scanner.next_scan().task.id == task_id
    assert queue.list_pending() == []


@pytest.mark.requirement("1.3")
def test_tasks_are_processed_by_priority_then_by_creation(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """The order in which scans begin."""
    for n, priority in enumerate([NORMAL, LOW, HIGH, NORMAL, HIGH, LOW]):
        queue.submit_task(n, priority)

    queue.run_pending()

    assert [scan.library_id for scan in scanner.scans] == [2, 4, 0, 3, 1, 5]


@pytest.mark.requirement("2.1")
def test_asking_by_id_gives_the_current_status_and_progress(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """From pending to the end."""
    task_id = queue.submit_task("films")
    assert current(queue, task_id).status is TaskStatus.PENDING
    scan.report(3, 10)

    task = current(queue, scan.task.id)
    assert (task.status, task.progress.fraction) == (TaskStatus.RUNNING, 0.3)

    scan.release()
    queue.wait(scan.task.id)
    assert current(queue, scan.task.id).status is TaskStatus.COMPLETED


@pytest.mark.requirement("2.2")
def test_a_running_task_reports_items_scanned_and_items_in_total(
    make: MakeQueue, clock: FakeClock
) -> None:
    """While it runs."""
    seen: list[TaskProgress] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        for _ in context.track(["a", "b", "c"]):
            clock.advance(1)
            seen.append(current(queue, context.task.id).progress)
        return TaskResult()

    queue = make(scan)
    task = run_one(queue)

    assert [(p.scanned_paths, p.total_paths) for p in seen] == [(0, 3), (1, 3), (2, 3)]
    assert task.progress == TaskProgress(scanned_paths=3, total_paths=3)


@pytest.mark.requirement("2.3")
def test_asking_for_all_tasks_gives_the_recent_ones_with_their_statuses(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """Running, pending and ended."""
    queue.cancel_task(queue.submit_task("games"))
    queue.submit_task("films")

    assert [(t.library_id, t.status) for t in queue.list_tasks()] == [
        ("music", TaskStatus.RUNNING),
        ("films", TaskStatus.PENDING),
        ("games", TaskStatus.CANCELLED),
    ]


@pytest.mark.requirement("3.1")
def test_cancelling_a_pending_task_takes_it_out_of_the_queue(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """CANCELLED, and never run."""
    task_id = queue.submit_task("music")

    assert queue.cancel_task(task_id).status is TaskStatus.CANCELLED

    assert queue.list_pending() == []
    assert queue.run_pending() == 0
    assert scanner.scans == []


@pytest.mark.requirement("3.2")
def test_cancelling_a_running_task_signals_it_to_stop(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """CANCELLED, and the scanner is told."""
    assert queue.cancel_task(scan.task.id).status is TaskStatus.CANCELLED

    assert scan.context.cancelled
    assert queue.wait(scan.task.id, quiet=True).status is TaskStatus.CANCELLED


@pytest.mark.logs_errors
@pytest.mark.requirement("3.3")
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_cancelling_an_ended_task_is_an_error_that_says_so(
    queue: ScanQueueService, scan: FakeScan, end: str
) -> None:
    """It names what the task is."""
    if end == "completed":
        scan.release()
    elif end == "failed":
        scan.fail(ValueError())
    else:
        queue.cancel_task(scan.task.id)
    queue.wait(scan.task.id, quiet=True)

    with pytest.raises(TaskNotCancellableError, match=f"it is {end} already"):
        queue.cancel_task(scan.task.id)


@pytest.mark.requirement("4.1")
def test_a_request_for_a_library_with_a_pending_task_returns_its_id(
    queue: ScanQueueService,
) -> None:
    """No second one is made."""
    first = queue.submit_task("music")

    assert queue.submit_task("music") == first
    assert queue.pending_count() == 1


@pytest.mark.requirement("4.2")
def test_a_request_for_a_library_being_scanned_returns_the_running_task(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """No second one is made."""
    assert queue.submit_task("music") == scan.task.id
    assert queue.pending_count() == 0


@pytest.mark.requirement("4.3")
def test_a_request_of_higher_priority_upgrades_the_pending_task(queue: ScanQueueService) -> None:
    """It keeps its id."""
    task_id = queue.submit_task("music", NORMAL)

    assert queue.submit_task("music", HIGH) == task_id
    assert current(queue, task_id).priority is HIGH


@pytest.mark.requirement("5.1")
def test_a_scan_asked_for_by_a_person_is_high(queue: ScanQueueService) -> None:
    """HIGH is what the host passes for it."""
    assert current(queue, queue.submit_task("music", HIGH)).priority is HIGH


@pytest.mark.requirement("5.2")
def test_a_scheduled_scan_is_normal(queue: ScanQueueService) -> None:
    """NORMAL is what a submission is by default."""
    assert current(queue, queue.submit_task("music")).priority is NORMAL


@pytest.mark.requirement("5.3")
def test_high_tasks_run_before_normal_ones(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """However many were there before."""
    for n in range(50):
        queue.submit_task(n, NORMAL)
    queue.submit_task("asked for", HIGH)

    assert libraries(queue.list_pending(2)) == ["asked for", 0]
    queue.run_pending(1)
    assert [scan.library_id for scan in scanner.scans] == ["asked for"]


@pytest.mark.requirement("6.1")
def test_a_completed_task_keeps_its_counts(queue: ScanQueueService, scan: FakeScan) -> None:
    """Added, removed and failed."""
    scan.release(TaskResult(added_count=5, removed_count=2, failed_count=1))
    queue.wait(scan.task.id)

    result = queue.list_history()[0].result
    assert result is not None
    assert (result.added_count, result.removed_count, result.failed_count) == (5, 2, 1)


@pytest.mark.logs_errors
@pytest.mark.requirement("6.2")
def test_a_failed_task_keeps_its_error_message(make: MakeQueue) -> None:
    """For whoever asks later."""
    queue = make(raising(OSError("the disk is on fire")))
    run_one(queue)

    assert queue.list_history()[0].error == "OSError: the disk is on fire"


@pytest.mark.requirement("6.3")
def test_history_gives_the_last_24_hours_by_default(
    queue: ScanQueueService, clock: FakeClock
) -> None:
    """Not more, not less."""
    run_one(queue, "too old")
    clock.advance(1)
    run_one(queue, "just in")
    clock.advance(24 * 3600)
    run_one(queue, "new")

    assert libraries(queue.list_history()) == ["new", "just in"]
