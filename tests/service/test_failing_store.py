"""A store that fails: callers are told, workers try again, nothing acknowledged is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from scanqueue import (
    EndReason,
    LibraryId,
    QueueClosedError,
    ScanContext,
    ScanQueueService,
    StoreBusyError,
    StoreError,
    StoreFullError,
    TaskPriority,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.both_stores import NewStore
from tests.service.failing_store import FailingStore
from tests.service.tools import (
    PATIENCE,
    Call,
    Fate,
    MakeQueue,
    await_deadline,
    await_that,
    current,
    fate,
    is_on,
    libraries,
    scan_nothing,
)

pytestmark = [pytest.mark.logs_errors, pytest.mark.slow]


@pytest.fixture
def store(new_store: NewStore) -> FailingStore:
    """Return a store that fails when told to."""
    return FailingStore(new_store())


@pytest.fixture
def queue(make: MakeQueue, scanner: FakeScanner, store: FailingStore) -> ScanQueueService:
    """Return a service on it."""
    return make(scanner, store=store)


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music"."""
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    return scanner.next_scan()


def _try(calls: list[Callable[[], object]]) -> tuple[list[object], int]:
    """Call one after the other, each until it succeeds; return their results and the failures."""
    results: list[object] = []
    failures = 0
    for call in calls:
        while True:
            try:
                results.append(call())
            except StoreError:
                failures += 1
            else:
                break
    return results, failures


@pytest.mark.parametrize("number", range(30))
def test_whichever_call_fails_nothing_acknowledged_is_lost(
    store: FailingStore, number: int
) -> None:
    """For every n: the n-th call of the store fails, and the same scenario ends the same."""
    clock = FakeClock()
    ids: dict[str, UUID] = {}

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        for _ in context.track("abc"):
            clock.advance(1)
        return TaskResult(added_count=3)

    queue = ScanQueueService(scan, store=store, clock=clock, workers=0)
    store.fail_at(number)

    def submit(name: str) -> None:
        ids[name] = queue.submit_task(name)

    results, failures = _try(
        [
            lambda: submit("cancelled"),
            lambda: submit("music"),
            lambda: submit("music"),
            lambda: queue.submit("music", TaskPriority.HIGH).outcome.value,
            lambda: submit("films"),
            queue.pause,
            queue.resume,
            lambda: queue.cancel_task(ids["cancelled"]).status,
            queue.pending_count,
            queue.list_tasks,
            queue.stats,
            lambda: libraries(queue.list_pending()),
        ]
    )
    assert results[3] == "upgraded"
    assert results[-1] == ["music", "films"]
    ran = Call(lambda: _try([queue.run_pending, queue.run_pending]))
    while not ran.is_over:
        if clock.deadlines():
            clock.advance(1)
    failures += ran.result()[1]
    store.recover()

    for name in ("music", "films"):
        task = current(queue, ids[name])
        assert (task.status, task.attempt, task.holds_slot) == (TaskStatus.COMPLETED, 1, False)
        assert task.progress.scanned_paths == 3
        assert task.result == TaskResult(added_count=3)
    assert current(queue, ids["cancelled"]).reason is EndReason.REQUESTED
    assert (queue.pending_count(), queue.list_running()) == (0, [])
    stats = queue.stats()
    assert (stats.completed, stats.cancelled, stats.stopping) == (2, 1, 0)
    assert stats.ended[TaskStatus.COMPLETED] == 2
    assert stats.ended[TaskStatus.CANCELLED] == 1
    assert failures <= 1
    assert queue.shutdown() is True


