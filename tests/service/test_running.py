"""Running: the order, what can be claimed, and every way in which a scanner ends."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
import weakref
from collections.abc import Iterator
from datetime import timedelta

import attrs
import pytest

from scanqueue import (
    EndReason,
    LibraryId,
    LibraryUnavailable,
    QueueClosedError,
    ScanCancelled,
    ScanContext,
    Scanner,
    ScanQueueService,
    ScanTask,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.tools import (
    PATIENCE,
    Call,
    MakeQueue,
    current,
    libraries,
    raising,
    returning,
    run_one,
)

LOW, NORMAL, HIGH = TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH


# --- order


def test_more_urgent_tasks_run_first_then_older_ones(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """Higher priority first, then the order of submission."""
    for library_id, priority in [
        ("low", LOW),
        ("normal 1", NORMAL),
        ("high 1", HIGH),
        ("normal 2", NORMAL),
        ("high 2", HIGH),
    ]:
        queue.submit_task(library_id, priority)

    assert queue.run_pending() == 5

    expected = ["high 1", "high 2", "normal 1", "normal 2", "low"]
    assert [scan.library_id for scan in scanner.scans] == expected


def test_a_clock_set_back_reorders_nothing(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """The order is not that of `created_at`."""
    for name in "abc":
        queue.submit_task(name)
        clock.set_back(timedelta(hours=1))

    queue.run_pending()

    assert [scan.library_id for scan in scanner.scans] == ["a", "b", "c"]


def test_an_upgraded_task_runs_at_its_place_by_age(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """An upgrade keeps the rank."""
    queue.submit_task("old")
    queue.submit_task("high", HIGH)
    queue.submit_task("old", HIGH)

    queue.run_pending()

    assert [scan.library_id for scan in scanner.scans] == ["old", "high"]


# --- what can be claimed


def test_never_two_scans_of_one_library_at_a_time(make: MakeQueue, scanner: FakeScanner) -> None:
    """With workers to spare, a follow-up starts after the scan before it has returned."""
    scanner.hold()
    queue = make(scanner, workers=4)
    queue.start()
    queue.submit_task("music")
    first = scanner.next_scan()
    queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    queue.submit_task("films")
    scanner.next_scan()

    assert len(scanner.scans) == 2
    assert libraries(queue.list_running()) == ["music", "films"]

    first.release()
    assert scanner.next_scan().library_id == "music"
    assert len(queue.list_history()) == 1


def test_scans_of_several_libraries_run_at_a_time(make: MakeQueue) -> None:
    """As many as there are workers."""
    barrier = threading.Barrier(3)

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        barrier.wait(PATIENCE)
        return TaskResult()

    with make(scan, workers=3) as queue:
        tasks = [queue.submit_task(n) for n in range(3)]
        assert all(queue.wait(t).status is TaskStatus.COMPLETED for t in tasks)


def test_max_running_holds_claims_back_and_stopping_scans_count(
    make: MakeQueue, scanner: FakeScanner
) -> None:
    """A cancelled scan that has not returned still counts; its return lets the next one start."""
    scanner.hold()
    queue = make(scanner, workers=3, max_running=1)
    queue.start()
    queue.submit_task("a")
    first = scanner.next_scan()
    first.ignore_cancel()
    second_id = queue.submit_task("b")
    queue.cancel_task(first.task.id)

    assert queue.run_pending() == 0
    assert current(queue, second_id).status is TaskStatus.PENDING

    first.release()
    assert scanner.next_scan().task.id == second_id


def test_a_library_that_cannot_start_holds_no_other_up(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """A task of a taken library is passed over, however urgent it is."""
    scanner.hold("music")
    queue.start()
    queue.submit_task("music")
    scanner.next_scan()
    queue.submit_task("music", HIGH, when_running=WhenRunning.FOLLOW_UP)
    queue.submit_task("films", LOW)

    assert queue.run_pending() == 1
    assert libraries(queue.list_history()) == ["films"]


# --- run_pending


def test_run_pending_runs_on_the_calling_thread_without_a_start(make: MakeQueue) -> None:
    """No thread is needed; it says how many ran."""
    threads: list[threading.Thread] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        threads.append(threading.current_thread())
        return TaskResult()

    queue = make(scan)
    queue.submit_task(1)
    queue.submit_task(2)

    assert queue.run_pending() == 2
    assert threads == [threading.current_thread()] * 2
    assert not queue.is_started


@pytest.mark.parametrize(("limit", "ran"), [(0, 0), (1, 1), (2, 2), (5, 3), (None, 3)])
def test_run_pending_runs_no_more_than_its_limit(
    queue: ScanQueueService, limit: int | None, ran: int
) -> None:
    """`limit` scans at most, all without."""
    for n in range(3):
        queue.submit_task(n)

    assert queue.run_pending(limit) == ran
    assert queue.pending_count() == 3 - ran


def test_run_pending_runs_what_its_scans_submit(make: MakeQueue) -> None:
    """Until nothing is left, follow-ups included."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        if isinstance(library_id, int) and library_id < 3:
            queue.submit_task(library_id + 1)
        return TaskResult()

    queue = make(scan)
    queue.submit_task(0)

    assert queue.run_pending() == 4


