"""What a host or its scanner may do to a queue by accident, and what must not come of it."""

from __future__ import annotations

import gc
import logging
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, tzinfo
from itertools import cycle, repeat
from pathlib import Path
from uuid import UUID

import pytest

from scanqueue import (
    EndReason,
    MemoryStore,
    ScanCancelled,
    ScanContext,
    ScanQueueService,
    ScanTask,
    SQLiteStore,
    StoreError,
    SystemClock,
    TaskPriority,
    TaskResult,
    TaskStatus,
)
from scanqueue._keeper import Keeper
from scanqueue.stores._block import Block
from scanqueue.stores._table import MemoryTable
from scanqueue.testing import FakeClock, FakeScanner
from tests.both_stores import NewStore
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
    raising,
    run_one,
    scan_nothing,
)

needs_timers = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="needs the signals of POSIX"
)


def ctrl_c(*_: object) -> None:
    """Stand in for what Ctrl-C hits."""
    raise KeyboardInterrupt


class ExitOnError(logging.Handler):
    """Ends the program at the first error, as some hosts have it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Exit."""
        if record.levelno >= logging.ERROR:
            sys.exit(1)


@pytest.fixture
def exit_on_error() -> Iterator[None]:
    """Log to a handler that exits."""
    handler = ExitOnError()
    logging.getLogger("scanqueue").addHandler(handler)
    yield
    logging.getLogger("scanqueue").removeHandler(handler)


def without_a_name() -> Exception:
    """Return an error whose class does not tell its name."""

    class Hostile(type):
        def __getattribute__(cls, name: str) -> object:
            if name == "__name__":
                raise RuntimeError
            return super().__getattribute__(name)

    class NamelessError(Exception, metaclass=Hostile):
        pass

    return NamelessError()


def without_a_class() -> Exception:
    """Return an error that does not tell its class."""

    class ClasslessError(Exception):
        def __getattribute__(self, name: str) -> object:
            if name == "__class__":
                raise RuntimeError
            return super().__getattribute__(name)

    return ClasslessError()


@pytest.mark.logs_errors
@pytest.mark.usefixtures("exit_on_error")
def test_a_log_handler_that_exits_does_not_end_the_worker(make: MakeQueue) -> None:
    """The failure is recorded, and the next task runs."""
    queue = make(raising(ValueError("broken")))
    queue.start()
    first, second = queue.submit_task("a"), queue.submit_task("b")

    assert [queue.wait(i, 5).status for i in (first, second)] == [TaskStatus.FAILED] * 2
    assert queue.stats().workers == 1


@pytest.mark.logs_errors
@pytest.mark.parametrize("make_error", [without_a_name, without_a_class])
def test_an_error_that_tells_nothing_ends_its_task_all_the_same(
    make: MakeQueue, make_error: Callable[[], Exception]
) -> None:
    """And the worker lives on."""
    queue = make(raising(make_error()))
    queue.start()
    task = queue.wait(queue.submit_task("a"), 5)

    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.ERROR)
    assert task.error
    assert queue.stats().workers == 1


