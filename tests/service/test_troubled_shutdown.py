"""Shutting down, and starting, while a store or a clock is slow, fails, or is used by others."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from datetime import datetime

import pytest

from scanqueue import (
    EndReason,
    MemoryStore,
    QueueClosedError,
    ScanQueueService,
    StoreError,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.records import Slot
from scanqueue.stores._table import MemoryTable
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.failing_store import FailingStore
from tests.service.shared_store import SharedQueue
from tests.service.tools import (
    PATIENCE,
    Call,
    MakeQueue,
    await_deadline,
    await_that,
    current,
    is_on,
)

pytestmark = pytest.mark.own_store("its calls are held up, and its commits fail")

REPAIR = "scanqueue-repair"
"""The thread that undoes what an interrupted one may have left behind."""


@pytest.fixture
def store(shared: SharedQueue) -> FailingStore:
    """Return a durable store that does as a test says."""
    return FailingStore(shared.store())


@pytest.fixture
def queue(make: MakeQueue, scanner: FakeScanner, store: FailingStore) -> ScanQueueService:
    """Return a service on it, with three workers, started; its scans are held."""
    scanner.hold()
    queue = make(scanner, store=store, workers=3)
    queue.start()
    return queue


@pytest.fixture
def scans(queue: ScanQueueService, scanner: FakeScanner) -> list[FakeScan]:
    """Return three held scans, which ignore cancels."""
    for library_id in ("music", "films", "books"):
        queue.submit_task(library_id)
    scans = [scanner.next_scan() for _ in range(3)]
    for scan in scans:
        scan.ignore_cancel()
    return scans


def test_a_store_that_hangs_keeps_no_scan_from_being_asked_to_stop(
    queue: ScanQueueService, store: FailingStore, scans: list[FakeScan]
) -> None:
    """All at once, and the shutdown returns; what the store missed is recorded with their ends."""
    go_on = threading.Event()
    store.before_next("write", lambda: go_on.wait(PATIENCE))
    shutdown = Call(lambda: queue.shutdown(0))

    await_that(lambda: all(scan.context.cancelled for scan in scans))
    assert shutdown.result() is False
    assert current(queue, scans[0].task.id).status is TaskStatus.RUNNING
    go_on.set()
    for scan in scans:
        scan.release()
    await_that(lambda: queue.pending_count() == 3)


def test_scans_are_asked_in_time_however_many_tasks_are_pending(
    make: MakeQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """Ending the pending ones takes its time; it goes on when they were asked."""
    scanner.hold()
    store = FailingStore(MemoryStore())
    queue = make(scanner, store=store)
    queue.start()
    queue.submit_task("music")
    scan = scanner.next_scan()
    for number in range(2_000):
        queue.submit_task(number)
    asked: list[bool] = []

    def note(number: int, call: str) -> None:
        if call == "write" and not is_on("worker"):
            asked.append(scan.context.cancelled)
            clock.advance(0.95)

    store.fail_when(note)

    queue.shutdown(1)

    assert asked[0] is False
    assert all(asked[1:])
    assert len(asked) > 4
    store.recover()
    stats = queue.stats()
    assert (stats.pending, stats.reasons[EndReason.SHUTDOWN]) == (0, 2_001)


def test_a_claim_under_way_is_waited_for_whatever_the_store_does(
    make: MakeQueue, store: FailingStore, scanner: FakeScanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shutdown needs no store to know of it."""
    scanner.hold()
    claiming, go_on = threading.Event(), threading.Event()
    take_slot = MemoryTable.take_slot

    def take_slot_late(table: MemoryTable, slot: Slot) -> None:
        claiming.set()
        assert go_on.wait(PATIENCE)
        take_slot(table, slot)

    monkeypatch.setattr(MemoryTable, "take_slot", take_slot_late)
    queue = make(scanner, store=store)
    queue.start()
    task_id = queue.submit_task("music")
    assert claiming.wait(PATIENCE)
    store.fail_when(
        lambda _, call: StoreError() if call == "write" and not is_on("worker") else None
    )
    shutdown = Call(lambda: queue.shutdown(None))
    await_that(lambda: queue.is_shut_down)
    go_on.set()
    scan = scanner.next_scan()

    assert not shutdown.is_over
    scan.release()
    assert shutdown.result() is True
    assert current(queue, task_id).status is TaskStatus.COMPLETED