def test_run_pending_is_refused_inside_a_scanner(make: MakeQueue) -> None:
    """Scans do not nest."""
    errors: list[RuntimeError] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        with pytest.raises(RuntimeError) as caught:
            queue.run_pending()
        errors.append(caught.value)
        return TaskResult()

    queue = make(scan)
    assert run_one(queue).status is TaskStatus.COMPLETED
    assert "inside a scanner" in str(errors[0])
    assert run_one(queue).status is TaskStatus.COMPLETED, "and it is allowed again afterwards"


def test_run_pending_is_refused_after_shutdown(queue: ScanQueueService) -> None:
    """`QueueClosedError`, whatever the limit."""
    queue.shutdown()

    for limit in (None, 0, 1):
        with pytest.raises(QueueClosedError):
            queue.run_pending(limit)


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_run_pending_records_a_request_to_exit_and_raises_it(
    make: MakeQueue, error: BaseException
) -> None:
    """`SystemExit` and `KeyboardInterrupt` end the task and then the call; the rest waits."""
    queue = make(raising(error))
    first, second = queue.submit_task(1), queue.submit_task(2)

    with pytest.raises(type(error)) as caught:
        queue.run_pending()

    assert caught.value is error
    task = current(queue, first)
    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.ERROR)
    assert not task.holds_slot
    assert current(queue, second).status is TaskStatus.PENDING


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_run_pending_raises_it_also_when_the_task_was_cancelled_meanwhile(
    make: MakeQueue, error: BaseException
) -> None:
    """The cancel decides what the task is, not whether the person at the keyboard is heard."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        queue.cancel_task(context.task.id)
        raise error

    queue = make(scan)
    task_id = queue.submit_task(1)

    with pytest.raises(type(error)):
        queue.run_pending()

    task = current(queue, task_id)
    assert (task.status, task.error) == (TaskStatus.CANCELLED, None)
    assert not task.holds_slot


# --- how a scanner ends


def test_a_result_completes_the_task(make: MakeQueue, clock: FakeClock) -> None:
    """It returns: COMPLETED, with the counts and the times."""
    found = TaskResult(added_count=1, updated_count=2, removed_count=3, failed_count=4)
    submitted_at = clock.now()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        assert context.task.started_at == clock.now()
        clock.advance(60)
        return found

    queue = make(scan)
    task_id = queue.submit_task("music")
    clock.advance(5)
    queue.run_pending()

    task = current(queue, task_id)
    assert task.status is TaskStatus.COMPLETED
    assert task.is_ended
    assert not task.is_active
    assert task.result == found
    assert {task.reason, task.error} == {None}
    assert task.created_at == submitted_at
    assert task.wait_time == timedelta(seconds=5)
    assert task.run_time == timedelta(seconds=60)
    assert task.attempt == 1
    assert not task.holds_slot
    assert not task.is_stopping


def test_a_running_task_says_so(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """RUNNING, its first attempt, with the slot."""
    scanner.hold()
    queue.start()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()

    task = current(queue, task_id)
    assert task.status is TaskStatus.RUNNING
    assert task == scan.task
    assert (task.attempt, task.holds_slot, task.is_stopping) == (1, True, False)
    assert {task.completed_at, task.run_time} == {None}
    assert task.wait_time == timedelta(0)


def test_durations_are_never_negative(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """A clock set back makes no negative duration."""
    scanner.hold()
    queue.start()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()
    clock.set_back(timedelta(hours=1))
    scan.release()

    task = queue.wait(task_id)
    assert task.run_time == timedelta(0)


def test_an_unavailable_library_fails_the_task_as_such(
    make: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """It raises `LibraryUnavailable`: FAILED, UNAVAILABLE; that is no bug, so no traceback."""
    task = run_one(make(raising(LibraryUnavailable("the drive is unplugged"))))

    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.UNAVAILABLE)
    assert task.error == "LibraryUnavailable: the drive is unplugged"
    assert task.result is None
    assert all(record.exc_info is None for record in caplog.records)


class OwnError(Exception):
    """An error of a scanner."""


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad tag"), "ValueError: bad tag"),
        (OwnError("café"), "OwnError: café"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit("out"), "SystemExit: out"),
        (KeyboardInterrupt("c"), "KeyboardInterrupt: c"),
        (GeneratorExit("g"), "GeneratorExit: g"),
        (asyncio.CancelledError("a"), "CancelledError: a"),
        (StopIteration("s"), "StopIteration: s"),
        (ScanCancelled("nobody asked"), "ScanCancelled: nobody asked"),
        (QueueClosedError("not ours"), "QueueClosedError: not ours"),
        (ExceptionGroup("two", [OwnError(), OwnError()]), "ExceptionGroup: two (2 sub-exceptions)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_a_scanner_raises_fails_its_task_and_no_worker(
    make: MakeQueue, error: BaseException, text: str
) -> None:
    """FAILED, ERROR, `"TypeName: message"`; the worker lives on and runs the next one."""
    seen: list[str] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        seen.append(threading.current_thread().name)
        if library_id == "bad":
            raise error
        return TaskResult()

    with make(scan) as queue:
        bad = queue.wait(queue.submit_task("bad"), quiet=True)
        good = queue.wait(queue.submit_task("good"), quiet=True)
        assert queue.stats().workers == 1

    assert (bad.status, bad.reason, bad.error) == (TaskStatus.FAILED, EndReason.ERROR, text)
    assert bad.result is None
    assert not bad.holds_slot
    assert good.status is TaskStatus.COMPLETED
    assert len(set(seen)) == 1, "it is the same worker"


@pytest.mark.logs_errors
def test_an_error_without_a_message_is_its_type(make: MakeQueue) -> None:
    """No dangling colon."""
    assert run_one(make(raising(OwnError()))).error in ("OwnError", "OwnError: ")


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("line\nnext\tcell\r\0\x1b[31m\x7f\x85", r"line\nnext\tcell\r\x00\x1b[31m\x7f\x85"),
        (b"caf\xe9.mp3".decode("utf-8", "surrogateescape"), r"caf\xe9.mp3"),
        ("\ud800 alone", r"\ud800 alone"),
        ("日本語 🎵 é", "日本語 🎵 é"),
    ],
    ids=["controls", "bytes", "surrogate", "unicode"],
)
def test_error_texts_are_made_storable(make: MakeQueue, text: str, shown: str) -> None:
    """Undecodable bytes and control characters are shown escaped, all else as it is."""
    error = run_one(make(raising(OwnError(text)))).error

    assert error == f"OwnError: {shown}"
    assert error.encode().decode() == error


@pytest.mark.logs_errors
@pytest.mark.parametrize("filler", ["x", "é", "\n", "\udce9"], ids=ascii)
def test_error_texts_are_cut_to_4096_characters(make: MakeQueue, filler: str) -> None:
    """Long ones are cut, escapes included."""
    error = run_one(make(raising(OwnError(filler * 10_000)))).error

    assert error is not None
    assert len(error) == 4096
    assert error.startswith("OwnError: ")


class UnprintableError(Exception):
    """An error whose text cannot be had.

    Args:
        failure: What asking for it raises.
    """

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def __str__(self) -> str:
        raise self.failure


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    "failure",
    [ValueError("no text"), SystemExit(1), KeyboardInterrupt(), ScanCancelled()],
    ids=lambda e: type(e).__name__,
)
def test_an_error_whose_text_cannot_be_had_fails_the_task_all_the_same(
    make: MakeQueue, failure: BaseException
) -> None:
    """Whatever its `__str__` raises, the task ends and the worker lives on."""
    queue = make(raising(UnprintableError(failure)))
    queue.start()
    for library_id in ("music", "films"):
        task_id = queue.submit_task(library_id)
        task = Call(lambda wanted=task_id: queue.wait(wanted, quiet=True)).result(2)  # type: ignore[misc]
        assert task.status is TaskStatus.FAILED
        assert task.error is not None
        assert task.error.startswith("Unprintable")


@attrs.frozen(kw_only=True)
class OwnResult(TaskResult):
    """A result of a host's own, which a store does not know."""

    extra: str = "more"


