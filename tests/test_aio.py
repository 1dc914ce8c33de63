"""The asyncio facade: the service's calls as coroutines, and what that adds to them."""

import asyncio
import gc
import inspect
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from scanqueue import (
    MemoryStore,
    QueueClosedError,
    QueueFullError,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    StoreBusyError,
    SubmitOutcome,
    TaskNotCancellableError,
    TaskNotFoundError,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue._queries import CHANGES_BATCH
from scanqueue.aio import AsyncScanQueue, _pool
from scanqueue.aio._threads import POOL_THREADS
from scanqueue.stores._table import MemoryTable
from scanqueue.testing import FakeClock, FakeScanner
from tests.both_stores import NewStore
from tests.service.meddling_store import MeddlingStore
from tests.service.shared_store import SharedQueue

T = TypeVar("T")

SOME_ID = UUID(int=4)
PATIENCE = 20.0
"""Real seconds after which a test that waits in vain fails instead of hanging."""

EXIT_PATIENCE = 5.0
"""Real seconds that a program may take, which does nothing but start and end."""

LISTENER = "scanqueue-aio-listener"
POOL = tuple(f"scanqueue-aio-{number}" for number in range(1, POOL_THREADS + 1))

PUBLIC_NAMES = sorted(name for name in dir(ScanQueueService) if not name.startswith("_"))
PROPERTIES = {
    name for name in PUBLIC_NAMES if isinstance(getattr(ScanQueueService, name), property)
}


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine, for so long as there is patience."""

    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE):
            return await main

    return asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    """Give way to the others until something is so."""
    while not condition():  # noqa: ASYNC110 - other threads make it so, and say nothing
        await asyncio.sleep(0)


def waiting(queue: AsyncScanQueue) -> int:
    """Count who the listener has let in, once it has looked at them and waits for news."""
    listener, core = queue._threads.listener, queue.service._core
    if listener._visitors or core.hub.readers <= len(core.scans.all()):  # held scans wait as well
        return 0
    return sum(map(len, list(listener._waiting.values())))


async def until_waiting(queue: AsyncScanQueue, number: int) -> None:
    """Give way until so many wait for the listener, and it for news."""
    await until(lambda: waiting(queue) == number)


_made: list[ScanQueueService] = []


def make(scanner: Any, **options: Any) -> ScanQueueService:  # noqa: ANN401 - the service's
    """Make a service that is shut down after the test, even if that fails."""
    _made.append(ScanQueueService(scanner, **options))
    return _made[-1]


def threads(prefix: str | tuple[str, ...] = "scanqueue-aio") -> list[threading.Thread]:
    """List the threads whose names begin so."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]


def join(thread: threading.Thread) -> None:
    """Wait for a thread to end; fail if it does not."""
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"{thread.name} goes on"


class GatedStore(MemoryStore):
    """A store whose reads can be held up, or made to fail, on some threads."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.gated_threads: str | tuple[str, ...] = ""
        self.holds_up_after = False
        self.blocked = threading.Semaphore(0)
        self.error: BaseException | None = None

    def close_gate(self, prefix: str | tuple[str, ...], *, after: bool = False) -> None:
        """Hold up the threads whose names begin so, before or after they look."""
        self.gated_threads = prefix
        self.holds_up_after = after
        self.gate.clear()

    async def until_blocked(self, number: int = 1) -> None:
        """Give way until so many reads are held up."""
        for _ in range(number):
            await until(lambda: self.blocked.acquire(blocking=False))

    @contextmanager
    def read(self) -> Iterator[MemoryTable]:
        """Hold the reader up, before or after."""
        if not self.holds_up_after:
            self._pass_gate()
        with super().read() as table:
            yield table
        if self.holds_up_after:
            self._pass_gate()

    def prune(self, before: datetime) -> None:
        """Delete what has ended before a moment, as any other ending does, and tell nobody."""
        with self.write() as table:
            assert table.delete_ended(before, 1) == 1

    def _pass_gate(self) -> None:
        if threading.current_thread().name.startswith(self.gated_threads):
            if not self.gate.is_set():
                self.blocked.release()
                assert self.gate.wait(PATIENCE)
            if self.error is not None:
                raise self.error


def raising(error: Exception) -> Callable[..., None]:
    """Return a function that raises the error."""

    def function(*args: object) -> None:
        raise error

    return function


@pytest.fixture
def scanner() -> FakeScanner:
    """Return a scanner whose scans are held."""
    scanner = FakeScanner()
    scanner.hold()
    return scanner


@pytest.fixture
def no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have threads go as soon as there is nothing to do."""
    monkeypatch.setattr(_pool, "LINGER", 0.0)


@pytest.fixture(autouse=True)
def _leave_no_thread(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """See that no thread outlives its test, nor one of a test elsewhere that has just ended."""
    for thread in threads():
        join(thread)
    if "new_store" in request.fixturenames:
        request.getfixturevalue("new_store")  # whose files are to be removed after the shutdown
    monkeypatch.setattr(_pool, "LINGER", 0.01)
    before = threading.enumerate()
    yield
    while _made:
        _made.pop().shutdown(0.0, interrupt_running=True)
    for thread in threads("scanqueue"):
        if thread not in before:
            join(thread)


# --- what it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_name_of_the_service_has_its_counterpart(name: str) -> None:
    """Calls are coroutines of the same signature, properties stay properties."""
    theirs = inspect.getattr_static(AsyncScanQueue, name)
    ours = inspect.getattr_static(ScanQueueService, name)
    assert inspect.getdoc(theirs)
    if name in PROPERTIES:
        assert isinstance(theirs, property)
        return
    assert inspect.iscoroutinefunction(theirs) == (name != "changes")
    signature, expected = inspect.signature(theirs), inspect.signature(ours)
    assert signature.parameters == expected.parameters
    returns = str(expected.return_annotation)
    assert signature.return_annotation == returns.replace("Iterator[", "AsyncIterator[")


def test_it_adds_nothing_but_the_service() -> None:
    """The public names are those of the service, and `service`."""
    names = {name for name in dir(AsyncScanQueue) if not name.startswith("_")}
    assert names == {*PUBLIC_NAMES, "service"}


@pytest.mark.parametrize("wrong", [None, "queue", ScanQueueService, object()])
def test_a_wrong_service_is_refused(wrong: object) -> None:
    """The error names the argument, what it should be and what it was."""
    with pytest.raises(TypeError, match="service must be a ScanQueueService, not"):
        AsyncScanQueue(wrong)  # type: ignore[arg-type]


def test_the_package_does_not_import_asyncio() -> None:
    """Who does not use it does not pay for it."""
    script = "import sys, scanqueue; sys.exit('asyncio' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_service_is_the_wrapped_one() -> None:
    """What one does the other sees."""

    async def main() -> None:
        service = make(FakeScanner())
        queue = AsyncScanQueue(service)
        assert queue.service is service
        task_id = await queue.submit_task("music")
        assert service.get_task(task_id) == await queue.get_task(task_id)

    run(main())


# --- the calls ----------------------------------------------------------------------------------


def test_a_context_manager_starts_and_shuts_down(new_store: NewStore) -> None:
    """Inside, scans run; afterwards the queue is closed and no thread is left."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner(), store=new_store()))
        assert not queue.is_started
        async with queue as entered:
            assert entered is queue
            assert queue.is_started
            assert not queue.is_shut_down
            task = await queue.wait(await queue.submit_task("music"))
            assert task.status is TaskStatus.COMPLETED
        assert queue.is_shut_down
        with pytest.raises(QueueClosedError):
            await queue.submit_task("music")

    run(main())


def test_a_context_manager_shuts_down_after_an_error() -> None:
    """The error goes on."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        with pytest.raises(ZeroDivisionError):
            async with queue:
                raise ZeroDivisionError
        assert queue.is_shut_down

    run(main())


class SlowlyOpening(MemoryStore):
    """Opens when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.opens, self.may_open = threading.Event(), threading.Event()

    def open(self, owner: str, first_revision: int) -> None:
        """Open, some time."""
        self.opens.set()
        assert self.may_open.wait(PATIENCE)
        super().open(owner, first_revision)


@pytest.mark.parametrize("is_started", [False, True])
def test_a_context_manager_that_is_cancelled_on_entering_is_left(
    monkeypatch: pytest.MonkeyPatch, is_started: bool
) -> None:
    """The start goes on, and somebody has to shut down."""

    async def main() -> None:
        store, started, goes_on = SlowlyOpening(), threading.Event(), threading.Event()
        service = make(FakeScanner(), store=store)
        queue = AsyncScanQueue(service)
        start = service.start

        def start_slowly() -> None:
            start()
            started.set()
            assert goes_on.wait(PATIENCE)

        monkeypatch.setattr(service, "start", start_slowly)
        entering = asyncio.create_task(queue.__aenter__())
        await until(store.opens.is_set)
        if is_started:
            store.may_open.set()
            await until(started.is_set)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        if is_started:
            await until(lambda: queue.is_shut_down)
        store.may_open.set()
        goes_on.set()
        await until(lambda: queue.is_shut_down)
        await until(lambda: not service.stats().workers)

    run(main())


def test_every_short_call_passes_its_arguments_and_answers(scanner: FakeScanner) -> None:
    """Each answers as the service does."""

    async def main() -> None:
        service = make(scanner, clock=FakeClock())
        queue = AsyncScanQueue(service)
        scope = ScanScope(paths=("new",))
        first = await queue.submit(1, TaskPriority.LOW, scope=scope)
        assert first.outcome is SubmitOutcome.CREATED
        assert (first.task.priority, first.task.scope) == (TaskPriority.LOW, scope)
        same_id = await queue.submit_task(1, TaskPriority.HIGH, scope=ScanScope(paths=("old",)))
        assert same_id == first.task_id
        second = await queue.submit_task(2)
        assert await queue.pending_count() == 2
        assert await queue.list_pending() == service.list_pending()
        assert await queue.list_pending(1) == service.list_pending()[:1]
        assert await queue.get_library_task(2) == await queue.get_task(second)
        assert await queue.get_library_task(3) is None

        await queue.pause()
        assert queue.is_paused
        await queue.start()
        await queue.resume()
        assert not queue.is_paused
        scan = scanner.next_scan()
        assert [task.id for task in await queue.list_running()] == [same_id]
        follow_up = await queue.submit(1, when_running=WhenRunning.FOLLOW_UP)
        assert follow_up.outcome is SubmitOutcome.FOLLOW_UP
        assert await queue.list_tasks() == service.list_tasks()
        assert await queue.list_tasks(2) == service.list_tasks(2)
        assert await queue.stats() == service.stats()

        cancelled = await queue.cancel_task(second)
        assert cancelled.status is TaskStatus.CANCELLED
        both = await queue.cancel_library(1)
        assert [task.id for task in both] == [same_id, follow_up.task_id]
        await queue.wait(same_id, quiet=True)
        assert scan.has_returned
        assert await queue.list_history() == service.list_history()
        assert await queue.list_history(1) == service.list_history(1)
        assert await queue.list_history(library_id=2) == [cancelled]
        assert await queue.list_history(since=datetime(3000, 1, 1, tzinfo=UTC)) == []
        assert queue.revision == service.revision
        assert await queue.list_changes(0) == service.list_changes(0)
        assert await queue.list_changes(0, limit=1) == service.list_changes(0, limit=1)
        assert await queue.shutdown(1.0, interrupt_running=True)

    run(main())


def test_what_the_service_raises_the_coroutine_raises(scanner: FakeScanner) -> None:
    """Be it the queue's no, or a wrong argument."""

    async def main() -> None:
        queue = AsyncScanQueue(make(scanner, max_pending=1))
        task_id = await queue.submit_task("music")
        with pytest.raises(QueueFullError):
            await queue.submit_task("films")
        with pytest.raises(TaskNotFoundError):
            await queue.cancel_task(uuid4())
        await queue.cancel_task(task_id)
        with pytest.raises(TaskNotCancellableError) as caught:
            await queue.cancel_task(task_id)
        assert caught.value.task.id == task_id
        with pytest.raises(ValueError, match="limit must be"):
            await queue.list_pending(-1)
        with pytest.raises(TypeError, match="library_id must be"):
            await queue.submit_task(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout must be"):
            await queue.shutdown(-1)
        assert not queue.is_shut_down

    run(main())


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("wait", {"task_id": "id"}, TypeError, "task_id must be"),
        ("wait", {"task_id": SOME_ID, "quiet": 1}, TypeError, "quiet must be"),
        ("wait", {"task_id": SOME_ID, "timeout": float("nan")}, ValueError, "timeout must be"),
        ("wait", {"task_id": SOME_ID, "timeout": "1"}, TypeError, "timeout must be"),
        ("list_changes", {"after": -1}, ValueError, "after must be"),
        ("list_changes", {"after": "1", "timeout": 1}, TypeError, "after must be"),
        ("list_changes", {"after": 0, "limit": -1, "timeout": 1}, ValueError, "limit must be"),
        ("list_changes", {"after": 0, "timeout": -1}, ValueError, "timeout must be"),
    ],
    ids=str,
)
def test_waits_refuse_wrong_arguments(
    name: str, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    """As the service does, and before they wait."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        with pytest.raises(error, match=message):
            await getattr(queue, name)(**arguments)
        assert not threads(LISTENER)

    run(main())


@pytest.mark.parametrize("error", [StoreBusyError("locked"), StopIteration(), SystemExit(3)])
def test_a_store_that_raises_hangs_nobody(error: BaseException) -> None:
    """Not even with what an asyncio future would refuse."""

    async def main() -> None:
        store = GatedStore()
        queue = AsyncScanQueue(make(FakeScanner(), store=store))
        store.error = error
        expected = RuntimeError if isinstance(error, StopIteration) else type(error)
        with pytest.raises(expected):
            await queue.pending_count()
        with pytest.raises(expected):
            await queue.wait(uuid4())
        store.error = None
        assert await queue.pending_count() == 0
        with pytest.raises(TaskNotFoundError):
            await queue.wait(uuid4())

    run(main())


def test_calls_carry_the_context_of_the_caller() -> None:
    """A store, a clock or a scanner sees the caller's context variables."""
    request = ContextVar("request", default="none")
    seen: list[str] = []

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        seen.append(request.get())
        return TaskResult()

    async def main() -> None:
        queue = AsyncScanQueue(make(scan))
        await queue.submit_task("music")
        request.set("GET /")
        assert await queue.run_pending() == 1

    run(main())
    assert seen == ["GET /"]


def test_the_default_executor_of_asyncio_is_left_alone() -> None:
    """It belongs to the host, and has few threads."""

    async def main() -> None:
        async with AsyncScanQueue(make(FakeScanner())) as queue:
            await queue.wait(await queue.submit_task("music"))
            await queue.list_changes(0, timeout=1)
        assert asyncio.get_running_loop()._default_executor is None  # type: ignore[attr-defined]

    run(main())


def test_reads_answer_after_the_shutdown() -> None:
    """The threads come back for them."""

    async def main() -> None:
        async with AsyncScanQueue(make(FakeScanner())) as queue:
            task_id = await queue.submit_task("music")
            await queue.wait(task_id)
        await until(lambda: not threads())
        assert await queue.get_task(task_id) == await queue.wait(task_id)
        assert [task.id for task in await queue.list_changes(0, timeout=None)] == [task_id]
        assert await queue.list_changes(queue.revision, timeout=None) == []
        assert await queue.shutdown()

    run(main())


def test_threads_that_have_nothing_to_do_end() -> None:
    """Nobody has to shut the queue down; the next call gets new ones."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        for number in range(2):
            await asyncio.gather(*(queue.submit_task(number) for _ in range(9)))
            await queue.list_changes(0, timeout=None)
            await until(lambda: not threads())

    run(main())


def test_a_thread_that_lingers_makes_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread is enough for calls that come one after the other."""
    monkeypatch.setattr(_pool, "LINGER", PATIENCE)

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        seen: set[threading.Thread] = set()
        for number in range(50):
            await queue.submit_task(number)
            await until(lambda: queue._threads._pool._idle)
            await queue.list_changes(number, timeout=None)
            await until(lambda: queue._threads.listener._pool._idle)
            seen.update(threads())
        assert sorted(thread.name for thread in seen) == [POOL[0], LISTENER]
        assert all(thread.daemon for thread in seen)
        monkeypatch.setattr(_pool, "LINGER", 0.0)  # after one more call they go
        await asyncio.gather(queue.pending_count(), queue.list_changes(0, timeout=None))

    run(main())


# --- waiting for a task -------------------------------------------------------------------------


def test_wait_returns_the_task_as_it_ended(scanner: FakeScanner, new_store: NewStore) -> None:
    """However it ended, before or after the call."""

    async def main() -> None:
        async with AsyncScanQueue(make(scanner, store=new_store())) as queue:
            task_id = await queue.submit_task("music")
            waiter = asyncio.create_task(queue.wait(task_id))
            await until_waiting(queue, 1)
            scanner.next_scan().fail(OSError("on fire"))
            ended = await waiter
            assert ended.status is TaskStatus.FAILED
            assert await queue.wait(task_id) == ended == await queue.wait(task_id, 0, quiet=True)

    run(main())


def test_a_quiet_wait_waits_for_the_scanner(scanner: FakeScanner, new_store: NewStore) -> None:
    """The other is over with the cancel, and both wait for one task."""

    async def main() -> None:
        async with AsyncScanQueue(make(scanner, store=new_store())) as queue:
            task_id = await queue.submit_task("music")
            scan = scanner.next_scan()
            scan.ignore_cancel()
            quiet = asyncio.create_task(queue.wait(task_id, quiet=True))
            loud = asyncio.create_task(queue.wait(task_id))
            await until_waiting(queue, 2)
            await queue.cancel_task(task_id)
            assert (await loud).is_stopping
            await until_waiting(queue, 1)
            assert not quiet.done()
            scan.release()
            assert not (await quiet).is_stopping

    run(main())


def test_wait_times_out_by_the_clock_of_the_service(
    scanner: FakeScanner, new_store: NewStore
) -> None:
    """Each at its own time, with the service's message, whoever came first."""

    async def main() -> None:
        clock = FakeClock()
        service = make(scanner, store=new_store(), clock=clock)
        queue = AsyncScanQueue(service)
        task_id = await queue.submit_task("music")
        late = asyncio.create_task(queue.wait(task_id, 60))
        await until(lambda: 60.0 in clock.deadlines())
        soon = asyncio.create_task(queue.wait(task_id, 5))
        await until(lambda: 5.0 in clock.deadlines())
        clock.advance(5)
        with pytest.raises(TimeoutError) as caught:
            await soon
        await until(lambda: 60.0 in clock.deadlines())
        assert not late.done()
        clock.advance(55)
        with pytest.raises(TimeoutError):
            await late
        for timeout in (0, 0.0):
            with pytest.raises(TimeoutError):
                await queue.wait(task_id, timeout)
        with pytest.raises(TimeoutError) as expected:
            service.wait(task_id, 0)
        assert str(caught.value) == str(expected.value).replace("0 seconds", "5 seconds")

    run(main())


def test_wait_takes_timeouts_beyond_all_numbers() -> None:
    """An int too large for a float is as long as infinity."""

    async def main() -> None:
        async with AsyncScanQueue(make(FakeScanner())) as queue:
            task_id = await queue.submit_task("music")
            assert (await queue.wait(task_id, 10**400)).is_ended
            assert (await queue.wait(task_id, float("inf"))).is_ended

    run(main())


def test_wait_for_an_unknown_task_is_refused(new_store: NewStore) -> None:
    """As the service does it, to each who asks."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner(), store=new_store()))
        unknown = uuid4()
        outcomes = await asyncio.gather(
            *(queue.wait(unknown) for _ in range(50)), return_exceptions=True
        )
        for outcome in outcomes:
            assert isinstance(outcome, TaskNotFoundError)
            assert outcome.task_id == unknown
        # One error may be shared, but does not collect the tracebacks of all.
        depth, traceback = 0, outcomes[-1].__traceback__  # type: ignore[union-attr]
        while traceback is not None:
            depth, traceback = depth + 1, traceback.tb_next
        assert depth < 10

    run(main())


def test_wait_ends_when_a_shutdown_leaves_the_scan_behind(scanner: FakeScanner) -> None:
    """A store that is not durable has the task CANCELLED; quiet waits go on until it returns."""

    async def main() -> None:
        queue = AsyncScanQueue(make(scanner))
        await queue.start()
        task_id = await queue.submit_task("music")
        scan = scanner.next_scan()
        scan.ignore_cancel()
        loud = asyncio.create_task(queue.wait(task_id))
        quiet = asyncio.create_task(queue.wait(task_id, quiet=True))
        await until_waiting(queue, 2)
        assert not await queue.shutdown(0.0)
        assert (await loud).status is TaskStatus.CANCELLED
        await until_waiting(queue, 1)
        scan.release()
        assert not (await quiet).holds_slot

    run(main())


@pytest.mark.sqlite_only("in a queue that is not durable both end")
def test_wait_ends_when_a_durable_queue_closes(scanner: FakeScanner, new_store: NewStore) -> None:
    """Who waits for what was sent back is told at once; the others when the shutdown returns."""

    async def main() -> None:
        queue = AsyncScanQueue(make(scanner, store=new_store()))
        await queue.start()
        running_id = await queue.submit_task("music")
        pending_id = await queue.submit_task("films")
        scan = scanner.next_scan()
        scan.ignore_cancel()
        running = asyncio.create_task(queue.wait(running_id))
        pending = asyncio.create_task(queue.wait(pending_id))
        await until_waiting(queue, 2)
        shutdown = asyncio.create_task(queue.shutdown(None, interrupt_running=True))
        with pytest.raises(QueueClosedError, match=str(running_id)):
            await running
        assert not pending.done()
        assert not shutdown.done()
        assert not await queue.shutdown(0.0)
        with pytest.raises(QueueClosedError, match=str(pending_id)):
            await pending
        scan.release()
        assert await shutdown

    run(main())


def test_a_task_that_is_pruned_when_its_scanner_has_returned_is_not_waited_for_for_ever(
    scanner: FakeScanner,
) -> None:
    """A quiet wait ends though no list of changes will ever name the task again."""

    async def main() -> None:
        clock, store = FakeClock(), GatedStore()
        service = make(scanner, clock=clock, store=store, history_retention=timedelta(0))
        async with AsyncScanQueue(service) as queue:
            task_id = await queue.submit_task("music")
            scan = scanner.next_scan()
            scan.ignore_cancel()
            quiet = asyncio.create_task(queue.wait(task_id, quiet=True))
            await until_waiting(queue, 1)
            await queue.cancel_task(task_id)
            clock.advance(61)
            assert await queue.list_changes(0, timeout=None)  # and so the listener has looked
            await until_waiting(queue, 1)
            store.close_gate(LISTENER)
            scan.release()
            await store.until_blocked()
            await until(lambda: not service._core.scans.all())
            store.prune(clock.now())
            store.gate.set()
            with pytest.raises(TaskNotFoundError):
                await quiet

    run(main())


@pytest.mark.parametrize("after", [False, True])
def test_a_task_that_ended_and_was_pruned_while_the_store_hung_is_not_waited_for_for_ever(
    scanner: FakeScanner, after: bool
) -> None:
    """After a long time without a look, the listener looks at everything."""

    async def main() -> None:
        clock, store = FakeClock(), GatedStore()
        service = make(scanner, clock=clock, store=store)
        async with AsyncScanQueue(service) as queue:
            task_id = await queue.submit_task("music")
            waiter = asyncio.create_task(queue.wait(task_id))
            await until_waiting(queue, 1)
            scan = scanner.next_scan()
            store.close_gate(LISTENER, after=after)
            await queue.pause()  # some news
            await store.until_blocked()
            scan.release()
            await until(lambda: service.get_task(task_id).is_ended)  # type: ignore[union-attr]
            clock.advance(25 * 60 * 60)
            store.prune(clock.now())
            store.gate.set()
            with pytest.raises(TaskNotFoundError):
                await waiter

    run(main())


def test_a_store_that_fails_while_somebody_waits_fails_them_all() -> None:
    """Each gets the error, as if each had looked; whoever comes next is served again."""

    async def main() -> None:
        store = GatedStore()
        queue = AsyncScanQueue(make(FakeScanner(), store=store))
        task_id = await queue.submit_task("music")
        waits = [
            asyncio.create_task(queue.wait(task_id)),
            asyncio.create_task(queue.wait(task_id, 60)),
            asyncio.create_task(queue.list_changes(queue.revision, timeout=60)),
        ]
        await until_waiting(queue, 3)
        store.gated_threads, store.error = LISTENER, StoreBusyError("locked")
        await queue.submit_task("films")
        for outcome in await asyncio.gather(*waits, return_exceptions=True):
            assert outcome is store.error
        store.error = None
        waiter = asyncio.create_task(queue.wait(task_id))
        await until_waiting(queue, 1)
        await queue.cancel_task(task_id)
        assert (await waiter).status is TaskStatus.CANCELLED

    run(main())


def test_who_waits_hears_of_other_processes() -> None:
    """Also in a service that was not started; others are followed as soon as somebody waits."""

    async def main() -> None:
        clock, shared = FakeClock(), SharedQueue()
        elsewhere = make(FakeScanner(), store=shared.store(), clock=clock)
        queue = AsyncScanQueue(make(None, store=shared.store(), clock=clock))
        task_id = elsewhere.submit_task("music")
        waiter = asyncio.create_task(queue.wait(task_id))
        await until_waiting(queue, 1)
        elsewhere.cancel_task(task_id)
        await until(clock.deadlines)
        clock.advance(1)
        assert (await waiter).status is TaskStatus.CANCELLED

    run(main())


def test_who_waits_for_a_scan_elsewhere_hears_of_the_shutdown() -> None:
    """Nobody follows the other process any more."""

    async def main() -> None:
        clock, shared, scanner = FakeClock(), SharedQueue(), FakeScanner()
        scanner.hold()
        elsewhere = make(scanner, store=shared.store(), clock=clock)
        elsewhere.start()
        queue = AsyncScanQueue(make(None, store=shared.store(), clock=clock))
        task_id = elsewhere.submit_task("music")
        scan = await asyncio.to_thread(scanner.next_scan)
        scan.ignore_cancel()
        await queue.cancel_task(task_id)
        waiter = asyncio.create_task(queue.wait(task_id, quiet=True))
        await until_waiting(queue, 1)
        await queue.shutdown()
        with pytest.raises(QueueClosedError):
            await waiter
        scan.release()

    run(main())


@pytest.mark.parametrize("returns_at_once", [False, True])
def test_who_waits_for_a_scan_that_was_left_behind_hears_of_its_end(returns_at_once: bool) -> None:
    """Be it after the shutdown, or between two looks."""

    async def main() -> None:
        scanner, store = FakeScanner(), MeddlingStore()
        scanner.hold()
        service = make(scanner, store=store, clock=FakeClock())
        service.start()
        task_id = service.submit_task("music")
        scan = await asyncio.to_thread(scanner.next_scan)
        scan.ignore_cancel()
        queue = AsyncScanQueue(service)
        assert await queue.shutdown(0) is False

        def end() -> None:
            scan.release()
            assert not service.wait(task_id, quiet=True).is_stopping

        if returns_at_once:  # the listener reads what has changed, and then looks at the task
            store.after_reads.extend([lambda: None, end])
        waiter = asyncio.create_task(queue.wait(task_id, quiet=True))
        if not returns_at_once:
            await until_waiting(queue, 1)
            scan.release()
        assert (await waiter).status is TaskStatus.CANCELLED

    run(main())


# --- inside a scan ------------------------------------------------------------------------------


def test_inside_a_scan_the_calls_know_it() -> None:
    """A scanner with an event loop of its own is refused what would wait for itself."""
    outcomes: list[object] = []

    async def inside(queue: AsyncScanQueue, context: ScanContext) -> None:
        assert (await queue.wait(earlier)).is_ended
        waiter = asyncio.create_task(queue.wait(later))
        await until(lambda: later in queue._threads.listener._waiting)
        await queue.cancel_task(later)
        assert (await waiter).status is TaskStatus.CANCELLED
        outcomes.extend(
            await asyncio.gather(
                queue.wait(context.task.id),
                queue.wait(context.task.id, 5),
                queue.run_pending(),
                queue.shutdown(),
                return_exceptions=True,
            )
        )

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        if library_id == "music":
            asyncio.run(inside(queue, context))
        return TaskResult()

    service = make(scan)
    queue = AsyncScanQueue(service)
    earlier = service.submit_task("films")
    task_id = service.submit_task("music")
    later = service.submit_task("books")
    with service:
        assert service.wait(task_id, PATIENCE).status is TaskStatus.COMPLETED
    for outcome, words in zip(
        outcomes, ["wait for a task", "wait for a task", "nest"], strict=False
    ):
        assert isinstance(outcome, RuntimeError)
        assert words in str(outcome)
    assert outcomes[3] is False


# --- many, and many kinds -----------------------------------------------------------------------


def test_ten_thousand_wait_at_the_cost_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """One listener serves them, and looks only at tasks that have changed."""

    async def main() -> None:
        service = make(FakeScanner(), workers=0)
        queue = AsyncScanQueue(service)
        task_ids = [service.submit_task(number) for number in range(10_000)]
        looks: list[UUID] = []
        settled = service._core.settled

        def counted(task_id: UUID, *, quiet: bool) -> object:
            looks.append(task_id)
            return settled(task_id, quiet=quiet)

        monkeypatch.setattr(service._core, "settled", counted)
        waits = [asyncio.create_task(queue.wait(task_id)) for task_id in task_ids]
        await until_waiting(queue, 10_000)
        assert sorted(looks) == sorted(task_ids)
        assert [thread.name for thread in threads()] == [LISTENER]

        looks.clear()
        for number in range(500):
            await queue.submit_task(f"another {number}")
        await until_waiting(queue, 10_000)
        assert looks == []
        await queue.cancel_task(task_ids[7])
        assert (await waits[7]).id == task_ids[7]
        assert looks == [task_ids[7]]

        looks.clear()
        assert await queue.shutdown()
        ended = await asyncio.gather(*waits)
        assert [task.id for task in ended] == task_ids
        assert all(task.status is TaskStatus.CANCELLED for task in ended)

    run(main())


def test_ten_thousand_may_wait_for_one_task(scanner: FakeScanner) -> None:
    """A change of it costs one look, however many wait for it; a cancel of all costs no scan."""

    async def main() -> None:
        async with AsyncScanQueue(make(scanner)) as queue:
            task_id = await queue.submit_task("music")
            waits = [asyncio.create_task(queue.wait(task_id)) for _ in range(10_000)]
            await until_waiting(queue, 10_000)
            for waiter in waits[1:]:
                waiter.cancel()
            await until_waiting(queue, 1)
            scan = scanner.next_scan()
            assert not scan.context.cancelled
            scan.release()
            assert (await waits[0]).status is TaskStatus.COMPLETED

    run(main())


def test_calls_that_take_long_do_not_keep_short_ones_waiting(scanner: FakeScanner) -> None:
    """A hundred waits, readers, eight `run_pending` and a shutdown under way hold no answer up."""

    async def main() -> None:
        queue = AsyncScanQueue(make(scanner, workers=0))
        task_ids = [await queue.submit_task(number) for number in range(9)]
        runs = [asyncio.create_task(queue.run_pending()) for _ in range(8)]
        await until(lambda: len(scanner.scans) == 8)
        waits = [asyncio.create_task(queue.wait(task_ids[8])) for _ in range(100)]
        reads = [
            asyncio.create_task(queue.list_changes(queue.revision, timeout=None)) for _ in range(50)
        ]
        await until_waiting(queue, 150)
        shutdown = asyncio.create_task(queue.shutdown(None))
        await until(lambda: queue.is_shut_down)
        assert [task.status for task in await asyncio.gather(*waits)] == [
            TaskStatus.CANCELLED
        ] * 100
        await asyncio.gather(*reads)
        assert (await queue.get_task(task_ids[0])).status is TaskStatus.RUNNING  # type: ignore[union-attr]
        assert not shutdown.done()
        scanner.let_go()
        assert await asyncio.gather(*runs) == [1] * 8
        assert await shutdown

    run(main())


def test_the_event_loop_goes_on_while_the_store_hangs() -> None:
    """Whatever thread hangs in it, it is not the loop's."""

    async def main() -> None:
        store = GatedStore()
        queue = AsyncScanQueue(make(FakeScanner(), store=store))
        task_id = await queue.submit_task("music")
        store.close_gate("scanqueue-aio")
        calls = [
            asyncio.create_task(call)
            for call in (
                queue.get_task(task_id),
                queue.pending_count(),
                queue.stats(),
                queue.list_tasks(),
                queue.list_running(),
                queue.wait(task_id),
                queue.list_changes(0, timeout=None),
            )
        ]
        await store.until_blocked(POOL_THREADS + 1)
        assert {thread.name for thread in threads(POOL)} == set(POOL)
        ticks = 0
        for _ in range(100):
            await asyncio.sleep(0)
            ticks += 1
        assert ticks == 100
        assert not any(call.done() for call in calls)
        calls[5].cancel()
        store.gate.set()
        await asyncio.wait(calls)
        assert calls[5].cancelled()
        assert len(await calls[6]) == 1  # type: ignore[arg-type]

    run(main())


# --- cancelling a coroutine ---------------------------------------------------------------------


def test_cancelling_a_wait_leaves_the_scan_alone(scanner: FakeScanner, new_store: NewStore) -> None:
    """The scan goes on, and nobody is left who waits."""

    async def main() -> None:
        async with AsyncScanQueue(make(scanner, store=new_store())) as queue:
            task_id = await queue.submit_task("music")
            scan = scanner.next_scan()
            waits = [
                asyncio.create_task(queue.wait(task_id)),
                asyncio.create_task(queue.wait(task_id, 60)),
                asyncio.create_task(queue.list_changes(queue.revision, timeout=None)),
            ]
            await until_waiting(queue, 3)
            for waiter in waits:
                waiter.cancel()
            await asyncio.wait(waits)
            assert all(waiter.cancelled() for waiter in waits)
            listener = queue._threads.listener
            await until(lambda: not listener._waiting)
            assert not listener._deadlines
            assert not scan.context.cancelled
            scan.release()
            assert (await queue.wait(task_id)).status is TaskStatus.COMPLETED

    run(main())


@pytest.mark.usefixtures("no_linger")
def test_an_answer_that_comes_too_late_harms_nobody(scanner: FakeScanner) -> None:
    """Who was cancelled in between stays cancelled, and the others get theirs."""

    async def main() -> None:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        queue = AsyncScanQueue(make(scanner, workers=0))
        task_id = await queue.submit_task("music")
        waits = [asyncio.create_task(queue.wait(task_id)) for _ in range(10)]
        await until_waiting(queue, 10)
        (listener,) = threads(LISTENER)
        queue.service.cancel_task(task_id)
        join(listener)  # which has answered, and the loop has not heard of it
        waits[3].cancel()
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert isinstance(outcomes.pop(3), asyncio.CancelledError)
        assert outcomes == [await queue.get_task(task_id)] * 9
        assert complaints == []

    run(main())


def test_cancelling_run_pending_leaves_its_scans_alone(
    scanner: FakeScanner, new_store: NewStore
) -> None:
    """It runs to its end without anybody who waits for it."""

    async def main() -> None:
        queue = AsyncScanQueue(make(scanner, store=new_store()))
        task_id = await queue.submit_task("music")
        running = asyncio.create_task(queue.run_pending())
        scan = await asyncio.to_thread(scanner.next_scan)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        scan.release(TaskResult(added_count=3))
        assert (await queue.wait(task_id)).result == TaskResult(added_count=3)

    run(main())


def test_cancelling_a_shutdown_does_not_stop_it(scanner: FakeScanner, new_store: NewStore) -> None:
    """The queue is closed, and whoever asks again waits for the end."""

    async def main() -> None:
        queue = AsyncScanQueue(make(scanner, store=new_store()))
        await queue.start()
        await queue.submit_task("music")
        scan = scanner.next_scan()
        shutdown = asyncio.create_task(queue.shutdown(None))
        await until(lambda: queue.is_shut_down)
        shutdown.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shutdown
        scan.release()
        assert await queue.shutdown()

    run(main())


def test_a_call_that_is_cancelled_before_its_turn_is_not_made() -> None:
    """While all threads are busy, whoever gives up asks for nothing."""

    async def main() -> None:
        store = GatedStore()
        queue = AsyncScanQueue(make(FakeScanner(), store=store))
        store.close_gate(POOL)
        busy = [asyncio.create_task(queue.pending_count()) for _ in range(POOL_THREADS)]
        await store.until_blocked(POOL_THREADS)
        given_up = asyncio.create_task(queue.submit_task("music"))
        last = asyncio.create_task(queue.pending_count())
        await asyncio.sleep(0)
        given_up.cancel()
        store.gate.set()
        assert await asyncio.gather(*busy, last) == [0] * (POOL_THREADS + 1)
        assert given_up.cancelled()

    run(main())


def test_what_a_scanner_raises_to_end_the_program_comes_out_of_run_pending() -> None:
    """It is recorded first, as in the service."""

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        raise SystemExit(3)

    async def main() -> None:
        queue = AsyncScanQueue(make(scan))
        task_id = await queue.submit_task("music")
        with pytest.raises(SystemExit):
            await queue.run_pending()
        assert (await queue.wait(task_id)).error == "SystemExit: 3"

    run(main())


# --- changes ------------------------------------------------------------------------------------


def test_changes_begin_at_the_moment_of_the_call(new_store: NewStore) -> None:
    """Not when the first is asked for."""

    async def main() -> None:
        async with AsyncScanQueue(make(FakeScanner(), store=new_store(), workers=0)) as queue:
            await queue.submit_task("before")
            changes = queue.changes()
            after = [await queue.submit_task(number) for number in range(3)]
            assert [(await anext(changes)).id for _ in after] == after

    run(main())


def test_changes_come_in_order_of_revision_and_end_with_the_queue(
    scanner: FakeScanner, new_store: NewStore, is_durable: bool
) -> None:
    """The reader gets the endings of the shutdown before the end, and then nothing for ever."""

    async def main() -> list[ScanTask]:
        queue = AsyncScanQueue(make(scanner, store=new_store()))
        await queue.start()
        changes = queue.changes(0)

        async def read() -> list[ScanTask]:
            return [task async for task in changes]

        reader = asyncio.create_task(read())
        await queue.submit_task("music")
        scanner.next_scan()
        await queue.submit_task("films")
        await queue.shutdown(0.5, interrupt_running=True)
        tasks = await reader
        with pytest.raises(StopAsyncIteration):
            await anext(changes)
        return tasks

    tasks = run(main())
    revisions = [task.revision for task in tasks]
    assert revisions == sorted(set(revisions))
    last = {task.library_id: task for task in tasks}
    status = TaskStatus.PENDING if is_durable else TaskStatus.CANCELLED
    assert {task.status for task in last.values()} == {status}
    assert not any(task.holds_slot for task in last.values())


def test_a_reader_leaves_and_comes_back_without_a_loss(new_store: NewStore) -> None:
    """Leaving a loop early holds nothing; the last revision seen is where to go on."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner(), store=new_store()))
        start = queue.revision
        task_ids = [await queue.submit_task(number) for number in range(10)]
        seen: list[ScanTask] = []
        async for task in queue.changes(start):
            seen.append(task)
            if len(seen) == 4:
                break
        assert waiting(queue) == 0
        async for task in queue.changes(seen[-1].revision):
            seen.append(task)
            if len(seen) == 10:
                break
        assert [task.id for task in seen] == task_ids

    run(main())


def test_a_long_way_behind_is_caught_up_batch_by_batch() -> None:
    """Nothing is left out between two batches."""

    async def main() -> None:
        service = make(FakeScanner())
        queue = AsyncScanQueue(service)
        task_ids = [service.submit_task(number) for number in range(2 * CHANGES_BATCH + 10)]
        changes = queue.changes(0)
        assert [(await anext(changes)).id for _ in task_ids] == task_ids

    run(main())


def test_a_waited_for_task_is_found_among_many_changes() -> None:
    """When more has changed than the listener takes at once, it takes it in turns."""

    async def main() -> None:
        store = GatedStore()
        service = make(FakeScanner(), store=store)
        queue = AsyncScanQueue(service)
        task_id = await queue.submit_task("music")
        waiter = asyncio.create_task(queue.wait(task_id))
        await until_waiting(queue, 1)
        store.close_gate(LISTENER)
        for number in range(2 * CHANGES_BATCH):
            service.submit_task(number)
        await store.until_blocked()
        service.cancel_task(task_id)
        store.gate.set()
        assert (await waiter).status is TaskStatus.CANCELLED

    run(main())


def test_left_by_an_exception_it_asks_the_scans_to_stop_at_once(new_store: NewStore) -> None:
    """Whoever waits for the exception is not to wait for the scans, too."""
    scanner = FakeScanner()
    scanner.hold()

    async def main() -> None:
        service = ScanQueueService(scanner, store=new_store(), clock=FakeClock())
        async with AsyncScanQueue(service) as queue:
            await queue.submit_task("music")
            await asyncio.to_thread(scanner.next_scan)
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(main())
    assert scanner.scans[0].has_returned


def test_writes_that_wait_for_the_store_hold_no_reader_up() -> None:
    """One thread is kept for those that only look."""
    blocked, go_on = threading.Semaphore(0), threading.Event()

    class Busy(MemoryStore):
        def write(self, *, sync: bool = True) -> AbstractContextManager[MemoryTable]:
            blocked.release()
            assert go_on.wait(PATIENCE)
            return super().write(sync=sync)

    async def main() -> None:
        queue = AsyncScanQueue(ScanQueueService(FakeScanner(), store=Busy()))
        submissions = [asyncio.create_task(queue.submit(number)) for number in range(12)]
        for _ in range(POOL_THREADS - 1):
            await until(lambda: blocked.acquire(blocking=False))
        assert await queue.pending_count() == 0
        assert await queue.list_tasks() == []
        go_on.set()
        created = await asyncio.gather(*submissions)
        assert [each.task.library_id for each in created] == list(range(12))
        assert await queue.pending_count() == 12
        await queue.shutdown()

    asyncio.run(main())


def test_what_changes_while_a_reader_is_busy_comes_in_its_latest_state(
    new_store: NewStore,
) -> None:
    """Also where the reader has fetched an earlier one with the task before it."""

    async def main() -> None:
        service = ScanQueueService(FakeScanner(), store=new_store(), workers=0)
        async with AsyncScanQueue(service) as queue:
            changes = queue.changes(0)
            names = ("music", "films", "books")
            music, films, books = [await queue.submit_task(name) for name in names]
            assert (await anext(changes)).id == music
            await queue.cancel_task(films)

            seen = [await anext(changes), await anext(changes)]

            assert [task.id for task in seen] == [books, films]
            assert seen[1].status is TaskStatus.CANCELLED

    asyncio.run(main())


def test_what_changes_right_after_it_was_fetched_comes_in_its_latest_state() -> None:
    """The reader knows of changes since before the listener looked, and not only since after."""

    async def main() -> None:
        store = MeddlingStore()
        service = make(FakeScanner(), store=store)
        music, films = (service.submit_task(name) for name in ("music", "films"))
        # The listener looks where the queue is, and then for the reader.
        store.after_reads.extend([lambda: None, lambda: service.cancel_task(music)])
        changes = AsyncScanQueue(service).changes(0)

        seen = [await anext(changes), await anext(changes)]

        assert [task.id for task in seen] == [films, music]
        assert seen[1].status is TaskStatus.CANCELLED

    run(main())


def test_changes_that_readers_waited_for_are_read_once_for_all() -> None:
    """What they were woken for is the latest state, and the store is not asked whether it is."""

    class CountingStore(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.asked_by: list[str] = []

        def read(self) -> AbstractContextManager[MemoryTable]:
            self.asked_by.append(threading.current_thread().name)
            return super().read()

    async def main() -> None:
        store = CountingStore()
        queue = AsyncScanQueue(make(FakeScanner(), store=store))
        seen: list[UUID] = []

        async def follow() -> None:
            async for task in queue.changes():
                seen.append(task.id)  # noqa: PERF401 - as they come

        readers = [asyncio.create_task(follow()) for _ in range(3)]
        await until_waiting(queue, 3)
        store.asked_by.clear()
        for name in ("music", "films"):
            task_id = queue.service.submit_task(name)
            await until(lambda: len(seen) == 3)
            assert seen == [task_id] * 3
            seen.clear()
            await until_waiting(queue, 3)
        assert not [name for name in store.asked_by if name.startswith(POOL)]
        queue.service.shutdown()
        await asyncio.gather(*readers)

    run(main())


def test_a_read_of_changes_that_times_out_loses_nothing() -> None:
    """The same iterator is read on, so a heartbeat in between is easily made."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        changes = queue.changes()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(changes), 0.01)
        task_id = await queue.submit_task("music")
        assert (await anext(changes)).id == task_id

    run(main())


def test_changes_can_be_closed() -> None:
    """What is left of a batch is not handed out any more."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        changes = queue.changes(0)
        await queue.submit_task("music")
        await queue.submit_task("films")
        assert (await anext(changes)).library_id == "music"
        await changes.aclose()  # type: ignore[attr-defined]
        await changes.aclose()  # type: ignore[attr-defined]
        assert [task async for task in changes] == []

    run(main())


def test_two_readers_of_one_iterator_are_told_apart() -> None:
    """The second is refused, or both would get half; each reader calls `changes` for itself."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        changes = queue.changes()
        first = asyncio.ensure_future(anext(changes))
        await until_waiting(queue, 1)
        with pytest.raises(RuntimeError, match="being read already"):
            await anext(changes)
        with pytest.raises(RuntimeError, match="being read already"):
            await changes.aclose()  # type: ignore[attr-defined]
        other = asyncio.ensure_future(anext(queue.changes()))
        await until_waiting(queue, 2)
        task_id = await queue.submit_task("music")
        assert (await first).id == (await other).id == task_id

    run(main())


@pytest.mark.parametrize(
    ("after", "error"), [(-1, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_changes_refuse_a_wrong_revision_at_once(after: object, error: type[Exception]) -> None:
    """At the call, not at the first read."""
    queue = AsyncScanQueue(make(FakeScanner()))
    with pytest.raises(error, match="after must be"):
        queue.changes(after)  # type: ignore[arg-type]


def test_list_changes_waits_for_the_first(scanner: FakeScanner, new_store: NewStore) -> None:
    """With a timeout by the clock of the service, and as many as asked for."""

    async def main() -> None:
        clock = FakeClock()
        async with AsyncScanQueue(
            make(scanner, store=new_store(), clock=clock, workers=0)
        ) as queue:
            start = queue.revision
            assert await queue.list_changes(start) == []
            assert await queue.list_changes(start, limit=0, timeout=None) == []
            reader = asyncio.create_task(queue.list_changes(start, timeout=5))
            await until(lambda: 5.0 in clock.deadlines())
            clock.advance(5)
            assert await reader == []
            readers = [
                asyncio.create_task(queue.list_changes(start, limit=limit, timeout=5))
                for limit in (None, None, 1)
            ]
            await until_waiting(queue, 3)
            task_id = await queue.submit_task("music")
            answers = await asyncio.gather(*readers)
            assert [[task.id for task in answer] for answer in answers] == [[task_id]] * 3
            assert answers[0] is not answers[1]
            await queue.submit_task("films")
            assert len(await queue.list_changes(start, timeout=5)) == 2
            assert len(await queue.list_changes(start, limit=1, timeout=5)) == 1
            assert len(await queue.list_changes(queue.revision + 10**6, timeout=5)) == 2

    run(main())


# --- the listener's life ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_linger")
def test_the_listener_goes_when_nobody_waits_and_comes_when_somebody_does() -> None:
    """A queue that nobody waits for costs no thread."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        for library_id in ("music", "films"):
            task_id = await queue.submit_task(library_id)
            waiter = asyncio.create_task(queue.wait(task_id))
            await until_waiting(queue, 1)
            (listener,) = threads(LISTENER)
            assert listener.daemon
            await queue.cancel_task(task_id)
            await waiter
            join(listener)

    run(main())


@pytest.mark.usefixtures("no_linger")
def test_the_listener_goes_when_the_last_who_waits_is_cancelled() -> None:
    """It does not wait for a change to find that out."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        waiter = asyncio.create_task(queue.wait(await queue.submit_task("music")))
        await until_waiting(queue, 1)
        (listener,) = threads(LISTENER)
        waiter.cancel()
        await asyncio.wait([waiter])
        join(listener)

    run(main())


def test_a_listener_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is out of threads for a moment refuses one wait, and not all that follow."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        task_id = await queue.submit_task("music")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", raising(RuntimeError("no more threads")))
            with pytest.raises(RuntimeError, match="no more threads"):
                await queue.wait(task_id)
        await queue.cancel_task(task_id)
        assert (await queue.wait(task_id)).status is TaskStatus.CANCELLED

    run(main())


def test_a_failing_clock_fails_those_who_wait(scanner: FakeScanner) -> None:
    """The listener hands its error on, and lives."""

    class BrokenClock(FakeClock):
        broken = False

        def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
            if self.broken and deadline is not None:
                raise OSError("out of time")
            super().wait_until(condition, deadline)

    async def main() -> None:
        clock = BrokenClock()
        queue = AsyncScanQueue(make(scanner, clock=clock))
        task_id = await queue.submit_task("music")
        clock.broken = True
        with pytest.raises(OSError, match="out of time"):
            await queue.wait(task_id, 5)
        clock.broken = False
        with pytest.raises(TimeoutError):
            await queue.wait(task_id, 0)

    run(main())


BEGIN = """
import asyncio, threading
from scanqueue import MemoryStore, ScanQueueService
from scanqueue.aio import AsyncScanQueue

begun = threading.Semaphore(0)


def hang(*args):
    begun.release()
    threading.Event().wait()


async def until_begun(number):
    while number:
        number -= begun.acquire(blocking=False)
        await asyncio.sleep(0)

"""

LEFT_WAITING = """
async def main():
    queue = AsyncScanQueue(ScanQueueService(hang))
    task_id = await queue.submit_task("music")
    tasks = [asyncio.create_task(queue.wait(task_id)), asyncio.create_task(queue.run_pending())]
    await until_begun(1)


asyncio.run(main())
"""

LEFT_IN_THE_STORE = """
class HangingStore(MemoryStore):
    read = hang


async def main():
    queue = AsyncScanQueue(ScanQueueService(print, store=HangingStore()))
    calls = [queue.pending_count() for _ in range(9)] + [queue.changes(0).__anext__()]
    tasks = [asyncio.create_task(call) for call in calls]
    await until_begun(5)


asyncio.run(main())
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(LEFT_WAITING, id="waiting"),
        pytest.param(LEFT_IN_THE_STORE, id="in a store that hangs"),
    ],
)
def test_a_program_that_just_ends_is_not_held_up(script: str) -> None:
    """Neither by who waits, nor by a scan or a call that nobody waits for any more."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        check=True,
        timeout=EXIT_PATIENCE,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


# --- event loops --------------------------------------------------------------------------------


def test_two_loops_in_two_threads_wait_for_one_task(scanner: FakeScanner) -> None:
    """Each is answered, by one listener."""
    service = make(scanner)
    queue = AsyncScanQueue(service)
    task_id = service.submit_task("music")
    ended: list[ScanTask] = []

    async def wait() -> None:
        ended.append(await queue.wait(task_id))
        assert (await queue.get_task(task_id)) == ended[-1]

    loops = [threading.Thread(target=run, args=(wait(),)) for _ in range(2)]
    for thread in loops:
        thread.start()
    run(until_waiting(queue, 2))
    with service:
        assert len(threads(LISTENER)) == 1
        scanner.next_scan().release()
        for thread in loops:
            thread.join(PATIENCE)
    assert [task.id for task in ended] == [task_id] * 2


@contextmanager
def abandoned(queue: AsyncScanQueue, calls: list[Coroutine[Any, Any, Any]]) -> Iterator[None]:
    """Have calls wait in a loop that is closed under them."""
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(call) for call in calls]
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    before = waiting(queue)
    loop.run_until_complete(until_waiting(queue, before + len(calls)))
    loop.close()
    yield
    del tasks


def test_who_waited_in_a_loop_that_was_closed_harms_nobody(scanner: FakeScanner) -> None:
    """The listener finds nobody to tell, and goes on with the others."""

    async def main() -> None:
        service = make(scanner, workers=0)
        queue = AsyncScanQueue(service)
        task_id = await queue.submit_task("music")
        calls = [queue.wait(task_id), queue.list_changes(queue.revision, timeout=None)]
        waiter = asyncio.create_task(queue.wait(task_id))
        await until_waiting(queue, 1)

        def elsewhere() -> None:
            with abandoned(queue, calls):
                service.cancel_task(task_id)

        await asyncio.to_thread(elsewhere)
        assert (await waiter).status is TaskStatus.CANCELLED

    run(main())


@pytest.mark.usefixtures("no_linger")
def test_who_is_collected_with_a_closed_loop_takes_no_lock(scanner: FakeScanner) -> None:
    """The garbage collector may come at any moment, also while its thread holds the lock."""
    service = make(scanner, workers=0)
    queue = AsyncScanQueue(service)
    listener = queue._threads.listener
    task_id = service.submit_task("music")
    with abandoned(queue, [queue.wait(task_id), queue.wait(task_id, 60)]):
        (thread,) = threads(LISTENER)
        service.cancel_task(task_id)
        join(thread)
    with listener._lock:
        gc.collect()
    assert len(listener._visitors) == 2
    assert run(queue.wait(task_id)).status is TaskStatus.CANCELLED
    assert not listener._visitors


@pytest.mark.usefixtures("no_linger")
def test_who_was_thrown_away_while_waiting_is_forgotten_with_the_next_news() -> None:
    """A coroutine that is closed is let out, and the listener goes."""

    async def main() -> None:
        queue = AsyncScanQueue(make(FakeScanner()))
        call = queue.wait(await queue.submit_task("music"), 60)
        call.send(None)
        await until_waiting(queue, 1)
        (thread,) = threads(LISTENER)
        call.close()
        await queue.submit_task("films")
        join(thread)
        assert not queue._threads.listener._waiting
        assert not queue._threads.listener._deadlines

    run(main())


def test_a_short_call_of_a_loop_that_was_closed_is_made_all_the_same() -> None:
    """The thread that made it finds nobody to tell."""
    store = GatedStore()
    queue = AsyncScanQueue(make(FakeScanner(), store=store))
    store.close_gate(POOL)
    loop = asyncio.new_event_loop()
    task = loop.create_task(queue.get_task(uuid4()))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(store.until_blocked())
    loop.close()
    store.gate.set()
    assert run(queue.pending_count()) == 0
    del task


# --- forks --------------------------------------------------------------------------------------

FORK = """
import asyncio, os, sys, uuid, warnings
from scanqueue import QueueClosedError, ScanQueueService
from scanqueue.aio import AsyncScanQueue
from scanqueue.testing import FakeScanner

warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads is what this is about


async def bounded(main):
    async with asyncio.timeout(20):
        return await main


async def use(queue):
    waiter = asyncio.create_task(queue.wait(await queue.submit_task("music")))
    await queue.run_pending()
    assert (await waiter).is_ended
    assert await queue.pending_count() == 0


async def refuse(queue):
    calls = [
        queue.start(), queue.shutdown(), queue.submit("music"), queue.submit_task("music"),
        queue.cancel_task(uuid.uuid4()), queue.cancel_library("music"), queue.pause(),
        queue.resume(), queue.run_pending(), queue.get_task(uuid.uuid4()),
        queue.get_library_task("music"), queue.list_pending(), queue.list_running(),
        queue.list_history(), queue.list_tasks(), queue.pending_count(), queue.stats(),
        queue.list_changes(0), queue.list_changes(0, timeout=None), queue.wait(uuid.uuid4()),
        anext(queue.changes(0)),
    ]
    for call in calls:
        try:
            await call
        except QueueClosedError:
            continue
        raise AssertionError(call)
    for name in ("revision", "is_paused", "is_started", "is_shut_down"):
        try:
            getattr(queue, name)
        except QueueClosedError:
            continue
        raise AssertionError(name)
    await queue.__aexit__(None, None, None)


def in_child(main):
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(bounded(main))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

FORK_BEFORE_START = """
queue = AsyncScanQueue(ScanQueueService(FakeScanner()))
asyncio.run(bounded(use(queue)))  # so that there are threads, in the parent only
in_child(use(queue))
asyncio.run(bounded(use(queue)))
"""

FORK_AFTER_START = """
queue = AsyncScanQueue(ScanQueueService(FakeScanner()))
asyncio.run(bounded(use(queue)))
queue.service.start()
in_child(refuse(queue))
asyncio.run(bounded(use(queue)))
asyncio.run(bounded(queue.shutdown()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(FORK_BEFORE_START, id="before start: the child's copy works"),
        pytest.param(FORK_AFTER_START, id="after start: every call of the child's copy is refused"),
    ],
)
def test_a_forked_child_is_not_left_hanging(script: str) -> None:
    """The threads of the parent are not there, and are not waited for."""
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK) + script], check=True, timeout=PATIENCE
    )