def test_a_service_that_was_never_used_opens_no_store_to_shut_down(
    make: MakeQueue, store: FailingStore
) -> None:
    """It would make a file that nobody asked for."""
    assert make(FakeScanner(), store=store).shutdown() is True

    assert store.calls == []


def test_a_keeper_at_work_when_the_store_is_closed_says_nothing(
    make: MakeQueue, shared: SharedQueue, store: FailingStore, clock: FakeClock
) -> None:
    """It is not the store that failed."""
    asking, go_on = threading.Event(), threading.Event()

    def hold_keeper(number: int, call: str) -> None:
        if is_on("keeper"):
            asking.set()
            assert go_on.wait(PATIENCE)

    queue = make(None, store=store)
    queue.start()
    store.fail_when(hold_keeper)
    make(None, store=shared.store()).submit("music")
    clock.advance(3)
    assert asking.wait(PATIENCE)
    shutdown = Call(queue.shutdown)
    await_that(lambda: "close" in store.calls)
    go_on.set()

    assert shutdown.result() is True


@pytest.mark.logs_errors
def test_who_waits_is_not_told_that_a_task_went_back_when_that_could_not_be_recorded(
    queue: ScanQueueService,
    shared: SharedQueue,
    scans: list[FakeScan],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may end here yet, with a follow-up that takes its place."""

    def fail(_: str) -> None:
        raise StoreError

    scan = scans[0]
    waiter = Call(lambda: queue.wait(scan.task.id))
    shared.before_commit = fail
    shutdown = Call(lambda: queue.shutdown(None, interrupt_running=True))
    await_that(lambda: "the shutdown when the scan ends" in caplog.text)
    shared.before_commit = lambda _: None
    front = ScanQueueService(None, store=shared.store())
    front.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    for each in scans:
        each.release()

    task = waiter.result()
    assert (task.status, task.reason) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN)
    assert shutdown.result() is True
    assert front.shutdown() is True


@pytest.mark.parametrize("call", ["cancel_task", "cancel_library"])
def test_what_was_reported_just_before_a_cancel_is_kept(
    make: MakeQueue, scanner: FakeScanner, call: str
) -> None:
    """Whatever returned before the cancel is part of it."""
    scanner.hold()
    store = FailingStore(MemoryStore())
    queue = make(scanner, store=store)
    queue.start()
    queue.submit_task("music")
    scan = scanner.next_scan()
    scan.report(1)
    store.before_next("write", lambda: scan.report(2))

    if call == "cancel_task":
        task = queue.cancel_task(scan.task.id)
    else:
        (task,) = queue.cancel_library("music")

    assert task.progress.scanned_paths == 2


@pytest.mark.logs_errors
def test_an_end_that_takes_three_tries_is_counted_once(
    queue: ScanQueueService, shared: SharedQueue, scans: list[FakeScan], clock: FakeClock
) -> None:
    """Two commits fail."""
    failures = [StoreError(), StoreError()]

    def fail(_: str) -> None:
        if is_on("worker") and failures:
            raise failures.pop()

    shared.before_commit = fail
    scans[0].release()
    await_deadline(clock, 1.0)
    clock.advance(1)
    await_deadline(clock, 3.0)
    clock.advance(2)
    queue.wait(scans[0].task.id)

    assert queue.stats().ended[TaskStatus.COMPLETED] == 1


class FailingClock(FakeClock):
    """Fails some times on the threads of one kind.

    Args:
        kind: Which threads.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.failures = 0

    def _may_fail(self) -> None:
        if self.failures and is_on(self.kind):
            self.failures -= 1
            raise OSError

    def now(self) -> datetime:
        """Return the moment, or raise."""
        self._may_fail()
        return super().now()

    def monotonic(self) -> float:
        """Return the time, or raise."""
        self._may_fail()
        return super().monotonic()

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait, or raise."""
        self._may_fail()
        super().wait_until(condition, deadline)


@pytest.mark.logs_errors
def test_a_clock_that_fails_does_not_end_the_keeper(
    make: MakeQueue,
    shared: SharedQueue,
    scanner: FakeScanner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A cancel by another process is still heard."""
    monkeypatch.setattr("scanqueue._hub.CLOCK_RETRY", 0.0)
    scanner.hold()
    clock = FailingClock("keeper")
    queue = make(scanner, store=shared.store(), clock=clock)
    queue.start()
    queue.submit_task("music")
    scan = scanner.next_scan()
    await_deadline(clock, 0.5)
    clock.failures = 2
    clock.advance(0.5)
    await_that(lambda: not clock.failures)
    make(None, store=shared.store(), clock=clock).cancel_task(scan.task.id)
    while not scan.context.cancelled:
        clock.advance(0.5)

    errors = [r.message for r in caplog.records if r.levelno >= logging.ERROR]
    assert errors == ["the clock failed; trying again until it works"]


@pytest.mark.logs_errors
@pytest.mark.parametrize("failures", [1, 2, 3, 5, 8])
def test_a_clock_that_fails_ends_no_worker(
    make: MakeQueue,
    scanner: FakeScanner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failures: int,
) -> None:
    """Neither while a scan ends, nor while it waits for the next one."""
    monkeypatch.setattr("scanqueue._hub.CLOCK_RETRY", 0.0)
    scanner.hold()
    clock = FailingClock("worker")
    queue = make(scanner, store=MemoryStore(), clock=clock)
    queue.start()
    for library in ("music", "films"):
        task_id = queue.submit_task(library)
        scan = scanner.next_scan()
        clock.failures = failures
        scan.release()
        while not current(queue, task_id).is_ended:
            clock.advance(1)
        await_that(lambda: not clock.failures)

    assert queue.stats().workers == 1
    texts = {record.message for record in caplog.records if record.levelno >= logging.ERROR}
    assert texts <= {
        "the clock failed; trying again until it works",
        "the store failed; trying again until it works",
    }


@pytest.mark.logs_errors
def test_a_worker_whose_clock_failed_takes_no_call_from_the_others(
    make: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been woken for a task; then the next task wakes somebody else."""
    monkeypatch.setattr("scanqueue._hub.CLOCK_RETRY", 0.0)
    core = make(None, store=SharedQueue().store())._core

    def fail() -> None:
        core.hub.waking = True
        raise OSError

    assert not core.hub.try_clock(fail, core.hub.work)
    assert not core.hub.waking


def test_a_service_that_could_not_be_started_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody need shut it down; its store is closed with it."""

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError

    queue = ScanQueueService(FakeScanner(), store=MemoryStore())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            queue.start()
    core = weakref.ref(queue._core)
    del queue
    gc.collect()
    assert core() is None


def test_of_two_starts_at_once_one_starts_the_workers(
    make: MakeQueue, store: FailingStore, scanner: FakeScanner
) -> None:
    """The other one finds them there."""
    queue = make(scanner, store=store)
    store.before_next("read", queue.start)

    queue.start()

    assert queue.stats().workers == 1


def test_a_second_start_asks_nobody(queue: ScanQueueService, store: FailingStore) -> None:
    """It has nothing to do, so nothing can fail."""
    store.fail()

    queue.start()

    assert store.calls == []
    store.fail_at()


@pytest.mark.logs_errors
def test_a_log_handler_may_shut_down_while_a_late_reader_closes_the_store(
    make: MakeQueue, store: FailingStore
) -> None:
    """No lock is held when it hears that the store could not be closed."""
    queue = make(FakeScanner(), store=store)
    queue.shutdown()
    store.fail("close")
    answers: list[bool] = []

    class Hasty(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            answers.append(queue.shutdown(None))

    handler = Hasty()
    logging.getLogger("scanqueue").addHandler(handler)
    try:
        Call(queue.list_tasks).result()
    finally:
        logging.getLogger("scanqueue").removeHandler(handler)
    assert answers == [True]


@pytest.mark.logs_errors
def test_a_store_that_cannot_be_closed_answers_a_late_reader(
    make: MakeQueue, store: FailingStore
) -> None:
    """The first one after the shutdown of a queue that nobody had used, too."""
    queue = make(FakeScanner(), store=store)
    queue.shutdown()
    store.fail("close")

    assert queue.list_tasks() == queue.list_tasks() == []


def test_a_start_that_a_shutdown_overtakes_while_it_recovers_says_that_the_queue_is_closed(
    make: MakeQueue, shared: SharedQueue, store: FailingStore, scanner: FakeScanner
) -> None:
    """Not what a closed store raises."""
    scanner.hold()
    dead = shared.store()
    other = make(scanner, store=dead)
    other.start()
    other.submit_task("music")
    scanner.next_scan()
    dead.kill()
    queue = make(FakeScanner(), store=store)
    store.before_next("dead_owners", lambda: Call(queue.shutdown).result())

    with pytest.raises(QueueClosedError):
        queue.start()


@pytest.mark.logs_errors
def test_a_worker_whose_claim_fails_during_a_shutdown_ends(
    make: MakeQueue, store: FailingStore
) -> None:
    """It does not try again: nothing starts any more."""
    queue = make(FakeScanner(), store=store)
    queue.submit_task("music")
    shutdowns: list[Call[bool]] = []

    def close_and_fail(number: int, call: str) -> StoreError | None:
        if call != "write" or not is_on("worker"):
            return None
        shutdowns.append(Call(queue.shutdown))
        await_that(lambda: queue.is_shut_down)
        return StoreError()

    store.fail_when(close_and_fail)
    queue.start()

    await_that(lambda: shutdowns)
    assert shutdowns[0].result() is True
    assert queue.stats().workers == 0
    assert len(shutdowns) == 1


@pytest.mark.logs_errors
def test_pending_tasks_that_a_store_does_not_let_end_are_left_as_they_are(
    make: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """The shutdown returns all the same, and the log says so."""
    store = FailingStore(MemoryStore())
    queue = make(FakeScanner(), store=store)
    queue.submit_task("music")
    store.fail("write")

    assert queue.shutdown() is True
    assert queue.pending_count() == 1
    assert [r.message for r in caplog.records] == [
        "the store failed; pending tasks were left as they are"
    ]


def test_a_store_that_another_shutdown_has_closed_meanwhile_is_no_failure(
    queue: ScanQueueService, store: FailingStore, scans: list[FakeScan]
) -> None:
    """What one was about to record, the ends of the scans have recorded."""

    def finish() -> None:
        for scan in scans:
            scan.release()
        assert Call(queue.shutdown).result() is True

    store.before_next("write", finish)

    assert queue.shutdown(interrupt_running=True) is True
    assert queue.pending_count() == 3


def test_pending_tasks_that_another_shutdown_has_ended_meanwhile_are_no_failure(
    make: MakeQueue,
) -> None:
    """It has closed the store that this one fails to use."""
    store = FailingStore(MemoryStore())
    queue = make(FakeScanner(), store=store)
    queue.submit_task("music")
    failures = [StoreError()]

    def fail_late(number: int, call: str) -> StoreError | None:
        if call != "write" or not failures:
            return None
        error = failures.pop()
        assert Call(queue.shutdown).result() is True
        return error

    store.fail_when(fail_late)

    assert queue.shutdown() is True
    assert queue.pending_count() == 0


def test_without_a_thread_to_record_it_scans_are_asked_to_stop_all_the_same(
    queue: ScanQueueService, scans: list[FakeScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's own records it."""

    class Scarce(threading.Thread):
        def start(self) -> None:
            if self.name == "scanqueue-shutdown":
                raise RuntimeError
            super().start()

    monkeypatch.setattr("scanqueue._sync.Thread", Scarce)

    assert queue.shutdown(0) is False
    assert all(scan.context.cancelled for scan in scans)
    assert queue.pending_count() == 3
    for scan in scans:
        scan.release()


def test_a_claim_that_was_committed_when_ctrl_c_came_is_given_back(
    make: MakeQueue, shared: SharedQueue
) -> None:
    """No task is left RUNNING without a scanner."""
    queue = make(FakeScanner(), store=shared.store(), workers=0)
    task_id = queue.submit_task("music")
    interrupts = [KeyboardInterrupt()]

    def interrupt(_: str) -> None:
        if interrupts:
            raise interrupts.pop()

    shared.after_commit = interrupt
    with pytest.raises(KeyboardInterrupt):
        queue.run_pending()

    await_that(lambda: queue.stats().running == 0 and not queue._core.scans)
    assert queue.run_pending() == 1
    task = current(queue, task_id)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 2, 0)


def test_ctrl_c_before_a_claim_changes_nothing(make: MakeQueue, store: FailingStore) -> None:
    """The task waits as before."""
    queue = make(FakeScanner(), store=store, workers=0)
    queue.submit_task("music")
    store.fail("write", error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        queue.run_pending()

    store.recover()
    assert queue.pending_count() == 1
    assert queue.run_pending() == 1


def test_a_claim_that_was_rolled_back_is_another_threads_to_make(
    make: MakeQueue, shared: SharedQueue, store: FailingStore, scanner: FakeScanner
) -> None:
    """Undoing it leaves the scan alone that has begun since."""
    scanner.hold()
    queue = make(scanner, store=store, workers=0)
    task_id = queue.submit_task("music")
    undoing, go_on = threading.Event(), threading.Event()

    def hold_repair(number: int, call: str) -> None:
        if is_on("repair") and call == "write":
            undoing.set()
            assert go_on.wait(PATIENCE)

    def interrupt(_: str) -> None:
        shared.before_commit = lambda _: None
        raise KeyboardInterrupt

    store.fail_when(hold_repair)
    shared.before_commit = interrupt
    with pytest.raises(KeyboardInterrupt):
        queue.run_pending()
    assert undoing.wait(PATIENCE)
    run = Call(queue.run_pending)
    scan = scanner.next_scan()
    go_on.set()
    await_that(lambda: not any(thread.name == REPAIR for thread in threading.enumerate()))

    assert not scan.context.cancelled
    scan.release(TaskResult(added_count=1))
    assert run.result() == 1
    task = current(queue, task_id)
    assert (task.status, task.attempt) == (TaskStatus.COMPLETED, 1)
    assert task.result == TaskResult(added_count=1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_has_its_claim_undone_and_leaves_the_scans_of_others_alone(
    make: MakeQueue, shared: SharedQueue, scanner: FakeScanner
) -> None:
    """A store that ends a thread ends that one, and no task is left RUNNING without a scanner."""
    scanner.hold()
    queue = make(scanner, store=shared.store(), workers=2)
    queue.start()
    films = queue.submit_task("films")
    first = scanner.next_scan()

    def end_thread(_: str) -> None:
        if is_on("worker"):
            shared.after_commit = lambda _: None
            raise SystemExit

    shared.after_commit = end_thread
    music = queue.submit_task("music")
    await_that(lambda: queue.stats().workers == 1 and queue.stats().pending == 1)
    assert not first.context.cancelled
    first.release()
    scanner.next_scan().release()

    assert queue.wait(films).attempt == 1
    assert (queue.wait(music).status, queue.wait(music).attempt) == (TaskStatus.COMPLETED, 2)


def test_without_a_thread_to_close_the_store_the_caller_closes_it(
    make: MakeQueue, store: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shutdown needs no thread of its own."""

    class Scarce(threading.Thread):
        def start(self) -> None:
            if self.name == "scanqueue-retire":
                raise RuntimeError
            super().start()

    queue = make(FakeScanner(), store=store)
    queue.start()
    monkeypatch.setattr("scanqueue._sync.Thread", Scarce)

    assert queue.shutdown() is True
    assert store.calls.count("close") == 1