def test_a_subclass_of_the_result_is_kept_as_a_plain_one(make: MakeQueue) -> None:
    """What a host adds is not stored."""
    task = run_one(make(returning(OwnResult(added_count=3))))

    assert task.status is TaskStatus.COMPLETED
    assert type(task.result) is TaskResult
    assert task.result == TaskResult(added_count=3)


def test_what_a_failed_scan_held_is_free_at_once(make: MakeQueue) -> None:
    """No cycle keeps its frames, and all they hold, until the garbage collector comes by."""
    held: list[weakref.ref[object]] = []

    class Catalogue:
        pass

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        catalogue = Catalogue()
        held.append(weakref.ref(catalogue))
        raise LibraryUnavailable  # of which the log keeps no traceback

    queue = make(scan)
    gc.disable()
    try:
        run_one(queue)
        assert held[0]() is None
    finally:
        gc.enable()


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "None"),
        ({"added_count": 1}, "dict"),
        ((1, 2), "tuple"),
        (7, "int"),
        (TaskResult, "type"),
        (TaskProgress(scanned_paths=1), "TaskProgress"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_but_a_result_fails_the_task_with_a_message_that_says_so(
    make: MakeQueue, value: object, part: str
) -> None:
    """FAILED, ERROR, and the message says what it was and what it should have been."""
    task = run_one(make(returning(value)))

    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.ERROR)
    assert task.error is not None
    assert part in task.error
    assert "TaskResult" in task.error
    assert task.result is None


