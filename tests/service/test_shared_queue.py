"""Durable queues that several services share, each as if in a process of its own."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from scanqueue import (
    EndReason,
    LibraryId,
    QueueClosedError,
    ScanCancelled,
    ScanContext,
    ScanQueueService,
    ScanScope,
    StoreError,
    SubmitOutcome,
    TaskNotFoundError,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.protocols import TaskStore
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.failing_store import FailingStore
from tests.service.shared_store import SharedFile, SharedQueue, SharedStore
from tests.service.tools import (
    PATIENCE,
    Call,
    MakeQueue,
    await_that,
    current,
    ids,
    libraries,
    run_one,
    scan_nothing,
)

LOW, NORMAL, HIGH = TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH
FOLLOW_UP = WhenRunning.FOLLOW_UP
ROCK, JAZZ = ScanScope(paths=("rock",)), ScanScope(paths=("jazz",))


@pytest.fixture
def store(shared: SharedQueue | SharedFile) -> TaskStore:
    """Return the handle of the first service."""
    return shared.store()


@pytest.fixture
def first(make: MakeQueue, scanner: FakeScanner, store: TaskStore) -> ScanQueueService:
    """Return the first service, with one worker, started."""
    queue = make(scanner, store=store)
    queue.start()
    return queue


@pytest.fixture
def scan(first: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of "music" in the first service, which ignores cancels."""
    scanner.hold("music")
    first.submit_task("music", scope=ROCK)
    scan = scanner.next_scan()
    scan.ignore_cancel()
    return scan


def let_time_pass(clock: FakeClock, seconds: float) -> None:
    """Let time pass in small steps, and those who waited for one go on in between."""
    for _ in range(round(seconds / 0.1)):
        clock.advance(0.1)
        await_that(lambda: all(at > clock.monotonic() for at in clock.deadlines()))


# --- shutting down


def test_asked_to_stop_a_running_task_goes_back_to_pending(
    first: ScanQueueService, store: TaskStore, scan: FakeScan
) -> None:
    """With its id, priority, scope and rank; started_at None, progress gone, attempt kept."""
    scan.report(5, 10)
    assert first.shutdown(0) is False

    task = current(first, scan.task.id)
    assert task.status is TaskStatus.PENDING
    assert (task.priority, task.scope, task.created_at) == (NORMAL, ROCK, scan.task.created_at)
    assert {task.started_at, task.completed_at, task.reason, task.error} == {None}
    assert task.progress == TaskProgress(scanned_paths=0)
    assert (task.attempt, task.interruptions) == (1, 0)
    assert task.holds_slot, "its scanner is still at work"
    assert not task.is_stopping
    assert scan.context.cancelled
    assert first.stats().pending == 1
    assert sum(first.stats().ended.values()) == 0

    scan.release(TaskResult(added_count=9))
    assert first.shutdown(None) is True

    task = current(first, scan.task.id)
    assert (task.status, task.result, task.holds_slot) == (TaskStatus.PENDING, None, False)
    assert not isinstance(store, SharedStore) or store.is_closed


def test_it_runs_again_at_the_next_start(
    first: ScanQueueService, shared: SharedQueue | SharedFile, scan: FakeScan, make: MakeQueue
) -> None:
    """In its place by age; the second attempt is another one."""
    later = first.submit_task("later")
    first.shutdown(0)
    scan.release()
    assert first.shutdown(None) is True

    scanner = FakeScanner()
    second = make(scanner, store=shared.store())
    assert ids(second.list_pending()) == [scan.task.id, later]
    second.start()

    task = second.wait(scan.task.id, quiet=True)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 2, 0)
    assert second.wait(later).status is TaskStatus.COMPLETED
    assert [s.library_id for s in scanner.scans] == ["music", "later"]


def test_pending_tasks_stay_pending(
    first: ScanQueueService, shared: SharedQueue | SharedFile, make: MakeQueue
) -> None:
    """A shutdown does not end what a durable queue keeps."""
    first.pause()
    task_id = first.submit_task("films")
    assert first.shutdown() is True

    assert current(first, task_id).status is TaskStatus.PENDING
    assert ids(make(FakeScanner(), store=shared.store()).list_pending()) == [task_id]


