"""Looking: a task, a library, what waits, what runs, what ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from scanqueue import (
    ScanQueueService,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.tools import Call, MakeQueue, current, ids, libraries, run_one, scan_nothing

DAY = timedelta(hours=24)
LISTINGS = ["list_pending", "list_running", "list_history", "list_tasks"]


# --- one task


def test_an_unknown_task_is_none(queue: ScanQueueService) -> None:
    """No error: it may have been pruned."""
    assert queue.get_task(uuid4()) is None
    assert queue.get_library_task("music") is None


def test_what_was_returned_never_changes(queue: ScanQueueService) -> None:
    """Snapshots are values: equal, hashable, frozen."""
    task = queue.submit("music").task
    again = current(queue, task.id)

    assert task == again
    assert hash(task) == hash(again)
    queue.cancel_task(task.id)
    assert task.status is TaskStatus.PENDING
    with pytest.raises(AttributeError):
        task.status = TaskStatus.FAILED  # type: ignore[misc]


def test_a_library_shows_the_running_task_else_the_pending_one(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """The active task; an ended or stopping one is none."""
    scanner.hold()
    first = queue.submit_task("music")
    assert queue.get_library_task("music") == current(queue, first)
    queue.start()
    scan = scanner.next_scan()
    scan.ignore_cancel()
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)

    assert queue.get_library_task("music") == current(queue, first)
    queue.cancel_task(first)
    assert queue.get_library_task("music") == current(queue, follow_up)
    queue.cancel_task(follow_up)
    assert queue.get_library_task("music") is None
    assert queue.get_library_task(1) is None


# --- pending and running


def test_pending_tasks_are_listed_in_order_of_claim(queue: ScanQueueService) -> None:
    """By priority, then age; at most `limit`."""
    for n, priority in enumerate([0, -1, 1, 0, 1]):
        queue.submit_task(n, TaskPriority(priority))

    assert libraries(queue.list_pending()) == [2, 4, 0, 3, 1]
    for limit in range(7):
        assert queue.list_pending(limit) == queue.list_pending()[:limit]
    assert queue.pending_count() == 5


def test_one_whose_library_is_taken_is_listed_at_its_place(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """It is passed over by the claim, not by the list."""
    scanner.hold("music")
    queue.start()
    queue.submit_task("music")
    scanner.next_scan()
    queue.pause()
    queue.submit_task("music", TaskPriority.HIGH, when_running=WhenRunning.FOLLOW_UP)
    queue.submit_task("films")

    assert libraries(queue.list_pending()) == ["music", "films"]


def test_running_tasks_are_listed_oldest_start_first(
    make: MakeQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """By order of start, whatever the clock says."""
    scanner.hold()
    queue = make(scanner, workers=3)
    queue.start()
    for name in "cab":
        queue.submit_task(name)
        scanner.next_scan()
        clock.set_back(timedelta(hours=1))

    assert libraries(queue.list_running()) == ["c", "a", "b"]
    scanner.scans[0].release()
    queue.wait(scanner.scans[0].task.id)
    assert libraries(queue.list_running()) == ["a", "b"]


# --- history


def test_history_is_latest_end_first(queue: ScanQueueService, clock: FakeClock) -> None:
    """Whatever the end: completed, failed or cancelled."""
    first = run_one(queue, "a").id
    clock.advance(1)
    second = queue.submit_task("b")
    queue.cancel_task(second)
    third = run_one(queue, "c").id

    assert ids(queue.list_history()) == [third, second, first]
    for limit in range(5):
        assert queue.list_history(limit) == queue.list_history()[:limit]


def test_history_is_in_order_of_ending_even_if_the_clock_is_set_back(
    queue: ScanQueueService, clock: FakeClock
) -> None:
    """The recorded moments may be anything."""
    for n in range(3):
        run_one(queue, n)
        clock.set_back(timedelta(hours=5))

    assert libraries(queue.list_history()) == [2, 1, 0]


def test_history_covers_the_retention_by_default(make: MakeQueue, clock: FakeClock) -> None:
    """24 hours, its first moment included."""
    queue = make(scan_nothing)
    run_one(queue, "old")
    clock.advance(1)
    run_one(queue, "new")
    clock.advance(24 * 3600 - 1)
    assert libraries(queue.list_history()) == ["new", "old"]

    clock.advance(0.5)

    assert libraries(queue.list_history()) == ["new"]


@pytest.mark.parametrize(
    ("retention", "kept"),
    [(timedelta(0), 60), (timedelta(seconds=59), 60), (timedelta(hours=1), 3600)],
    ids=str,
)
def test_the_retention_is_at_least_a_minute(
    make: MakeQueue, clock: FakeClock, retention: timedelta, kept: float
) -> None:
    """An ended task is kept at least 60 s whatever the setting says."""
    queue = make(scan_nothing, history_retention=retention)
    run_one(queue)
    clock.advance(kept)
    assert len(queue.list_history()) == 1

    clock.advance(1)

    assert queue.list_history() == []


@pytest.mark.parametrize("retention", [timedelta.max, timedelta(days=365_000)], ids=["max", "long"])
def test_a_retention_may_be_for_ever(
    make: MakeQueue, clock: FakeClock, retention: timedelta
) -> None:
    """Longer than there has been time."""
    queue = make(scan_nothing, history_retention=retention)
    task = run_one(queue)
    clock.advance(1e9)
    run_one(queue)

    assert task in queue.list_history()
    assert queue.stats().completed == 2
    assert len(queue.list_tasks()) == 2


def test_since_is_inclusive_and_by_the_recorded_end(
    queue: ScanQueueService, clock: FakeClock
) -> None:
    """Exactly at `since` is in; any time zone will do."""
    run_one(queue, "a")
    clock.advance(10)
    moment = clock.now()
    run_one(queue, "b")
    clock.advance(10)
    run_one(queue, "c")

    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert libraries(queue.list_history(since=elsewhere)) == ["c", "b"]
    assert libraries(queue.list_history(since=moment + timedelta(microseconds=1))) == ["c"]
    assert libraries(queue.list_history(1, since=moment)) == ["c"]
    assert queue.list_history(since=clock.now() + DAY) == []
    early = datetime.min.replace(tzinfo=moment.tzinfo)
    assert libraries(queue.list_history(since=early)) == ["c", "b", "a"]


def test_since_finds_recorded_ends_around_a_clock_set_back(
    queue: ScanQueueService, clock: FakeClock
) -> None:
    """One that ended later, with an earlier recorded end, does not hide the ones before it."""
    clock.advance(3600)
    since = clock.now()
    run_one(queue, "before")
    clock.set_back(timedelta(seconds=1800))
    run_one(queue, "early by the clock")
    clock.advance(3600)
    run_one(queue, "after")

    assert libraries(queue.list_history(since=since)) == ["after", "before"]


def test_history_of_one_library(queue: ScanQueueService) -> None:
    """Only its tasks, with the limit counted among them."""
    for name in ("a", "b", "a", 1, "1", "a"):
        run_one(queue, name)

    assert libraries(queue.list_history(library_id="a")) == ["a"] * 3
    assert libraries(queue.list_history(2, library_id="a")) == ["a"] * 2
    assert libraries(queue.list_history(library_id=1)) == [1]
    assert queue.list_history(library_id="unknown") == []


def test_stopping_tasks_are_in_history_however_old(
    make: MakeQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """Their scanner is still at work: they are not pruned."""
    scanner.hold("stuck")
    queue = make(scanner)
    queue.start()
    stuck = queue.submit_task("stuck")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    queue.cancel_task(stuck)
    clock.advance(25 * 3600)
    run_one(queue, "new")

    assert libraries(queue.list_history()) == ["new", "stuck"]
    assert libraries(queue.list_history(1)) == ["new"]
    assert libraries(queue.list_history(library_id="stuck")) == ["stuck"]
    assert libraries(queue.list_tasks()) == ["new", "stuck"]
    assert current(queue, stuck).is_stopping
    assert queue.stats().stopping == 1
    scan.release()


def test_a_stopping_task_keeps_its_place_by_order_of_ending(
    make: MakeQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """Also where the clock was set back by more than the retention before it was cancelled."""
    scanner.hold("stuck")
    queue = make(scanner)
    queue.start()
    stuck = queue.submit_task("stuck")
    scanner.next_scan().ignore_cancel()
    run_one(queue, "first")
    clock.set_back(timedelta(hours=30))
    queue.cancel_task(stuck)
    clock.advance(30 * 3600)

    assert libraries(queue.list_history()) == ["stuck", "first"]
    assert libraries(queue.list_history(1)) == ["stuck"]


# --- all


def test_all_tasks_are_running_then_pending_then_ended(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """One moment, each once, at most `limit` in all."""
    run_one(queue, "ended 1")
    run_one(queue, "ended 2")
    scanner.hold()
    queue.start()
    scanner.next_scan()
    scanner.next_scan()
    queue.submit_task("running")
    scanner.next_scan()
    queue.submit_task("pending 1")
    queue.submit_task("pending 2", TaskPriority.HIGH)

    tasks = queue.list_tasks()

    assert libraries(tasks) == ["running", "pending 2", "pending 1", "ended 2", "ended 1"]
    for limit in range(7):
        assert queue.list_tasks(limit) == tasks[:limit]


@pytest.mark.parametrize("listing", ["list_pending", "list_history", "list_tasks"])
def test_a_limit_of_zero_gives_none(queue: ScanQueueService, listing: str) -> None:
    """It is a limit like any other."""
    run_one(queue, "ended")
    queue.submit_task("pending")

    assert getattr(queue, listing)(0) == []
    assert queue.list_changes(0, limit=0) == []


@pytest.mark.parametrize("listing", LISTINGS)
def test_lists_are_the_callers_own(queue: ScanQueueService, listing: str) -> None:
    """To change one changes nothing."""
    run_one(queue, "ended")
    queue.submit_task("pending")
    before = getattr(queue, listing)()
    getattr(queue, listing)().clear()

    assert getattr(queue, listing)() == before
    assert isinstance(before, list)


# --- forgetting


def test_old_tasks_are_forgotten(make: MakeQueue, clock: FakeClock) -> None:
    """What is past the retention is pruned by what ends later, in small batches."""
    queue = make(scan_nothing)
    for n in range(200):
        queue.submit_task(n)
    queue.run_pending()
    old = ids(queue.list_history())
    clock.advance(24 * 3600 + 1)
    for n in range(5):
        run_one(queue, n)

    assert all(queue.get_task(task_id) is None for task_id in old)
    assert len(queue.list_changes(0)) == 5


def test_of_a_library_only_the_old_tasks_are_forgotten(make: MakeQueue, clock: FakeClock) -> None:
    """Its history goes on with the others."""
    queue = make(scan_nothing)
    old = run_one(queue, "music").id
    clock.advance(23 * 3600)
    new = run_one(queue, "music").id
    clock.advance(2 * 3600)
    run_one(queue, "films")

    assert queue.get_task(old) is None
    assert ids(queue.list_history(library_id="music")) == [new]


def test_a_clock_set_forward_by_mistake_forgets_and_goes_on(
    queue: ScanQueueService, clock: FakeClock
) -> None:
    """And when it is set back, what ended in the future stays until it is past it."""
    clock.advance(7 * 24 * 3600)
    future = run_one(queue, "future").id
    clock.set_back(timedelta(days=7))
    for n in range(3):
        run_one(queue, n)

    assert current(queue, future).status is TaskStatus.COMPLETED
    assert libraries(queue.list_history()) == [2, 1, 0, "future"]


def test_a_result_is_kept_with_the_task(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """Until it is forgotten."""
    scanner.hold()
    queue.start()
    task_id = queue.submit_task("music")
    found = TaskResult(added_count=1, updated_count=2, removed_count=3, failed_count=4)
    scanner.next_scan().release(found)
    queue.wait(task_id)

    assert queue.list_history()[0].result == found


class Meddler(datetime):
    """A moment whose comparison needs another call of the queue to return first."""

    queue: ScanQueueService

    def __gt__(self, other: object) -> bool:
        Call(self.queue.pending_count).result()
        return datetime.__gt__(self, other)  # type: ignore[operator]

    __lt__ = __ge__ = __le__ = __gt__


def test_a_moment_with_a_mind_of_its_own_is_read_before_the_queue_is(
    queue: ScanQueueService,
) -> None:
    """What a subclass of `datetime` does runs under no lock."""
    run_one(queue)
    Meddler.queue = queue

    assert len(queue.list_history(since=Meddler(2000, 1, 1, tzinfo=UTC))) == 1