@pytest.mark.logs_errors
def test_a_coroutine_fails_the_task_and_is_named(make: MakeQueue) -> None:
    """An async scanner is a mistake that the message explains; it is closed, so nothing warns."""
    made: list[object] = []

    async def coroutine() -> TaskResult:
        return TaskResult()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        made.append(coroutine())
        return made[0]  # type: ignore[return-value]  # that is the point

    task = run_one(make(scan))

    assert task.status is TaskStatus.FAILED
    assert task.error is not None
    assert "coroutine" in task.error
    assert inspect.iscoroutine(made[0])
    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED


@pytest.mark.logs_errors
def test_a_generator_is_not_a_result(make: MakeQueue) -> None:
    """A scanner with a `yield` in it fails, and says what it returned."""

    def scan(library_id: LibraryId, context: ScanContext) -> Iterator[TaskResult]:
        yield TaskResult()

    task = run_one(make(scan))

    assert task.status is TaskStatus.FAILED
    assert "generator" in str(task.error)


class Walker:
    """A scanner that is an object."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Find nothing."""
        return TaskResult(added_count=len(str(library_id)))


def test_a_scanner_is_an_object_or_a_function(make: MakeQueue) -> None:
    """Either is called as `scan(library_id, context)`."""
    assert isinstance(Walker(), Scanner)
    for scanner in (Walker(), Walker().scan, lambda library_id, context: TaskResult(added_count=5)):
        assert run_one(make(scanner)).result == TaskResult(added_count=5)


# --- the log


def _logged(caplog: pytest.LogCaptureFixture, task: ScanTask) -> logging.LogRecord:
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.name.startswith("scanqueue.")
    assert vars(record)["scanqueue_task_id"] == str(task.id)
    assert vars(record)["scanqueue_library_id"] == task.library_id
    return record


