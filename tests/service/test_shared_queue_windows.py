"""What falls between two steps of one service while another one changes the queue they share."""

from __future__ import annotations

import itertools
import logging
import threading
from functools import partial

import pytest

from scanqueue import (
    LibraryId,
    QueueClosedError,
    ScanContext,
    StoreError,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.failing_store import FailingStore
from tests.service.shared_store import SharedFile, SharedQueue
from tests.service.tools import (
    PATIENCE,
    Call,
    MakeQueue,
    await_deadline,
    await_that,
    current,
    is_on,
)

LATE = 1e6
"""A deadline that no test comes to: who waits for it can be seen to wait."""


class Gate:
    """Stops the workers of a service where it is called, until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, owner: str) -> None:
        """Stop who comes by, if it is a worker."""
        if is_on("worker"):
            self.reached.set()
            assert self.open.wait(PATIENCE)


# --- claims


@pytest.mark.own_store("the store tells of foreign changes")
def test_a_cancel_before_a_worker_knows_of_its_own_claim_reaches_the_scan(
    make: MakeQueue, shared: SharedQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """The claim is committed and seen by all; who looks around stops the scan before it begins."""
    scanner.hold()
    first = make(scanner, store=shared.store(poll_interval=None, tells=True))
    front = make(None, store=shared.store())
    shared.after_commit = gate = Gate()
    first.start()
    task_id = first.submit_task("music")
    assert gate.reached.wait(PATIENCE)
    waiter = Call(lambda: first.wait(task_id, LATE))
    await_deadline(clock, LATE)

    front.cancel_task(task_id)
    assert waiter.result().status is TaskStatus.CANCELLED, "the first service has looked around"
    gate.open.set()

    assert scanner.next_scan().context.cancelled


@pytest.mark.own_store("its commits are held up")
def test_a_second_claim_that_is_being_committed_is_no_lost_scan(
    make: MakeQueue, shared: SharedQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """Who looks around sees the attempt before, whose slot is free; the next is still to come."""
    scanner.hold()
    earlier = make(scanner, store=shared.store())
    earlier.start()
    task_id = earlier.submit_task("music")
    sent_back = scanner.next_scan()
    earlier.shutdown(0)
    sent_back.release()
    assert earlier.shutdown(None) is True
    front = make(None, store=shared.store())
    front.pause()
    second = make(scanner, store=shared.store(poll_interval=0.5))
    second.start()
    await_deadline(clock, 0.5)
    shared.before_commit = gate = Gate()

    front.resume()  # the second service will see this change when it looks next
    second.submit_task("films")  # and this wakes its worker now
    assert gate.reached.wait(PATIENCE)
    clock.advance(0.5)
    await_deadline(clock, 1.0)  # it has looked
    gate.open.set()
    scan = scanner.next_scan()

    assert (scan.task.id, scan.task.attempt) == (task_id, 2)
    assert not scan.context.cancelled


# --- looks


@pytest.mark.own_store("the store tells of foreign changes")
@pytest.mark.logs_errors
@pytest.mark.parametrize("failing", [0, 1], ids=["the poll", "the look"])
@pytest.mark.parametrize(
    ("poll_interval", "tells", "moment"),
    [(0.5, False, 0.5), (None, True, 0.0)],
    ids=["a store that is polled", "a store that tells"],
)
def test_what_a_failed_look_has_missed_a_later_one_sees(  # noqa: PLR0917 - fixtures
    make: MakeQueue,
    shared: SharedQueue,
    scanner: FakeScanner,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    poll_interval: float | None,
    tells: bool,
    moment: float,
    failing: int,
) -> None:
    """A cancel reaches the scan although the store failed when it was to be seen; logged once."""
    scanner.hold()
    store = FailingStore(shared.store(poll_interval=poll_interval, tells=tells))
    first = make(scanner, store=store)
    first.start()
    task_id = first.submit_task("music")
    scan = scanner.next_scan()
    await_deadline(clock, 0.5 if poll_interval else 2.0)
    reads = itertools.count()
    failed = threading.Event()

    def fail_once(number: int, call: str) -> StoreError | None:
        if call != "read" or not is_on("keeper") or next(reads) != failing:
            return None
        failed.set()
        return StoreError()

    store.fail_when(fail_once)
    make(None, store=shared.store()).cancel_task(task_id)
    clock.advance(moment)
    assert failed.wait(PATIENCE)
    clock.advance(2)

    await_that(lambda: scan.context.cancelled)
    await_that(lambda: scan.has_returned)
    assert [r.levelno for r in caplog.records if r.levelno >= logging.ERROR] == [logging.ERROR]


@pytest.mark.own_store("the store tells of foreign changes")
@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("poll_interval", "tells"),
    [(0.5, False), (None, True)],
    ids=["a store that is polled", "a store that tells"],
)
def test_while_the_store_fails_the_keeper_waits_between_two_looks(
    make: MakeQueue,
    shared: SharedQueue,
    clock: FakeClock,
    poll_interval: float | None,
    tells: bool,
) -> None:
    """However long that lasts; it does not look all the time."""
    store = FailingStore(shared.store(poll_interval=poll_interval, tells=tells))
    make(None, store=store).start()
    await_deadline(clock, poll_interval or 2.0)
    store.fail("read")
    for _ in range(5):
        clock.advance(1)
        await_that(lambda: [at for at in clock.deadlines() if at > clock.monotonic()])


@pytest.mark.own_store("how often it polls is chosen")
@pytest.mark.logs_errors
def test_a_store_that_can_only_be_read_does_not_work_again(
    make: MakeQueue,
    shared: SharedQueue,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The keeper says so once the step that failed has been done, whatever is done in between."""
    caplog.set_level(logging.INFO)
    store = FailingStore(shared.store(poll_interval=0.5))
    make(FakeScanner(), store=store).start()
    await_deadline(clock, 0.5)
    store.fail("dead_owners")

    dying, held = shared.store(), FakeScanner()
    held.hold()
    dead = make(held, store=dying)
    dead.start()
    dead.submit_task("films")
    held.next_scan()
    dying.kill()

    def has_looked(before: int) -> bool:
        return store.calls.count("read") > before

    while store.calls.count("dead_owners") < 3:
        looks = store.calls.count("read")
        clock.advance(0.5)
        await_that(partial(has_looked, looks))
    assert caplog.messages == ["the store failed; trying again until it works"]
    store.recover()
    clock.advance(2)
    await_that(lambda: "the store works again" in caplog.messages)
    assert caplog.messages[1:] == ["a process died during a scan", "the store works again"]


@pytest.mark.own_store("how often it polls is chosen")
def test_run_pending_hears_of_a_cancel_by_another_service_without_a_start(
    make: MakeQueue, shared: SharedQueue, clock: FakeClock
) -> None:
    """Although its scan does nothing but look at `cancelled`, which asks nobody."""
    begun = threading.Event()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        begun.set()
        await_that(lambda: context.cancelled)
        return TaskResult(added_count=1)

    queue = make(scan, store=shared.store(poll_interval=0.5))
    task_id = queue.submit_task("music")
    running = Call(queue.run_pending)
    assert begun.wait(PATIENCE)
    make(None, store=shared.store()).cancel_task(task_id)
    clock.await_waiters()  # somebody will look again when time has passed
    clock.advance(0.5)

    assert running.result() == 1
    task = current(queue, task_id)
    assert (task.status, task.result) == (TaskStatus.CANCELLED, TaskResult(added_count=1))
    assert not queue.is_started


@pytest.mark.own_store("its process is killed")
def test_a_start_has_freed_the_slots_of_the_dead_when_it_returns(
    make: MakeQueue, shared: SharedQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """It waits neither for a moment to come nor for another thread to get to it."""
    scanner.hold()
    store = shared.store()
    dead = make(scanner, store=store)
    dead.start()
    task_id = dead.submit_task("music")
    scanner.next_scan()
    store.kill()
    slow = FailingStore(shared.store())
    started = threading.Event()

    def hold_up_keeper(number: int, call: str) -> None:
        if is_on("keeper"):
            started.wait(PATIENCE)

    slow.fail_when(hold_up_keeper)
    queue = make(FakeScanner(), store=slow, workers=0)
    queue.start()
    task = current(queue, task_id)
    started.set()

    assert (task.status, task.holds_slot, task.interruptions) == (TaskStatus.PENDING, False, 1)
    assert clock.monotonic() == 0


# --- waits


def test_who_waits_for_a_scanner_of_another_service_is_let_go_by_the_shutdown_of_its_own(
    make: MakeQueue, shared: SharedQueue | SharedFile, scanner: FakeScanner, clock: FakeClock
) -> None:
    """The task has ended, but that its scanner returned nobody here will hear: it raises."""
    scanner.hold()
    first = make(scanner, store=shared.store())
    first.start()
    task_id = first.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    front = make(None, store=shared.store())
    assert front.cancel_task(task_id).is_stopping
    waiter = Call(lambda: front.wait(task_id, LATE, quiet=True))
    await_deadline(clock, LATE)
    assert not waiter.is_over

    assert front.shutdown() is True

    late = Call(lambda: front.wait(task_id, quiet=True))
    for call in (waiter, late):
        with pytest.raises(QueueClosedError):
            call.result()
    assert front.wait(task_id).is_stopping
    assert not scan.has_returned