CALLS: dict[str, Callable[[ScanQueueService, UUID], object]] = {
    "submit": lambda q, i: q.submit("films"),
    "join": lambda q, i: q.submit("music"),
    "upgrade": lambda q, i: q.submit("music", TaskPriority.HIGH),
    "cancel_task": lambda q, i: q.cancel_task(i),
    "cancel_library": lambda q, i: q.cancel_library("music"),
    "get_task": lambda q, i: q.get_task(i),
    "get_library_task": lambda q, i: q.get_library_task("music"),
    "list_pending": lambda q, i: q.list_pending(),
    "list_running": lambda q, i: q.list_running(),
    "list_history": lambda q, i: q.list_history(),
    "list_tasks": lambda q, i: q.list_tasks(),
    "list_changes": lambda q, i: q.list_changes(0),
    "changes": lambda q, i: next(q.changes(0)),
    "revision": lambda q, i: q.revision,
    "pending_count": lambda q, i: q.pending_count(),
    "wait": lambda q, i: q.wait(i, 0),
    "pause": lambda q, i: q.pause(),
    "resume": lambda q, i: q.resume(),
    "is_paused": lambda q, i: q.is_paused,
    "stats": lambda q, i: q.stats(),
    "run_pending": lambda q, i: q.run_pending(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("error", [StoreFullError, StoreBusyError, OSError])
def test_callers_get_the_error_of_the_store(
    queue: ScanQueueService,
    store: FailingStore,
    call: Callable[[ScanQueueService, UUID], object],
    error: type[Exception],
) -> None:
    """As it is, also one that is no `StoreError`; nothing has changed."""
    task_id = queue.submit_task("music")
    before = queue.revision, queue.list_tasks(), queue.stats()
    store.fail(error=error)

    with pytest.raises(error):
        call(queue, task_id)

    store.recover()
    assert (queue.revision, queue.list_tasks(), queue.stats()) == before
    assert queue.run_pending() == 1


def test_a_store_that_cannot_be_opened_is_tried_again_at_the_next_call(
    queue: ScanQueueService, store: FailingStore
) -> None:
    """Neither a start nor a submission spoils the service."""
    store.fail("open")
    for call in (queue.start, lambda: queue.submit("music"), queue.stats):
        with pytest.raises(StoreError):
            call()
    assert not queue.is_started

    store.recover()
    queue.start()
    assert queue.wait(queue.submit_task("music")).status is TaskStatus.COMPLETED


def test_a_store_that_was_never_opened_does_not_keep_a_service_from_ending(
    queue: ScanQueueService, store: FailingStore
) -> None:
    """A shutdown needs no store that was not needed before."""
    store.fail("open")
    with pytest.raises(StoreError):
        queue.start()

    assert queue.shutdown() is True


# --- workers


def _errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_workers_try_again_after_1_s_doubling_to_30_s(
    queue: ScanQueueService,
    store: FailingStore,
    scanner: FakeScanner,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By the clock, logged once; when the store works again, so do they."""
    caplog.set_level(logging.INFO)
    task_id = queue.submit_task("music")
    store.fail("write")
    queue.start()
    moment = 0.0
    for number, delay in enumerate((1, 2, 4, 8, 16, 30, 30), 1):
        await_deadline(clock, moment + delay)
        later = clock.monotonic() + 0.5  # sooner, there may be the keeper, who looks around
        assert [at for at in clock.deadlines() if at > later] == [moment + delay]
        clock.advance(delay - 0.5)
        assert store.calls.count("write") == number
        clock.advance(0.5)
        moment += delay
    await_deadline(clock, moment + 30)
    assert scanner.scans == []
    assert len(_errors(caplog)) == 1
    store.recover()
    clock.advance(30)

    assert queue.wait(task_id).status is TaskStatus.COMPLETED
    assert caplog.messages[-1] == "the store works again"


def test_a_failing_store_uses_no_processor_time(
    queue: ScanQueueService, store: FailingStore, clock: FakeClock
) -> None:
    """What happens in between does not make the workers try sooner."""
    queue.submit_task("music")
    store.fail("write")
    queue.start()
    await_deadline(clock, 1.0)
    tries = store.calls.count("write")
    for _ in range(20):
        with pytest.raises(StoreError):
            queue.submit("films")

    await_deadline(clock, 1.0)
    assert store.calls.count("write") == tries + 20
    store.recover()


def test_the_ending_of_a_scan_is_tried_again(
    queue: ScanQueueService,
    store: FailingStore,
    scan: FakeScan,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The slot is held until its end is recorded; the result is not lost."""
    task_id = scan.task.id
    store.fail("write", "report")
    scan.report(5)
    scan.release(TaskResult(added_count=5))
    await_deadline(clock, 1.0)
    clock.advance(1)
    await_deadline(clock, 3.0)

    task = current(queue, task_id)
    assert (task.status, task.holds_slot) == (TaskStatus.RUNNING, True)
    assert scan.has_returned
    assert scan.context.cancelled, "its scan is over"
    store.recover()
    assert queue.submit("music").task_id == task_id
    clock.advance(2)

    task = queue.wait(task_id, quiet=True)
    assert (task.status, task.result) == (TaskStatus.COMPLETED, TaskResult(added_count=5))
    assert task.progress.scanned_paths == 5
    assert len(_errors(caplog)) == 1


def test_what_a_context_says_while_its_end_is_tried_again_changes_nothing(
    queue: ScanQueueService, store: FailingStore, scan: FakeScan, clock: FakeClock
) -> None:
    """The scan ended when its scanner returned."""
    task_id = scan.task.id
    scan.report(5)
    store.fail("write")
    scan.release()
    await_deadline(clock, 1.0)
    scan.context.advance(100)
    scan.context.report(100, 100, "late")
    store.recover()
    clock.advance(1)

    assert queue.wait(task_id).progress.scanned_paths == 5


def test_a_cancel_while_the_end_is_tried_again_wins(
    queue: ScanQueueService, store: FailingStore, scan: FakeScan, clock: FakeClock
) -> None:
    """What is not recorded has not happened; the result is kept."""
    task_id = scan.task.id
    store.fail("write")
    scan.release(TaskResult(added_count=5))
    await_deadline(clock, 1.0)
    store.recover()
    assert queue.cancel_task(task_id).is_stopping
    clock.advance(1)

    task = queue.wait(task_id, quiet=True)
    assert (task.status, task.result) == (TaskStatus.CANCELLED, TaskResult(added_count=5))


def test_lost_progress_is_not_tried_again(
    queue: ScanQueueService, store: FailingStore, scan: FakeScan, clock: FakeClock
) -> None:
    """The scanner is not told; the next report makes up for it."""
    task_id = scan.task.id
    store.fail("report")
    scan.report(1)
    clock.advance(5)
    assert current(queue, task_id).progress.scanned_paths == 0
    assert store.calls.count("report") == 1
    store.recover()
    clock.advance(5)
    assert current(queue, task_id).progress.scanned_paths == 0
    scan.report(2)

    assert current(queue, task_id).progress.scanned_paths == 2


def test_lost_progress_does_not_keep_a_cancel_from_its_work(
    queue: ScanQueueService, store: FailingStore, scan: FakeScan
) -> None:
    """Nor a reader."""
    task_id = scan.task.id
    scan.report(1)
    scan.report(2)
    store.fail("report")

    assert queue.cancel_task(task_id).status is TaskStatus.CANCELLED


@pytest.mark.parametrize("error", [OSError, ValueError, AssertionError], ids=lambda e: e.__name__)
def test_workers_survive_a_store_that_raises_anything(
    queue: ScanQueueService, store: FailingStore, clock: FakeClock, error: type[Exception]
) -> None:
    """A store with a bug is a store that fails."""
    errors = [error(), error()]
    store.fail_when(lambda number, call: errors.pop() if errors and is_on("worker") else None)
    queue.start()
    await_deadline(clock, 1.0)
    clock.advance(1)
    await_deadline(clock, 3.0)
    clock.advance(2)

    assert queue.wait(queue.submit_task("music")).status is TaskStatus.COMPLETED
    assert queue.stats().workers == 1


def test_run_pending_records_the_end_before_it_returns(
    make: MakeQueue, store: FailingStore, clock: FakeClock
) -> None:
    """The ending is tried again there, too; the claim is not."""
    queue = make(scan_nothing, store=store)
    first = queue.submit_task(1)
    queue.submit_task(2)
    outcomes = [None, StoreError(), StoreError()]
    store.fail_when(lambda number, call: outcomes.pop(0) if outcomes and call == "write" else None)
    call = Call(lambda: queue.run_pending(1))
    await_deadline(clock, 1.0)
    clock.advance(1)
    await_deadline(clock, 3.0)
    clock.advance(2)

    assert call.result() == 1
    assert current(queue, first).status is TaskStatus.COMPLETED


# --- shutting down


def test_a_worker_that_looks_for_work_is_no_scan_left_behind(
    queue: ScanQueueService, store: FailingStore
) -> None:
    """A shutdown without patience answers True when no scan runs, whatever the workers look for."""
    looking, go_on = threading.Event(), threading.Event()

    def hold_up(number: int, call: str) -> None:
        if threading.current_thread().name.startswith("scanqueue-worker"):
            looking.set()
            go_on.wait(PATIENCE)

    store.fail_when(hold_up)
    queue.start()
    assert looking.wait(PATIENCE)
    call = Call(lambda: queue.shutdown(0))
    await_that(lambda: queue.is_shut_down)
    go_on.set()

    assert call.result() is True


def test_a_shutdown_with_a_store_that_fails_ends_all_the_same(
    queue: ScanQueueService, store: FailingStore, scanner: FakeScanner
) -> None:
    """The workers go; what could not be recorded stays as it was."""
    queue.pause()
    task_id = queue.submit_task("music")
    queue.start()
    store.fail("write")

    assert Call(lambda: queue.shutdown(None)).result() is True

    store.recover()
    assert current(queue, task_id).status is TaskStatus.PENDING
    with pytest.raises(QueueClosedError):
        queue.wait(task_id)


def test_a_worker_that_waits_for_its_store_is_let_go_by_a_shutdown(
    queue: ScanQueueService, store: FailingStore, clock: FakeClock
) -> None:
    """It claims nothing more, so it need not try again."""
    store.fail("write")
    queue.start()
    await_deadline(clock, 1.0)

    assert Call(lambda: queue.shutdown(None)).result() is True
    assert queue.stats().workers == 0


def test_a_scan_that_ends_while_the_store_fails_is_counted_when_it_is_recorded(
    queue: ScanQueueService,
    store: FailingStore,
    scan: FakeScan,
    is_durable: bool,
    shut_down_as: Fate,
) -> None:
    """Asked to stop by a shutdown that could not record it, it is not COMPLETED, and counted."""
    task_id = scan.task.id
    scan.ignore_cancel()
    store.fail("write")
    assert Call(lambda: queue.shutdown(0)).result() is False
    assert scan.context.cancelled
    store.recover()
    scan.release(TaskResult(added_count=1))
    assert Call(lambda: queue.shutdown(None)).result() is True

    task = current(queue, task_id)
    assert fate(task) == shut_down_as
    assert task.result == (None if is_durable else TaskResult(added_count=1))
    assert queue.stats().ended[TaskStatus.CANCELLED] == (0 if is_durable else 1)
    assert queue.stats().reasons[EndReason.SHUTDOWN] == (0 if is_durable else 1)