def test_reports_are_heard_again_after_a_publication_failed(
    make: MakeQueue,
    new_store: NewStore,
    scanner: FakeScanner,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Lost progress is not retried, but what comes next is published; it is logged once."""
    store = FailingStore(new_store())
    scanner.hold()
    queue = make(scanner, store=store)
    queue.start()
    task_id = queue.submit_task("a")
    scan = scanner.next_scan()
    store.fail("report")
    scan.report(1)
    clock.advance(1)
    scan.report(1)
    store.recover()
    clock.advance(1)
    scan.context.advance(4)

    task = queue.get_task(task_id)
    assert task is not None
    assert task.progress.scanned_paths == 5
    assert caplog.text.count("progress was lost") == 1


@pytest.mark.logs_errors
def test_what_a_scan_counts_after_its_end_does_not_count(
    make: MakeQueue, new_store: NewStore, scanner: FakeScanner, clock: FakeClock
) -> None:
    """Not even while its ending is being tried again."""
    store = FailingStore(new_store())
    scanner.hold()
    queue = make(scanner, store=store)
    queue.start()
    task_id = queue.submit_task("a")
    scan = scanner.next_scan()
    scan.report(2)
    store.fail("write")
    scan.release()
    await_deadline(clock, 1.0)
    scan.context.advance(1000, "late")
    store.recover()
    clock.advance(1)

    assert queue.wait(task_id).progress.scanned_paths == 2
    assert queue.wait(task_id).progress.message is None


@pytest.mark.parametrize("others", [0, 1])
def test_a_scan_that_shuts_the_queue_down_is_not_asked_to_stop_by_that(
    make: MakeQueue, others: int
) -> None:
    """Whether there are other scans or not, it ends as it would have."""
    answers: list[bool] = []
    started = threading.Event()

    def scan(library_id: int | str, context: object) -> TaskResult:
        if library_id == "own":
            if others:
                assert started.wait(10)
            answers.append(queue.shutdown(0, interrupt_running=True))
        else:
            started.set()
            context.sleep(3600)  # type: ignore[attr-defined]
        return TaskResult(added_count=1)

    queue = make(scan, workers=2)
    queue.start()
    if others:
        queue.submit_task("other")
    task_id = queue.submit_task("own")

    # It is not waited for with `wait`, which may say that the shutdown has returned before.
    await_that(lambda: current(queue, task_id).is_ended)
    assert current(queue, task_id).status is TaskStatus.COMPLETED
    assert answers == [False]


@pytest.mark.logs_errors
def test_a_store_that_cannot_be_closed_does_not_spoil_a_shutdown(
    make: MakeQueue, new_store: NewStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; no scan was left behind."""
    store = FailingStore(new_store())
    queue = make(scan_nothing, store=store)
    queue.start()
    store.fail("close")

    assert queue.shutdown() is True
    assert "the store could not be closed" in caplog.text


@pytest.mark.logs_errors
def test_ctrl_c_while_an_ending_is_tried_again_leaves_nobody_waiting(
    make: MakeQueue,
    new_store: NewStore,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    is_durable: bool,
) -> None:
    """Somebody else goes on trying, so the library is free again one day."""
    store = FailingStore(new_store())

    def scan(library_id: int | str, context: object) -> TaskResult:
        store.fail("write")
        return TaskResult(added_count=1)

    queue = make(scan, store=store)
    task_id = queue.submit_task("a")
    wait_until = clock.wait_until
    waits: list[float | None] = []

    def press_ctrl_c(condition: threading.Condition, deadline: float | None) -> None:
        if not is_on("keeper"):
            waits.append(deadline)
            if len(waits) == 1:
                raise KeyboardInterrupt
        wait_until(condition, deadline)

    monkeypatch.setattr(clock, "wait_until", press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        queue.run_pending()
    clock.await_waiters(1 + is_durable)  # where others share the queue, the keeper is one of them
    store.recover()
    clock.advance(30)

    assert queue.wait(task_id, quiet=True).result == TaskResult(added_count=1)


class Zone(tzinfo):
    """A time zone of the host's, which calls the queue when it is asked."""

    def __init__(self, queue: ScanQueueService) -> None:
        self.queue = queue

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Call the queue."""
        self.queue.pending_count()
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        """Have a name."""
        return "Zone"

    def dst(self, _: datetime | None) -> timedelta:
        """Have no summer time."""
        return timedelta(0)


class TalkativeId(UUID):
    """An id that calls the queue when it is asked for its number."""

    queue: ScanQueueService

    def __getattribute__(self, name: str) -> object:
        if name == "int":
            type(self).queue.pending_count()
        return super().__getattribute__(name)


def test_no_code_of_the_host_runs_under_a_lock(make: MakeQueue) -> None:
    """Not that of its time zones, nor that of its ids: it would wait for itself."""
    queue = make(scan_nothing)
    task_id = queue.submit_task("a")
    queue.run_pending()
    since = datetime(1999, 1, 1, tzinfo=Zone(queue))
    history: list[ScanTask] = Call(lambda: queue.list_history(since=since)).result()
    assert [task.id for task in history] == [task_id]

    TalkativeId.queue = queue
    found = Call(lambda: queue.get_task(TalkativeId(str(task_id)))).result()
    assert found is not None


def test_an_id_is_checked_for_what_is_stored(queue: ScanQueueService) -> None:
    """A subclass of str cannot pass as longer, or shorter, than it is."""

    class Long(str):
        __slots__ = ()

        def __len__(self) -> int:
            return 5

    with pytest.raises(ValueError, match="library_id"):
        queue.submit_task(Long(""))


def test_a_start_without_threads_says_so_and_can_be_tried_again(
    make: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call starts the workers that are missing."""
    queue = make(scan_nothing, workers=2)
    start = threading.Thread.start

    def start_one(thread: threading.Thread) -> None:
        if thread.name == "scanqueue-worker-2":
            message = "can't start new thread"
            raise RuntimeError(message)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_one)
        with pytest.raises(RuntimeError, match="new thread"):
            queue.start()
    assert not queue.is_started
    assert queue.stats().workers == 1
    queue.start()

    assert queue.is_started
    assert queue.stats().workers == 2
    assert queue.wait(queue.submit_task("a"), 10).status is TaskStatus.COMPLETED


def test_progress_needs_no_thread_of_its_own(
    make: MakeQueue,
    scanner: FakeScanner,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    progress_interval: float,
) -> None:
    """Where none can be started, readers publish what is due."""
    scanner.hold()
    queue = make(scanner)
    queue.start()
    task_id = queue.submit_task("a")
    scan = scanner.next_scan()

    def fail(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        scan.report(1)
        scan.report(2)
    clock.advance(progress_interval)

    task = queue.get_task(task_id)
    assert task is not None
    assert task.progress.scanned_paths == 2


@pytest.mark.own_store("its commits fail")
def test_a_claim_that_cannot_be_committed_leaves_no_scan(make: MakeQueue) -> None:
    """The caller gets the error, nothing is busy, and a shutdown has nobody to wait for."""

    class Uncommitted(MemoryStore):
        fails = False

        @contextmanager
        def write(self, *, sync: bool = True) -> Iterator[MemoryTable]:
            with super().write(sync=sync) as table:
                yield table
            if self.fails:
                raise StoreError

    store = Uncommitted()
    queue = make(scan_nothing, store=store)
    queue.submit_task("a")
    store.fails = True
    with pytest.raises(StoreError):
        queue.run_pending()
    store.fails = False

    assert queue.stats().busy_workers == 0
    assert Call(lambda: queue.shutdown(None)).result() is True


def test_the_last_report_before_a_library_is_cancelled_is_kept(
    make: MakeQueue, scanner: FakeScanner
) -> None:
    """Also if its interval was not over."""
    scanner.hold()
    queue = make(scanner)
    queue.start()
    queue.submit_task("a")
    queue.start()
    scan = scanner.next_scan()
    scan.report(1)
    scan.report(2)

    (task,) = queue.cancel_library("a")
    assert task.progress.scanned_paths == 2


@pytest.mark.memory_only("what goes back to PENDING in a durable queue has no progress")
def test_the_last_report_before_a_shutdown_is_kept(make: MakeQueue, scanner: FakeScanner) -> None:
    """Also if its interval was not over."""
    scanner.hold()
    queue = make(scanner)
    queue.start()
    task_id = queue.submit_task("a")
    scan = scanner.next_scan()
    scan.report(1)
    scan.report(2)
    queue.shutdown(interrupt_running=True)

    task = queue.get_task(task_id)
    assert task is not None
    assert (task.reason, task.progress.scanned_paths) == (EndReason.SHUTDOWN, 2)


def test_a_memory_store_knows_no_other_processes() -> None:
    """No owner of its is ever dead."""
    assert not MemoryStore().dead_owners(["somebody"])


def test_what_a_cancelled_scan_returns_instead_of_a_result_is_ignored(
    make: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """It was told to stop, and may do so in any way."""
    begun = threading.Event()

    def scan(library_id: int | str, context: ScanContext) -> TaskResult:
        begun.set()
        with suppress(ScanCancelled):
            context.sleep(3600)
        return None  # type: ignore[return-value]  # that is the point

    queue = make(scan)
    queue.start()
    task_id = queue.submit_task("a")
    assert begun.wait(10)
    queue.cancel_task(task_id)

    task = queue.wait(task_id, quiet=True)
    assert (task.status, task.result, task.error) == (TaskStatus.CANCELLED, None, None)
    assert not caplog.records


def test_stats_count_nothing_that_is_past_the_retention(make: MakeQueue, clock: FakeClock) -> None:
    """However much of it there is."""
    queue = make(scan_nothing)
    ids = [queue.submit_task(number) for number in range(200)]
    queue.run_pending()
    assert queue.stats().completed == 200
    clock.advance(25 * 3600)

    assert queue.stats().completed == 0

    for _ in range(4):  # each ending deletes some
        run_one(queue)
    assert queue.stats().completed == 4
    assert all(queue.get_task(task_id) is None for task_id in ids)


@pytest.mark.logs_errors
def test_a_keeper_whose_store_fails_says_so_once(
    make: MakeQueue,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    shared: SharedQueue | SharedFile,
) -> None:
    """And follows the other processes again once the store works."""
    store = FailingStore(shared.store())
    queue = make(None, store=store)
    queue.start()
    clock.await_waiters()
    failed: list[str] = []

    def fail(_: int, call: str) -> StoreError | None:
        if call != "read":
            return None
        failed.append(call)
        return StoreError()

    store.fail_when(fail)
    for count in (1, 2, 3):
        clock.await_waiters()
        clock.advance(0.6)
        await_that(lambda n=count: len(failed) >= n)  # type: ignore[misc]
    store.recover()

    assert len(caplog.records) == 1


def test_a_clock_that_asks_the_queue_for_something_harms_nobody(
    scanner: FakeScanner, new_store: NewStore
) -> None:
    """The clock is the host's: nothing is held while it is asked, whatever it does."""

    class Curious(SystemClock):
        queue: ScanQueueService | None = None

        def now(self) -> datetime:
            asked, self.queue = self.queue, None  # once at a time: asking asks the clock again
            if asked is not None:
                asked.stats()
                self.queue = asked
            return super().now()

    def live() -> bool:
        with ScanQueueService(scanner, store=new_store(), clock=clock) as queue:
            clock.queue = queue
            queue.wait(queue.submit_task("music"))
            scanner.hold()
            queue.submit_task("films")
            scanner.next_scan()
            scanner.next_scan().context.report(1)
            queue.cancel_task(queue.submit_task("books"))
            return queue.shutdown(interrupt_running=True)

    clock = Curious()
    assert Call(live).result() is True


def test_an_interrupt_of_a_reader_that_publishes_loses_no_later_report(
    make: MakeQueue,
    new_store: NewStore,
    scanner: FakeScanner,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next reader publishes what it did not."""
    monkeypatch.setattr(Keeper, "wake", lambda _: None)  # only readers see to it
    scanner.hold()
    store = FailingStore(new_store())
    queue = make(scanner, store=store)
    queue.start()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()
    scan.report(1)
    scan.report(2)
    clock.advance(1)
    store.fail("report", error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        queue.get_task(task_id)
    store.recover()

    scan.context.advance()
    clock.advance(1)
    assert current(queue, task_id).progress.scanned_paths == 3
    scan.release()


@pytest.mark.parametrize("runs", ["never", "before", "later"])
def test_a_start_that_ctrl_c_interrupts_can_be_made_again(
    make: MakeQueue, scanner: FakeScanner, monkeypatch: pytest.MonkeyPatch, runs: str
) -> None:
    """A worker that did not come then comes now, and one that did is not doubled."""
    hit: list[threading.Thread] = []
    queue = make(scanner)

    class Interrupted(threading.Thread):
        def start(self) -> None:
            is_hit = self.name.startswith("scanqueue-worker") and not hit
            if runs == "before" or not is_hit:
                super().start()
            if is_hit:
                hit.append(self)
                await_that(lambda: runs != "before" or queue._core.hub.idle == 1)
                raise KeyboardInterrupt

    monkeypatch.setattr("scanqueue._sync.Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue.start()
    assert (queue.is_started, queue.stats().workers) == (False, int(runs == "before"))
    if runs == "later":
        threading.Thread.start(hit[0])
        hit[0].join(PATIENCE)
        assert not hit[0].is_alive()
    queue.start()
    assert queue.stats().workers == 1
    assert queue.wait(queue.submit_task("music")).status is TaskStatus.COMPLETED
    assert queue.shutdown() is True


@pytest.mark.parametrize("place", ["_service.close_at_exit", "_keeper.Keeper.wake"])
def test_a_start_that_ctrl_c_interrupts_before_the_first_worker_can_be_made_again(
    make: MakeQueue, scanner: FakeScanner, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """What was not started is not taken for started."""
    queue = make(scanner, store=SharedQueue().store())
    with monkeypatch.context() as patch:
        patch.setattr(f"scanqueue.{place}", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            queue.start()
    assert not queue.is_started
    queue.start()
    assert queue.stats().workers == 1
    assert queue.wait(queue.submit_task("music")).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("comes", ["to be made", "to be started", "to run"])
def test_a_keeper_that_ctrl_c_hits_is_made_again(
    make: MakeQueue, monkeypatch: pytest.MonkeyPatch, comes: str
) -> None:
    """When it is needed the next time; one that runs already makes room for it."""
    begun: list[threading.Thread] = []

    class Interrupted(threading.Thread):
        def __init__(self, *, target: Callable[[], object], name: str, daemon: bool) -> None:
            if comes == "to be made":
                raise KeyboardInterrupt
            super().__init__(target=target, name=name, daemon=daemon)

        def start(self) -> None:
            if comes == "to run":
                super().start()
                begun.append(self)
            raise KeyboardInterrupt

    queue = make(scan_nothing, store=SharedQueue().store())
    with monkeypatch.context() as patch:
        patch.setattr("scanqueue._sync.Thread", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.run_pending()
    queue.start()
    for thread in begun:
        thread.join(PATIENCE)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("scanqueue-keeper") == 1


@pytest.mark.own_store("a file")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # left to be freed
def test_an_opening_that_ctrl_c_interrupts_can_be_made_again(
    make: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays locked: what was locked and has no name yet is let go."""
    queue = make(scan_nothing, store=SQLiteStore(tmp_path / "queue"))
    with monkeypatch.context() as patch:
        patch.setattr("scanqueue.stores._liveness.identity", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            queue.submit_task("music")
    Call(lambda: queue.submit_task("music")).result()
    assert queue.pending_count() == 1
    gc.collect()  # what was left


def test_a_shutdown_does_not_wait_for_a_worker_that_is_just_being_started(
    make: MakeQueue, scanner: FakeScanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It will find the queue closed."""
    starting, go_on = threading.Event(), threading.Event()

    class Slow(threading.Thread):
        def start(self) -> None:
            if self.name.startswith("scanqueue-worker"):
                starting.set()
                assert go_on.wait(PATIENCE)
            super().start()

    monkeypatch.setattr("scanqueue._sync.Thread", Slow)
    queue = make(scanner)
    start = Call(queue.start)
    assert starting.wait(PATIENCE)
    assert queue.shutdown(0) is True
    go_on.set()
    start.result()
    await_that(lambda: queue.stats().workers == 0)


def interrupt(work: Callable[[], object], delays: Iterable[float]) -> None:
    """Interrupt what is done over and over, by a signal, some seconds after it has begun."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for delay in delays:
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, delay)
                for _ in range(1_000):  # at most: what comes in a `__del__` gets lost
                    work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.memory_only("with a file, see the next test")
@needs_timers
def test_ctrl_c_never_leaves_the_memory_store_locked(make: MakeQueue) -> None:
    """Whenever it comes: between any two steps of a call."""
    queue = make(scan_nothing)
    task_id = queue.submit_task("music")
    interrupt(lambda: queue.get_task(task_id), repeat(50e-6, 2_000))
    assert Call(lambda: queue.get_task(task_id)).result() is not None


@pytest.mark.own_store("a file")
def test_what_a_queue_does_to_a_file_are_functions(
    make: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C can come between a `with` block and its end, but not where a function is run."""

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        context.advance()
        queue.list_tasks()
        return TaskResult()

    monkeypatch.delattr(Block, "__enter__")
    queue = make(scan, store=SQLiteStore(tmp_path / "queue"))
    queue.submit_task("music")
    queue.pause()
    queue.cancel_task(queue.submit_task("films", TaskPriority.HIGH))
    queue.cancel_library("music")
    queue.resume()
    with queue:
        task = queue.wait(queue.submit_task("comics"), PATIENCE)
    assert task.progress.scanned_paths == 1
    ended = queue.stats().ended
    assert (ended[TaskStatus.COMPLETED], ended[TaskStatus.CANCELLED]) == (1, 2)


@pytest.mark.own_store("a file")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # left to be freed
@pytest.mark.logs_errors  # of a scan that was hit
@needs_timers
def test_after_ctrl_c_a_queue_in_a_file_goes_on(make: MakeQueue, tmp_path: Path) -> None:
    """Whenever it comes, what a transaction did was committed or taken back, and it is over."""
    queue = make(scan_nothing, store=SQLiteStore(tmp_path / "queue", durability="normal"))
    libraries = cycle(range(10))

    def work() -> None:
        library = next(libraries)
        queue.submit_task(library)
        queue.cancel_library(library + 3)
        queue.run_pending(limit=1)

    rng = random.Random(1)
    interrupt(work, (rng.uniform(20e-6, 1e-3) for _ in range(1_000)))
    last = Call(lambda: queue.submit_task("music")).result()
    assert queue.pending_count() == len(queue.list_pending(None))
    ids = [queue.submit_task(library) for library in range(10)]
    Call(queue.run_pending).result()
    for task_id in (last, *ids):
        task = queue.get_task(task_id)
        assert task is not None
        assert task.status is TaskStatus.COMPLETED
    assert queue.pending_count() == 0
    gc.collect()  # what was left
