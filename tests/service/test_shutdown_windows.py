"""What happens between two steps of a shutdown, and between two steps of who it gets in between."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from types import FrameType
from typing import Any
from uuid import UUID

import pytest

from scanqueue import QueueClosedError, ScanQueueService, StoreError, TaskStatus
from scanqueue._shutdown import shut_down
from scanqueue.records import Slot
from scanqueue.stores._table import MemoryTable
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.both_stores import NewStore
from tests.service.failing_store import FailingStore
from tests.service.shared_store import SharedFile, SharedQueue
from tests.service.tools import PATIENCE, Call, MakeQueue, await_that, current, is_on


@pytest.fixture
def store(shared: SharedQueue | SharedFile) -> FailingStore:
    """Return a durable store that knows how it was called."""
    return FailingStore(shared.store())


@pytest.fixture
def queue(make: MakeQueue, scanner: FakeScanner, store: FailingStore) -> ScanQueueService:
    """Return a service on it, with one worker, started; its scans are held."""
    scanner.hold()
    queue = make(scanner, store=store)
    queue.start()
    return queue


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music", which ignores cancels."""
    queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    return scan


# --- calls that a shutdown overtakes

CALLS: dict[str, Callable[[ScanQueueService, UUID], object]] = {
    "submit": lambda q, i: q.submit("books"),
    "cancel_task": lambda q, i: q.cancel_task(i),
    "cancel_library": lambda q, i: q.cancel_library("films"),
    "pause": lambda q, i: q.pause(),
    "resume": lambda q, i: q.resume(),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_a_shutdown_overtakes_raises_and_changes_nothing(
    queue: ScanQueueService, store: FailingStore, scan: FakeScan, name: str
) -> None:
    """It found the queue open, and then closed when its transaction began."""
    task_id = queue.submit_task("films")
    if name == "resume":
        queue.pause()
    left: list[object] = []

    def look() -> object:
        return queue.revision, queue.list_tasks(), queue.is_paused

    def overtake() -> None:
        assert Call(lambda: queue.shutdown(0)).result() is False
        left.append(look())

    store.before_next("write", overtake)
    with pytest.raises(QueueClosedError):
        CALLS[name](queue, task_id)

    assert left == [look()]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_a_whole_shutdown_overtakes_says_that_the_queue_is_closed(
    queue: ScanQueueService, store: FailingStore, name: str
) -> None:
    """Not what a closed store raises."""
    queue.pause()
    task_id = queue.submit_task("films")
    store.before_next("write", lambda: Call(queue.shutdown).result())

    with pytest.raises(QueueClosedError):
        CALLS[name](queue, task_id)


# --- stores that are opened when the queue is closed


class InterruptedClock(FakeClock):
    """Has something happen the next time that somebody asks it."""

    def __init__(self) -> None:
        super().__init__()
        self.before_next: Callable[[], object] = lambda: None

    def now(self) -> datetime:
        """Return the moment."""
        action, self.before_next = self.before_next, lambda: None
        action()
        return super().now()


def test_a_start_that_a_shutdown_overtakes_leaves_the_store_closed(
    make: MakeQueue, new_store: NewStore
) -> None:
    """It opens the store; nobody else would close it."""
    clock, store = InterruptedClock(), FailingStore(new_store())
    queue = make(FakeScanner(), store=store, clock=clock)
    clock.before_next = lambda: Call(queue.shutdown).result()

    with pytest.raises(QueueClosedError):
        queue.start()

    assert store.calls.count("open") == store.calls.count("close") == 1


def test_a_read_after_the_shutdown_of_an_unused_queue_leaves_the_store_closed(
    make: MakeQueue, store: FailingStore
) -> None:
    """It answers, and holds nothing."""
    queue = make(FakeScanner(), store=store)
    assert queue.shutdown() is True

    assert queue.list_tasks() == []
    assert store.calls.count("open") == store.calls.count("close") == 1


def test_of_two_shutdowns_at_once_none_logs_an_error(
    queue: ScanQueueService, store: FailingStore
) -> None:
    """One closes the store while the other one is about to use it."""
    store.before_next("write", lambda: Call(queue.shutdown).result())

    assert queue.shutdown() is True


# --- claims and endings that a shutdown overtakes


@pytest.mark.own_store("its table is held up")
def test_a_claim_under_way_is_not_missed(
    queue: ScanQueueService,
    store: FailingStore,
    scanner: FakeScanner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It found the queue open: its scan is asked to stop and left behind, as any other."""
    claiming, go_on = threading.Event(), threading.Event()
    take_slot = MemoryTable.take_slot

    def take_slot_late(table: MemoryTable, slot: Slot) -> None:
        claiming.set()
        assert go_on.wait(PATIENCE)
        take_slot(table, slot)

    monkeypatch.setattr(MemoryTable, "take_slot", take_slot_late)
    task_id = queue.submit_task("music")
    assert claiming.wait(PATIENCE)
    assert queue.shutdown(0) is False
    go_on.set()

    assert scanner.next_scan().context.cancelled
    await_that(lambda: current(queue, task_id).status is TaskStatus.PENDING)


class EndsAtLine:
    """Has a scan end when a shutdown is about to run its n-th line after it closed the queue.

    Args:
        queue: What is shut down.
        scan: Its scan, on its only worker.
        number: Which line, counted from 0.
    """

    def __init__(self, queue: ScanQueueService, scan: FakeScan, number: int) -> None:
        self.has_ended = False
        self._queue = queue
        self._scan = scan
        self._number = number
        self._lines = itertools.count()

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *exc_info: object) -> None:
        sys.settrace(self._before)

    def _trace(
        self, frame: FrameType, event: str, arg: object
    ) -> Callable[[FrameType, str, Any], Any] | None:
        if frame.f_code is not shut_down.__code__:
            return None  # in there, locks may be held that the end of the scan needs
        if event == "line" and self._queue.is_shut_down and next(self._lines) == self._number:
            self._scan.release()
            await_that(lambda: self._queue.stats().workers == 0)
            self.has_ended = True
        return self._trace


@pytest.mark.own_store("it tells whether it is closed")
def test_whenever_the_last_scan_ends_the_store_is_closed(make: MakeQueue) -> None:
    """Either the shutdown sees that it has ended, or the scan that it left behind closes it."""
    for number in itertools.count():
        scanner, store = FakeScanner(), SharedQueue().store()
        scanner.hold()
        queue = make(scanner, store=store)
        queue.start()
        queue.submit_task("music")
        scan = scanner.next_scan()
        scan.ignore_cancel()
        ending = EndsAtLine(queue, scan, number)

        def shut_down_meanwhile(
            queue: ScanQueueService = queue, ending: EndsAtLine = ending
        ) -> bool:
            with ending:
                return queue.shutdown(0)

        Call(shut_down_meanwhile).result()
        assert store.is_closed == ending.has_ended
        if not ending.has_ended:
            break

    assert number > 5, "there were lines to end at"


# --- who waits, and who asks again


@pytest.mark.own_store("its commits are held up")
def test_who_is_told_of_an_end_finds_it_counted(
    queue: ScanQueueService, shared: SharedQueue, scanner: FakeScanner
) -> None:
    """Though the worker that has just recorded it has done nothing more yet."""
    go_on = threading.Event()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()

    def hold_worker(_: str) -> None:
        if is_on("worker"):
            assert go_on.wait(PATIENCE)

    shared.after_commit = hold_worker
    scan.release()
    await_that(lambda: current(queue, task_id).is_ended)

    assert queue.wait(task_id).status is TaskStatus.COMPLETED
    assert queue.stats().ended[TaskStatus.COMPLETED] == 1
    go_on.set()


@pytest.mark.own_store("its commits are held up")
def test_an_end_that_could_not_be_recorded_is_not_counted(
    queue: ScanQueueService, shared: SharedQueue
) -> None:
    """The commit failed: the task goes on waiting, and nothing has ended."""
    queue.pause()
    task_id = queue.submit_task("music")

    def fail(_: str) -> None:
        raise StoreError

    shared.before_commit = fail
    with pytest.raises(StoreError):
        queue.cancel_task(task_id)
    shared.before_commit = lambda _: None

    stats = queue.stats()
    assert (stats.pending, sum(stats.ended.values()), sum(stats.reasons.values())) == (1, 0, 0)


def test_who_waits_for_what_goes_back_is_told_before_the_shutdown_returns(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """The task will not end here any more, however long its scanner takes to return."""
    waiter = Call(lambda: queue.wait(scan.task.id))
    shutdown = Call(lambda: queue.shutdown(None, interrupt_running=True))

    with pytest.raises(QueueClosedError):
        waiter.result()
    assert not shutdown.is_over
    assert current(queue, scan.task.id).status is TaskStatus.PENDING
    scan.release()
    assert shutdown.result() is True


@pytest.mark.own_store("its commits are held up")
def test_who_waits_for_what_goes_back_is_not_told_before_it_has(
    queue: ScanQueueService, scan: FakeScan, shared: SharedQueue
) -> None:
    """While that is being committed it runs."""
    committing, go_on = threading.Event(), threading.Event()

    def hold_up(_: str) -> None:
        committing.set()
        assert go_on.wait(PATIENCE)

    shared.before_commit = hold_up
    shutdown = Call(lambda: queue.shutdown(None, interrupt_running=True))
    assert committing.wait(PATIENCE)
    with pytest.raises(TimeoutError):
        queue.wait(scan.task.id, 0)
    go_on.set()

    with pytest.raises(QueueClosedError):
        queue.wait(scan.task.id)
    scan.release()
    assert shutdown.result() is True


def test_a_second_shutdown_leaves_the_closed_store_alone(
    queue: ScanQueueService, store: FailingStore
) -> None:
    """There is nothing to do for it."""
    assert queue.shutdown() is True
    calls = list(store.calls)
    assert calls.count("close") == 1

    assert queue.shutdown() is True
    assert store.calls == calls
