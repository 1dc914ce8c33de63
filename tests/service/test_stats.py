"""The queue in numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scanqueue import (
    EndReason,
    LibraryUnavailable,
    QueueStats,
    ScanQueueService,
    ScanScope,
    SubmitOutcome,
    TaskPriority,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScanner
from tests.both_stores import NewStore
from tests.service.failing_store import FailingStore
from tests.service.tools import MakeQueue, await_that, raising, run_one, scan_nothing


def test_an_empty_queue_is_all_zero(queue: ScanQueueService) -> None:
    """Every outcome, status and reason is there, with 0."""
    assert queue.stats() == QueueStats(
        pending=0,
        running=0,
        completed=0,
        failed=0,
        cancelled=0,
        stopping=0,
        workers=0,
        busy_workers=0,
        paused=False,
        oldest_pending_age=None,
        submitted=dict.fromkeys(SubmitOutcome, 0),
        ended={TaskStatus.COMPLETED: 0, TaskStatus.FAILED: 0, TaskStatus.CANCELLED: 0},
        reasons=dict.fromkeys(EndReason, 0),
    )


@pytest.mark.logs_errors
def test_it_counts_what_is_in_the_queue(make: MakeQueue, scanner: FakeScanner) -> None:
    """Each task by its status; stopping ones among the cancelled, too."""
    scanner.hold("running", "stopping", "failed")
    queue = make(scanner, workers=3)
    queue.start()
    for name in ("running", "stopping"):
        queue.submit_task(name)
        scanner.next_scan().ignore_cancel()
    failed = queue.submit_task("failed")
    scanner.next_scan().fail(ValueError())
    queue.wait(failed)
    queue.cancel_library("stopping")
    queue.wait(queue.submit_task("completed"))
    queue.pause()
    queue.submit_task("pending")
    queue.cancel_task(queue.submit_task("cancelled"))

    stats = queue.stats()

    assert (stats.pending, stats.running, stats.stopping) == (1, 1, 1)
    assert (stats.completed, stats.failed, stats.cancelled) == (1, 1, 2)
    assert stats.paused
    assert stats.workers == 3
    await_that(lambda: queue.stats().busy_workers == 2)


def test_it_counts_the_workers_from_the_start_on(make: MakeQueue) -> None:
    """Not a moment later."""
    for _ in range(20):
        queue = make(scan_nothing, workers=3)
        queue.start()
        assert queue.stats().workers == 3
        queue.shutdown()
        assert queue.stats().workers == 0


def test_it_counts_what_was_submitted_by_outcome(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """What this service did since it was made."""
    scanner.hold()
    queue.start()
    queue.submit_task("music", scope=ScanScope(paths=("rock",)))
    scanner.next_scan()
    queue.submit_task("music", scope=ScanScope(paths=("rock",)))
    queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    queue.submit_task("music", TaskPriority.HIGH)
    queue.submit_task("music")
    queue.submit_task("films")

    assert queue.stats().submitted == {
        SubmitOutcome.CREATED: 2,
        SubmitOutcome.JOINED: 2,
        SubmitOutcome.UPGRADED: 1,
        SubmitOutcome.FOLLOW_UP: 1,
    }


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError(), EndReason.ERROR), (LibraryUnavailable(), EndReason.UNAVAILABLE)],
    ids=["error", "unavailable"],
)
def test_it_counts_what_ended_by_status_and_reason(
    make: MakeQueue, error: Exception, reason: EndReason
) -> None:
    """Also when it was pruned since: these are totals."""
    clock = FakeClock()
    queue = make(raising(error), clock=clock)
    run_one(queue)
    queue.cancel_task(queue.submit_task("films"))
    clock.advance(25 * 3600)

    stats = queue.stats()

    assert stats.ended[TaskStatus.FAILED] == stats.ended[TaskStatus.CANCELLED] == 1
    assert stats.reasons[reason] == stats.reasons[EndReason.REQUESTED] == 1
    assert sum(stats.reasons.values()) == 2
    assert (stats.failed, stats.cancelled) == (0, 0), "what is past the retention is not counted"


@pytest.mark.logs_errors
def test_it_only_reads(make: MakeQueue, new_store: NewStore) -> None:
    """Expired tasks are not counted; the next ending deletes them, not the question."""
    clock = FakeClock()
    store = FailingStore(new_store())
    queue = make(scan_nothing, store=store, clock=clock)
    for number in range(3):
        queue.cancel_task(queue.submit_task(number))
    clock.advance(23 * 3600)
    queue.cancel_task(queue.submit_task("late"))
    clock.advance(2 * 3600)
    store.fail("write")

    stats = queue.stats()

    assert stats.cancelled == 1
    assert set(store.calls) == {"read"}


def test_a_cancelled_scan_is_counted_once(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """When it was cancelled, not when it returned."""
    scanner.hold()
    queue.start()
    task_id = queue.submit_task("music")
    scanner.next_scan()
    queue.cancel_task(task_id)
    queue.wait(task_id, quiet=True)

    assert queue.stats().ended[TaskStatus.CANCELLED] == 1
    assert sum(queue.stats().ended.values()) == 1


def test_the_numbers_are_there_when_the_wait_is_over(queue: ScanQueueService) -> None:
    """Who was told of an end finds it counted."""
    queue.start()
    for n in range(1, 201):
        queue.wait(queue.submit_task(n))
        assert queue.stats().ended[TaskStatus.COMPLETED] == n


def test_the_oldest_pending_task_has_an_age(queue: ScanQueueService, clock: FakeClock) -> None:
    """That of the first submitted, whatever its priority; never negative."""
    queue.submit_task("low", TaskPriority.LOW)
    clock.advance(10)
    queue.submit_task("high", TaskPriority.HIGH)
    clock.advance(5)
    assert queue.stats().oldest_pending_age == timedelta(seconds=15)

    queue.cancel_library("low")
    assert queue.stats().oldest_pending_age == timedelta(seconds=5)

    clock.set_back(timedelta(days=1))
    assert queue.stats().oldest_pending_age == timedelta(0)


def test_a_running_scan_of_run_pending_occupies_no_worker(
    make: MakeQueue, scanner: FakeScanner
) -> None:
    """It runs on the caller's thread."""
    counts: list[tuple[int, int]] = []

    def scan(library_id: object, context: object) -> object:
        stats = queue.stats()
        counts.append((stats.running, stats.busy_workers))
        return scanner.scan(library_id, context)  # type: ignore[arg-type]

    queue = make(scan)
    run_one(queue)

    assert counts == [(1, 0)]