def test_who_waits_for_what_goes_back_is_told(first: ScanQueueService, scan: FakeScan) -> None:
    """`QueueClosedError`: it will not end here any more."""
    pending = first.submit_task("films")
    calls = [Call(lambda i=i: first.wait(i)) for i in (scan.task.id, pending)]  # type: ignore[misc]
    first.shutdown(0)

    for call in calls:
        with pytest.raises(QueueClosedError):
            call.result()
    with pytest.raises(QueueClosedError):
        first.wait(scan.task.id)


def test_a_scan_that_ends_in_time_ends_as_it_would_have(
    first: ScanQueueService, scan: FakeScan
) -> None:
    """Nobody asked it to stop."""
    call = Call(lambda: first.shutdown(None))
    scan.release()

    assert call.result() is True
    assert current(first, scan.task.id).status is TaskStatus.COMPLETED


def test_a_follow_up_takes_over_at_a_shutdown(first: ScanQueueService, scan: FakeScan) -> None:
    """The task ends instead, and names what replaces it: union of scopes, higher priority."""
    follow_up = first.submit_task("music", LOW, scope=JAZZ, when_running=FOLLOW_UP)
    first.shutdown(0)

    ended, heir = current(first, scan.task.id), current(first, follow_up)
    assert (ended.status, ended.reason) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN)
    assert str(follow_up) in str(ended.error)
    assert ended.is_stopping
    assert (heir.status, heir.priority) == (TaskStatus.PENDING, NORMAL)
    assert heir.scope == ROCK.union(JAZZ)
    assert first.wait(scan.task.id) == ended
    scan.release(TaskResult(added_count=2))
    assert first.shutdown(None) is True
    assert current(first, scan.task.id).result == TaskResult(added_count=2), "kept where it ended"
    assert first.stats().reasons[EndReason.SHUTDOWN] == 1


def test_a_task_on_its_way_back_can_be_cancelled_and_upgraded_by_others(
    first: ScanQueueService, shared: SharedQueue | SharedFile, scan: FakeScan, make: MakeQueue
) -> None:
    """It is pending again; it starts when the slot is free."""
    first.shutdown(0)
    second = make(FakeScanner(), store=shared.store())

    upgraded = second.submit("music", HIGH, scope=JAZZ)
    assert (upgraded.outcome, upgraded.task_id) == (SubmitOutcome.UPGRADED, scan.task.id)
    assert second.run_pending() == 0, "the slot is held"
    assert second.cancel_task(scan.task.id).is_stopping
    scan.release(TaskResult(added_count=1))
    assert first.shutdown(None) is True

    task = current(second, scan.task.id)
    assert (task.status, task.reason, task.holds_slot) == (
        TaskStatus.CANCELLED,
        EndReason.REQUESTED,
        False,
    )