@pytest.mark.logs_errors
@pytest.mark.parametrize("error", [OwnError("bad"), SystemExit(2)], ids=lambda e: type(e).__name__)
def test_the_traceback_goes_to_the_log(
    make: MakeQueue, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """One ERROR record with the traceback and, prefixed, the task and the library."""
    with make(raising(error)) as queue:
        task = queue.wait(queue.submit_task("music"))

    record = _logged(caplog, task)
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert record.getMessage() == record.msg, "the message is static"
    assert task.error not in record.msg


@pytest.mark.logs_errors
def test_a_wrong_result_is_logged(make: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    """There is no traceback to show, but somebody must see it."""
    _logged(caplog, run_one(make(returning(None))))


def test_a_scan_that_stops_as_asked_is_no_error(
    make: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancelled scan that raises `ScanCancelled` does not appear among the errors."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        queue.cancel_task(context.task.id)
        context.raise_if_cancelled()
        raise AssertionError

    queue = make(scan)
    run_one(queue)

    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_the_library_is_silent_unless_asked(make: MakeQueue) -> None:
    """A `NullHandler` keeps logging's last resort from printing."""
    handlers = logging.getLogger("scanqueue").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


class _Raises(logging.Handler):
    """A log handler with a bug."""

    def emit(self, record: logging.LogRecord) -> None:
        message = "the log is full"
        raise RuntimeError(message)


@pytest.fixture
def broken_log() -> Iterator[None]:
    """Have every log record of the library raise."""
    handler = _Raises()
    logger = logging.getLogger("scanqueue")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.logs_errors
@pytest.mark.usefixtures("broken_log")
@pytest.mark.parametrize("scan", [raising(OwnError()), returning(None)], ids=["raises", "wrong"])
def test_a_log_that_raises_ends_no_worker(make: MakeQueue, scan: object) -> None:
    """The task ends, its slot is freed and the worker lives on, whatever a log handler does."""
    queue = make(scan)
    queue.start()
    for _ in range(2):
        call = Call(lambda: queue.wait(queue.submit_task("music"), quiet=True))
        assert call.result(2).status is TaskStatus.FAILED


# --- the calls of a service from inside a scanner


def test_a_scanner_may_call_the_service_in_every_way(make: MakeQueue) -> None:
    """No lock is held while a scanner runs: nothing in it hangs."""
    answers: list[object] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        if library_id != "music":
            return TaskResult()
        own = context.task.id
        other = queue.submit_task("films")
        answers.extend(
            [
                queue.submit("music").task_id == own,
                queue.get_task(own) == context.task,
                queue.get_library_task("music") == context.task,
                libraries(queue.list_running()) == ["music"],
                libraries(queue.list_pending()) == ["films"],
                queue.list_history() == [],
                len(queue.list_tasks()) == 2,
                len(queue.list_changes(0)) == 2,
                queue.revision > 0,
                queue.pending_count() == 1,
                queue.stats().running == 1,
                queue.cancel_task(other).status is TaskStatus.CANCELLED,
                queue.wait(other).status is TaskStatus.CANCELLED,
                next(queue.changes(0)) is not None,
                not queue.is_paused,
                queue.cancel_library("nothing") == [],
            ]
        )
        queue.pause()
        queue.resume()
        queue.start()
        answers.append(queue.is_started)
        return TaskResult()

    with make(scan) as queue:
        call = Call(lambda: queue.wait(queue.submit_task("music")))
        task = call.result()

    assert task.error is None
    assert answers == [True] * len(answers)
    assert len(answers) == 17


def test_a_scanner_that_cancels_itself_is_cancelled(make: MakeQueue) -> None:
    """Its result is kept; its task stays CANCELLED."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        assert queue.cancel_task(context.task.id).is_stopping
        assert context.cancelled
        return TaskResult(added_count=1)

    queue = make(scan)
    task = run_one(queue)

    assert task.status is TaskStatus.CANCELLED
    assert task.result == TaskResult(added_count=1)


def test_a_scanner_that_asks_for_its_own_library_gets_another_scan(make: MakeQueue) -> None:
    """FOLLOW_UP from inside: one more scan after this one."""
    attempts: list[ScanTask] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        attempts.append(context.task)
        if len(attempts) == 1:
            queue.submit_task(library_id, when_running=WhenRunning.FOLLOW_UP)
        return TaskResult()

    queue = make(scan)
    queue.submit_task("music")

    assert queue.run_pending() == 2
    assert attempts[0].id != attempts[1].id


# --- starting


def test_making_a_service_starts_no_thread(make: MakeQueue) -> None:
    """Tasks wait as PENDING until `start()`; looking starts nothing either."""
    before = set(threading.enumerate())
    queue = make(FakeScanner(), workers=8)
    task_id = queue.submit_task("music")
    queue.stats()
    queue.list_tasks()

    assert set(threading.enumerate()) <= before
    assert current(queue, task_id).status is TaskStatus.PENDING
    assert not queue.is_started


def test_a_second_start_does_nothing(make: MakeQueue) -> None:
    """As many workers as before."""
    queue = make(FakeScanner(), workers=2)
    queue.start()
    threads = set(threading.enumerate())
    queue.start()

    assert set(threading.enumerate()) <= threads
    assert queue.is_started


def test_tasks_submitted_before_the_start_run_after_it(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """Starting runs what waits."""
    task_id = queue.submit_task("music")

    with queue:
        assert queue.wait(task_id).status is TaskStatus.COMPLETED


def test_the_threads_are_daemons_with_names(make: MakeQueue, scanner: FakeScanner) -> None:
    """A debugger shows whose they are, and none keeps the interpreter from exiting."""
    before = set(threading.enumerate())
    scanner.hold()
    queue = make(scanner, workers=2)
    queue.start()
    queue.submit_task(1)
    scan = scanner.next_scan()
    scan.report(1)
    scan.report(2)

    threads = set(threading.enumerate()) - before
    assert len(threads) >= 2
    assert all(thread.daemon for thread in threads)
    assert all(thread.name.startswith("scanqueue-") for thread in threads)


def test_without_workers_only_run_pending_runs(make: MakeQueue, scanner: FakeScanner) -> None:
    """`workers=0`: a start makes the queue ready and runs nothing."""
    queue = make(scanner, workers=0)
    queue.start()
    queue.submit_task("music")

    assert queue.stats().workers == 0
    assert scanner.scans == []
    assert queue.run_pending() == 1