def test_who_waits_for_what_another_service_runs_is_not_sent_away_early(
    first: ScanQueueService,
    shared: SharedQueue | SharedFile,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """Before the shutdown has returned a pending task may still end, elsewhere."""
    films = first.submit_task("films")
    shutdown = Call(lambda: first.shutdown(None))
    await_that(lambda: first.is_shut_down)
    waiter = Call(lambda: first.wait(films))
    make(FakeScanner(), store=shared.store()).run_pending()
    let_time_pass(clock, 1)

    assert waiter.result().status is TaskStatus.COMPLETED
    scan.release()
    assert shutdown.result() is True


# --- following each other


def test_what_one_does_the_others_see(
    first: ScanQueueService, shared: SharedQueue | SharedFile, scanner: FakeScanner, make: MakeQueue
) -> None:
    """One queue: tasks, joins, stats and revisions."""
    scanner.hold()
    second = make(FakeScanner(), store=shared.store())
    task_id = first.submit_task("music")
    scan = scanner.next_scan()

    assert second.submit("music").task_id == task_id
    assert second.get_library_task("music") == current(first, task_id)
    assert second.run_pending() == 0
    assert second.stats().running == 1
    assert second.stats().workers == 0
    assert second.stats().submitted[SubmitOutcome.JOINED] == 1
    assert first.stats().submitted[SubmitOutcome.JOINED] == 0
    assert first.revision == second.revision
    scan.release()
    first.wait(task_id)


def test_an_idle_worker_of_another_service_sees_a_submission_within_a_second(
    first: ScanQueueService, shared: SharedQueue | SharedFile, clock: FakeClock, make: MakeQueue
) -> None:
    """Without a scanner of its own a service submits and looks only."""
    front = make(None, store=shared.store())
    task_id = front.submit_task("films")

    let_time_pass(clock, 1)

    await_that(lambda: current(front, task_id).status is TaskStatus.COMPLETED)
    with pytest.raises(RuntimeError, match="scanner"):
        front.run_pending()
    front.start()
    assert front.stats().workers == 0


def test_a_cancel_from_another_service_reaches_the_scanner_within_a_second(
    first: ScanQueueService,
    shared: SharedQueue | SharedFile,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """Its context says cancelled; a sleep ends."""
    front = make(None, store=shared.store())
    scan.do(lambda context: context.sleep(1e6))
    assert front.cancel_task(scan.task.id).is_stopping

    let_time_pass(clock, 1)

    await_that(lambda: scan.context.cancelled)
    await_that(lambda: not current(front, scan.task.id).holds_slot)


def test_a_change_reaches_the_readers_of_another_service_within_a_second(
    first: ScanQueueService, shared: SharedQueue | SharedFile, clock: FakeClock, make: MakeQueue
) -> None:
    """`changes` and `wait`."""
    front = make(None, store=shared.store())
    front.start()
    first.pause()
    after = front.revision
    reader = Call(lambda: next(front.changes(after)))
    task_id = first.submit_task("films")
    let_time_pass(clock, 1)
    assert reader.result().id == task_id

    waiter = Call(lambda: front.wait(task_id))
    first.cancel_task(task_id)
    let_time_pass(clock, 1)
    assert waiter.result().status is TaskStatus.CANCELLED


def test_who_only_waits_sees_it_too(
    first: ScanQueueService, shared: SharedQueue | SharedFile, clock: FakeClock, make: MakeQueue
) -> None:
    """A service that was not started follows the others as soon as somebody waits."""
    front = make(None, store=shared.store())
    first.pause()
    task_id = first.submit_task("films")
    waiter = Call(lambda: front.wait(task_id))
    first.cancel_task(task_id)
    let_time_pass(clock, 1)

    assert waiter.result(2).status is TaskStatus.CANCELLED


def test_progress_is_seen_by_others_within_a_second(
    first: ScanQueueService,
    shared: SharedQueue | SharedFile,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """Also when nothing follows."""
    front = make(None, store=shared.store())
    scan.report(1, 10)
    assert current(front, scan.task.id).progress.scanned_paths == 1
    scan.report(7, 10)

    let_time_pass(clock, 1)

    await_that(lambda: current(front, scan.task.id).progress.scanned_paths == 7)


@pytest.mark.own_store("the store tells of foreign changes")
def test_a_store_that_can_tell_is_not_polled_for(
    make: MakeQueue, shared: SharedQueue, scanner: FakeScanner, clock: FakeClock
) -> None:
    """The callback that it was given is enough: no time passes."""
    scanner.hold()
    first = make(scanner, store=shared.store(poll_interval=None, tells=True))
    first.start()
    front = make(None, store=shared.store(poll_interval=None, tells=True))
    task_id = front.submit_task("music")
    scan = scanner.next_scan()
    waiter = Call(lambda: front.wait(task_id, quiet=True))
    front.cancel_task(task_id)

    assert waiter.result().status is TaskStatus.CANCELLED
    assert scan.context.cancelled
    assert clock.monotonic() == 0


@pytest.mark.own_store("its commits are held up")
def test_a_claim_that_is_being_committed_is_no_lost_scan(
    first: ScanQueueService,
    shared: SharedQueue,
    scanner: FakeScanner,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """Who looks around meanwhile sees the last commit, without the slot, and must not stop it."""
    scanner.hold()
    front = make(None, store=shared.store())
    let_time_pass(clock, 1)
    committing, go_on = threading.Event(), threading.Event()

    def hold_back(owner: str) -> None:
        if threading.current_thread().name.startswith("scanqueue-worker"):
            committing.set()
            assert go_on.wait(PATIENCE)

    shared.before_commit = hold_back
    front.submit_task("films")  # the first service will see this change when it looks next
    first.submit_task("music")  # and this wakes its worker now
    assert committing.wait(PATIENCE)
    let_time_pass(clock, 1)
    go_on.set()
    scan = scanner.next_scan()

    assert not scan.context.cancelled
    shared.before_commit = lambda owner: None


@pytest.mark.own_store("its calls are held up")
def test_a_scan_whose_claim_took_long_hears_of_a_cancel_by_another_process(
    make: MakeQueue, shared: SharedQueue, clock: FakeClock
) -> None:
    """Who follows the others does not leave before the scan has begun."""
    claiming, go_on, begun = threading.Event(), threading.Event(), threading.Event()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        begun.set()
        await_that(lambda: context.cancelled)
        return TaskResult()

    store = FailingStore(shared.store())
    queue, front = make(scan, store=store, workers=0), make(None, store=shared.store())
    task_id = front.submit_task("music")

    def hold() -> None:
        claiming.set()
        assert go_on.wait(PATIENCE)

    store.before_next("write", hold)
    run = Call(queue.run_pending)
    assert claiming.wait(PATIENCE)
    clock.await_waiters()
    let_time_pass(clock, 3)
    go_on.set()
    assert begun.wait(PATIENCE)
    front.cancel_task(task_id)
    let_time_pass(clock, 1)

    assert run.result() == 1
    assert current(queue, task_id).result is not None


# --- death


@pytest.mark.own_store("its process is killed")
def test_a_task_of_a_dead_process_runs_again_within_five_seconds(  # noqa: PLR0917 - fixtures
    first: ScanQueueService,
    store: SharedStore,
    shared: SharedQueue,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While another process lives: back to PENDING, one interruption more."""
    scanner = FakeScanner()
    scanner.hold()
    second = make(scanner, store=shared.store())
    second.start()
    let_time_pass(clock, 1)
    store.kill()

    let_time_pass(clock, 5)

    again = scanner.next_scan()
    assert again.task.id == scan.task.id
    assert (again.task.attempt, again.task.interruptions) == (2, 1)
    assert again.task.scope == ROCK
    (record,) = caplog.records
    assert record.getMessage() == "a process died during a scan"
    assert vars(record)["scanqueue_library_id"] == "music"
    assert vars(record)["scanqueue_status"] == "pending"


@pytest.mark.own_store("its process is killed")
def test_at_the_next_start_it_comes_back_at_once(  # noqa: PLR0917 - fixtures
    first: ScanQueueService,
    store: SharedStore,
    shared: SharedQueue,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """A restart after a crash: no time passes."""
    store.kill()
    scanner = FakeScanner()
    second = make(scanner, store=shared.store())
    moment = clock.monotonic()
    second.start()

    task = second.wait(scan.task.id)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 2, 1)
    assert clock.monotonic() == moment


@pytest.mark.own_store("its sign of life is taken")
def test_a_late_scan_of_a_process_taken_for_dead_changes_nothing(  # noqa: PLR0917 - fixtures
    first: ScanQueueService,
    store: SharedStore,
    shared: SharedQueue,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """Every write names its attempt; another attempt is the current one."""
    scanner = FakeScanner()
    scanner.hold()
    with shared.lock:
        shared.alive.discard(store.owner)
    second = make(scanner, store=shared.store())
    second.start()
    again = scanner.next_scan()
    scan.report(99)
    scan.release(TaskResult(added_count=99))
    let_time_pass(clock, 2)
    await_that(lambda: first.stats().busy_workers == 0)

    task = current(second, scan.task.id)
    assert (task.status, task.attempt, task.progress.scanned_paths) == (TaskStatus.RUNNING, 2, 0)
    assert scan.context.cancelled
    assert not again.context.cancelled
    again.release(TaskResult(added_count=1))
    assert second.wait(scan.task.id).result == TaskResult(added_count=1)


@pytest.mark.own_store("its process is killed")
def test_a_stopping_task_of_a_dead_process_stays_cancelled(
    first: ScanQueueService,
    store: SharedStore,
    shared: SharedQueue,
    scan: FakeScan,
    make: MakeQueue,
) -> None:
    """Its slot is freed; that is no interruption."""
    first.cancel_task(scan.task.id)
    store.kill()
    second = make(FakeScanner(), store=shared.store())
    second.start()

    task = current(second, scan.task.id)
    assert (task.status, task.reason) == (TaskStatus.CANCELLED, EndReason.REQUESTED)
    assert (task.holds_slot, task.interruptions) == (False, 0)


@pytest.mark.own_store("its process is killed")
def test_a_task_on_its_way_back_whose_process_dies_is_pending(
    first: ScanQueueService,
    store: SharedStore,
    shared: SharedQueue,
    scan: FakeScan,
    make: MakeQueue,
) -> None:
    """A shutdown does not count as a death."""
    first.shutdown(0)
    store.kill()
    second = make(FakeScanner(), store=shared.store(), workers=0)
    second.start()

    task = current(second, scan.task.id)
    assert (task.status, task.holds_slot, task.interruptions) == (TaskStatus.PENDING, False, 0)
    assert second.run_pending() == 1


@pytest.mark.own_store("its process is killed")
def test_a_follow_up_takes_over_after_a_death(
    first: ScanQueueService,
    store: SharedStore,
    shared: SharedQueue,
    scan: FakeScan,
    make: MakeQueue,
) -> None:
    """FAILED, INTERRUPTED, the error names the heir, which takes scope, priority and count."""
    follow_up = first.submit_task("music", LOW, scope=JAZZ, when_running=FOLLOW_UP)
    store.kill()
    second = make(FakeScanner(), store=shared.store(), workers=0)
    second.start()

    ended, heir = current(second, scan.task.id), current(second, follow_up)
    assert (ended.status, ended.reason) == (TaskStatus.FAILED, EndReason.INTERRUPTED)
    assert str(follow_up) in str(ended.error)
    assert not ended.holds_slot
    assert (heir.priority, heir.scope, heir.interruptions) == (NORMAL, ROCK.union(JAZZ), 1)
    assert second.stats().reasons[EndReason.INTERRUPTED] == 1
    assert second.run_pending() == 1


@pytest.mark.own_store("its process is killed")
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_task_whose_process_dies_too_often_ends(
    shared: SharedQueue, scanner: FakeScanner, make: MakeQueue, limit: int
) -> None:
    """`max_interruptions` reached: FAILED, INTERRUPTED; each service applies its own setting."""
    scanner.hold()
    task_id: UUID | None = None
    for _ in range(limit):
        store = shared.store()
        queue = make(scanner, store=store, max_interruptions=limit)
        queue.start()
        task_id = task_id or queue.submit_task("music")
        scanner.next_scan().ignore_cancel()
        store.kill()
    last = make(scanner, store=shared.store(), max_interruptions=limit)
    last.start()

    assert task_id is not None
    task = last.wait(task_id)
    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.INTERRUPTED)
    assert (task.interruptions, task.attempt) == (limit, limit)
    assert task.error
    assert str(limit) in task.error


def test_a_living_process_keeps_its_slots(
    first: ScanQueueService,
    shared: SharedQueue | SharedFile,
    scan: FakeScan,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """However long its scan takes and however silent it is."""
    second = make(FakeScanner(), store=shared.store())
    second.start()
    let_time_pass(clock, 1)
    clock.advance(1e6)
    let_time_pass(clock, 5)

    task = current(second, scan.task.id)
    assert (task.status, task.attempt, task.holds_slot) == (TaskStatus.RUNNING, 1, True)


# --- limits and pauses over all of them


def test_max_running_counts_over_all_services(
    shared: SharedQueue | SharedFile, scanner: FakeScanner, clock: FakeClock, make: MakeQueue
) -> None:
    """One at a time in the whole queue; the next starts within a second of the end of the last."""
    scanner.hold()
    others = FakeScanner()
    others.hold()
    first = make(scanner, store=shared.store(), workers=2, max_running=1)
    second = make(others, store=shared.store(), workers=2, max_running=1)
    first.start()
    task_id = first.submit_task("music")
    scan = scanner.next_scan()
    first.pause()
    second.start()
    films = second.submit_task("films")
    first.shutdown(0)
    assert second.run_pending() == 0
    scan.release()
    await_that(lambda: not current(second, task_id).holds_slot)
    second.resume()
    let_time_pass(clock, 1)

    scans = [others.next_scan()]
    assert len(second.list_running()) == 1
    scans[0].release()
    scans.append(others.next_scan())
    assert [s.task.id for s in scans] == [task_id, films]


def test_a_pause_holds_for_all_services(
    first: ScanQueueService,
    shared: SharedQueue | SharedFile,
    scanner: FakeScanner,
    clock: FakeClock,
    make: MakeQueue,
) -> None:
    """And over restarts; a resume from another one is seen within a second."""
    second = make(None, store=shared.store())
    second.pause()
    assert first.is_paused
    assert first.stats().paused
    task_id = first.submit_task("films")
    assert first.run_pending() == 0
    second.shutdown()

    third = make(None, store=shared.store())
    assert third.is_paused
    third.resume()
    let_time_pass(clock, 1)

    await_that(lambda: current(first, task_id).status is TaskStatus.COMPLETED)


def test_max_pending_is_each_services_own(
    first: ScanQueueService, shared: SharedQueue | SharedFile, make: MakeQueue
) -> None:
    """Each applies its own settings to the one queue."""
    first.pause()
    first.submit_task("a")
    strict = make(None, store=shared.store(), max_pending=1)

    with pytest.raises(Exception, match="full"):
        strict.submit_task("b")
    assert first.submit("b").outcome is SubmitOutcome.CREATED


# --- a store that fails


@pytest.mark.logs_errors
def test_a_start_that_fails_can_be_tried_again(
    shared: SharedQueue | SharedFile, scanner: FakeScanner, clock: FakeClock, make: MakeQueue
) -> None:
    """Whichever call of the store failed, the second start starts."""
    for number in range(6):
        store = FailingStore(shared.store())
        store.fail_at(number)
        queue = make(scanner, store=store)
        try:
            queue.start()
        except StoreError:
            queue.start()
        store.recover()
        task_id = queue.submit_task("music")
        call = Call(lambda q=queue, i=task_id: q.wait(i))  # type: ignore[misc]
        while not call.is_over:  # a worker that found the store failing tries again
            let_time_pass(clock, 0.5)
        assert call.result().status is TaskStatus.COMPLETED
        assert Call(queue.shutdown).result() is True


@pytest.mark.own_store("its sign of life is taken")
def test_a_service_without_a_start_opens_and_closes_its_handle(
    shared: SharedQueue, make: MakeQueue
) -> None:
    """At the first use, not when it is made; once each."""
    store = shared.store()
    queue = make(FakeScanner(), store=store)
    assert not store.owner
    run_one(queue)
    assert store.owner in shared.alive

    assert queue.shutdown() is True
    assert store.is_closed
    assert libraries(queue.list_history()) == ["music"], "reads still answer"
    queue.shutdown()
    with pytest.raises(TaskNotFoundError):
        queue.wait(UUID(int=1))


def test_a_service_that_only_waited_keeps_no_thread(
    shared: SharedQueue, clock: FakeClock, make: MakeQueue
) -> None:
    """Who was never started and has nobody to tell stops to follow the others."""
    queue = make(None, store=shared.store())
    task_id = queue.submit_task("music")
    waiter = Call(lambda: queue.wait(task_id))
    let_time_pass(clock, 5)
    assert not waiter.is_over
    queue.cancel_task(task_id)
    waiter.result()

    while queue._core.keeper.threads():
        let_time_pass(clock, 0.5)
    again = Call(lambda: queue.wait(queue.submit_task("films")))
    other = make(scan_nothing, store=shared.store())
    other.start()
    while not again.is_over:
        let_time_pass(clock, 0.5)
    assert again.result().status is TaskStatus.COMPLETED


def test_a_scan_that_has_shut_its_queue_down_still_hears_and_tells(
    make: MakeQueue, shared: SharedQueue | SharedFile, clock: FakeClock
) -> None:
    """Another one was left behind, so the shutdown is over; this one was not asked to stop."""
    is_stuck, is_over, has_reported = threading.Event(), threading.Event(), threading.Event()
    heard: list[object] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        if library_id == "stuck":
            is_stuck.set()
            is_over.wait(PATIENCE)
            return TaskResult()
        is_stuck.wait(PATIENCE)
        heard.append(queue.shutdown(0))
        context.report(1)
        context.report(7)
        has_reported.set()
        try:
            context.sleep(3600)
        except ScanCancelled as cancel:
            heard.append(type(cancel))
        return TaskResult()

    queue = make(scan, store=shared.store(), workers=2)
    elsewhere = make(None, store=shared.store())
    queue.start()
    task_id = queue.submit_task("music")
    queue.submit_task("stuck")
    assert has_reported.wait(PATIENCE)

    def is_seen_to_have_reported() -> bool:
        clock.advance(0.1)
        return current(elsewhere, task_id).progress.scanned_paths == 7

    def has_heard() -> bool:
        clock.advance(0.1)
        return len(heard) == 2

    await_that(is_seen_to_have_reported)
    elsewhere.cancel_task(task_id)
    await_that(has_heard)
    is_over.set()

    assert heard == [False, ScanCancelled]
