"""The context: what a scanner says, when it is seen, and how it learns that it should stop."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanqueue import (
    LibraryId,
    ScanCancelled,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
    _context,
)
from scanqueue._context import LiveContext
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import PATIENCE, Call, MakeQueue, await_deadline, current, run_one


def progress(
    scanned_paths: int, total_paths: int | None = None, message: str | None = None
) -> TaskProgress:
    """Return the progress that these numbers make."""
    return TaskProgress(scanned_paths=scanned_paths, total_paths=total_paths, message=message)


@pytest.fixture
def scan(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a held scan of the library "music"."""
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    return scanner.next_scan()


def final_progress(make: MakeQueue, work: Callable[[ScanContext], object]) -> TaskProgress:
    """Return the progress of a task whose scanner did the work."""

    def scanner(library_id: LibraryId, context: ScanContext) -> TaskResult:
        work(context)
        return TaskResult()

    task = run_one(make(scanner))
    assert task.error is None
    return task.progress


# --- what it knows


def test_it_shows_the_task_as_claimed(make: MakeQueue) -> None:
    """The task, its library and its scope."""
    seen: list[tuple[ScanTask, LibraryId, ScanScope]] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        context.report(7)
        seen.append((context.task, context.library_id, context.scope))
        assert library_id == context.library_id
        return TaskResult()

    queue = make(scan)
    scope = ScanScope(paths=("rock",), deep=True)
    submitted = queue.submit("music", TaskPriority.HIGH, scope=scope).task
    queue.run_pending()

    task, library_id, its_scope = seen[0]
    assert (task.id, library_id, its_scope) == (submitted.id, "music", scope)
    assert (task.status, task.attempt, task.holds_slot) == (TaskStatus.RUNNING, 1, True)
    assert task.progress == progress(0), "the snapshot does not move"


# --- report


STEPS = st.one_of(
    st.tuples(st.just("report"), st.integers(0, 9), st.none() | st.integers(0, 50)),
    st.tuples(st.just("advance"), st.integers(0, 3), st.none()),
    st.tuples(st.just("track"), st.integers(0, 4), st.none()),
    st.tuples(st.just("begin a track"), st.integers(1, 3), st.none()),
    st.tuples(st.just("go on with it"), st.just(1), st.none()),
)


@given(st.lists(STEPS, min_size=1, max_size=8))
def test_whatever_it_says_adds_up(steps: list[tuple[str, int, int | None]]) -> None:
    """Reports, advances and tracks, one after another and nested, in any order."""
    scanned, total = 0, None
    tracks: list[Iterator[int]] = []

    def work(context: ScanContext) -> None:
        nonlocal scanned, total
        for step, number, said_total in steps:
            if step == "report":
                scanned, total = number, said_total
                context.report(scanned, total)
            elif step == "advance":
                context.advance(number)
                scanned += number
            elif step == "track":
                total = max(total or 0, scanned + number)
                scanned += len(list(context.track(range(number))))
            elif step == "begin a track":
                tracks.append(context.track(iter(range(number))))
                next(tracks[-1])
            elif tracks:
                scanned += 1  # an item counts when the next one is asked for
                if next(tracks[-1], None) is None:
                    tracks.pop()

    assert final_progress(partial(ScanQueueService, workers=0), work) == progress(scanned, total)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((3,), progress(3)),
        ((3, 10), progress(3, 10)),
        ((3, 10, "a.flac"), progress(3, 10, "a.flac")),
        ((0, 0), progress(0, 0)),
        ((11, 10), progress(11, 10)),
    ],
)
def test_a_report_is_absolute(
    make: MakeQueue, arguments: tuple[int, int | None, str | None], expected: TaskProgress
) -> None:
    """It says where the scan is, whatever was said before."""

    def work(context: ScanContext) -> None:
        context.report(99, 100, "before")
        context.advance(4)
        context.report(*arguments)

    assert final_progress(make, work) == expected


def test_going_backwards_is_allowed(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """A scan that starts over says so."""
    scan.report(9, 10)
    clock.advance(1)
    scan.report(2)

    assert current(queue, scan.task.id).progress == progress(2)


def test_messages_are_made_storable_and_cut(make: MakeQueue) -> None:
    """Escaped like errors, and cut to 1,024 characters."""
    name = b"caf\xe9\n.mp3".decode("utf-8", "surrogateescape")

    assert final_progress(make, lambda c: c.report(1, None, name)).message == r"caf\xe9\n.mp3"
    assert final_progress(make, lambda c: c.advance(1, name)).message == r"caf\xe9\n.mp3"
    long = final_progress(make, lambda c: c.report(1, None, "x" * 5000)).message
    assert long == "x" * 1024


def test_a_str_subclass_is_a_message(make: MakeQueue) -> None:
    """What it overrides is not asked."""

    class Path(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise AssertionError

    message = final_progress(make, lambda c: c.report(1, None, Path("a"))).message
    assert message == "a"
    assert type(message) is str


WRONG: list[tuple[str, tuple[object, ...], type[Exception], str]] = [
    ("report", (-1,), ValueError, "scanned_paths must be an int of at least 0, within 64 bits"),
    ("report", (1, -1), ValueError, "total_paths must be an int of at least 0, within 64 bits"),
    ("report", (2**63,), ValueError, "scanned_paths must be an int of at least 0, within 64 bits"),
    ("report", (1.0,), TypeError, "scanned_paths must be an int"),
    ("report", (True,), TypeError, "scanned_paths must be an int"),
    ("report", (None,), TypeError, "scanned_paths must be an int"),
    ("report", (1, "10"), TypeError, "total_paths must be an int"),
    ("report", (1, 2, 3), TypeError, "message must be a str or None"),
    ("report", (1, 2, b"x"), TypeError, "message must be a str or None"),
    ("advance", (-1,), ValueError, "paths must be an int of at least 0, within 64 bits"),
    ("advance", (1.5,), TypeError, "paths must be an int"),
    ("advance", (True,), TypeError, "paths must be an int"),
    ("advance", (1, 5), TypeError, "message must be a str or None"),
    ("track", (5,), TypeError, "iterable must be an iterable"),
    ("track", ([], -1), ValueError, "total must be an int of at least 0, within 64 bits"),
    ("track", ([], "1"), TypeError, "total must be an int"),
    ("sleep", (-0.1,), ValueError, "seconds must be a number of seconds of at least 0"),
    ("sleep", (float("nan"),), ValueError, "seconds must be a number of seconds of at least 0"),
    ("sleep", ("1",), TypeError, "seconds must be a number of seconds"),
    ("sleep", (None,), TypeError, "seconds must be a number of seconds"),
]


@pytest.mark.parametrize(
    ("call", "arguments", "error", "text"), WRONG, ids=[f"{case[0]}{case[1]}" for case in WRONG]
)
def test_wrong_arguments_are_refused_and_change_nothing(
    make: MakeQueue,
    call: str,
    arguments: tuple[object, ...],
    error: type[Exception],
    text: str,
) -> None:
    """The error says which, what it should be and what it was; what was reported before stands."""
    wrong = re.escape(repr(arguments[-1]))

    def work(context: ScanContext) -> None:
        context.report(5, 10, "fine")
        with pytest.raises(error, match=rf"^{text}, not {wrong}"):
            getattr(context, call)(*arguments)

    assert final_progress(make, work) == progress(5, 10, "fine")


# --- advance


def test_advance_adds(make: MakeQueue) -> None:
    """One by default, and to what was reported; the message stays unless there is a new one."""

    def work(context: ScanContext) -> None:
        context.report(10, 20, "first")
        context.advance()
        context.advance(4)
        context.advance(0)
        context.advance(1, "last")
        context.advance()

    assert final_progress(make, work) == progress(17, 20, "last")


def test_ten_threads_lose_no_advance(make: MakeQueue) -> None:
    """However they interleave, with each other and with who looks."""
    start = threading.Barrier(11)

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        def work() -> None:
            start.wait(PATIENCE)
            for _ in range(1000):
                context.advance()
            for _ in context.track(range(100)):
                pass

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        start.wait(PATIENCE)
        for _ in range(50):
            queue.get_task(context.task.id)
        for thread in threads:
            thread.join(PATIENCE)
        return TaskResult()

    queue = make(scan)
    assert run_one(queue).progress.scanned_paths == 11_000


def test_each_thread_counts_for_itself(make: MakeQueue) -> None:
    """No other thread writes its number, so that none is lost whenever threads take turns."""
    numbers: list[int] = []

    def work(context: ScanContext) -> None:
        assert isinstance(context, LiveContext)
        for paths in (1, 10, 100):
            thread = threading.Thread(target=context.advance, args=[paths])
            if paths == 1:
                context.advance(1000)
            thread.start()
            thread.join(PATIENCE)
        numbers.extend(context._counts.values())

    assert final_progress(make, work) == progress(1111)
    assert 1000 in numbers


def test_more_than_64_bits_are_not_reported(make: MakeQueue) -> None:
    """Counting past what can be stored stays at the largest number, and breaks nothing."""

    def work(context: ScanContext) -> None:
        context.report(2**63 - 1)
        context.advance(2**62)

    assert final_progress(make, work).scanned_paths == 2**63 - 1


# --- track


def test_track_yields_counts_and_knows_the_total(make: MakeQueue) -> None:
    """The items as they are, one counted for each; the total from `len()`."""
    items: list[str] = []

    def work(context: ScanContext) -> None:
        items.extend(context.track(["a", "b", "c"]))

    assert final_progress(make, work) == progress(3, 3)
    assert items == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("make_iterable", "total", "expected"),
    [
        (partial(iter, "abc"), None, progress(3)),
        (partial(iter, "abc"), 5, progress(3, 5)),
        (lambda: "abc", 9, progress(3, 9)),
        (list, None, progress(0, 0)),
        (lambda: {"a": 1}, None, progress(1, 1)),
    ],
    ids=["unknown", "given", "given wins", "empty", "dict"],
)
def test_the_total_is_given_or_taken_where_it_can(
    make: MakeQueue,
    make_iterable: Callable[[], Iterable[str]],
    total: int | None,
    expected: TaskProgress,
) -> None:
    """A given total wins; what has no length has none."""
    assert final_progress(make, lambda c: list(c.track(make_iterable(), total))) == expected


class _LengthFails:
    """Something with a length that cannot be had.

    Args:
        failure: What asking for it raises.
    """

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def __len__(self) -> int:
        raise self.failure

    def __iter__(self) -> Iterator[str]:
        return iter("ab")


@pytest.mark.parametrize("failure", [TypeError(), OverflowError()], ids=repr)
def test_a_length_that_cannot_be_had_is_an_unknown_total(
    make: MakeQueue, failure: Exception
) -> None:
    """`track` takes the total from `len()` where it can, and tracks all the same."""
    found = final_progress(make, lambda c: list(c.track(_LengthFails(failure))))

    assert found == progress(2)


def test_a_range_too_long_for_len_is_tracked(make: MakeQueue) -> None:
    """`len()` has a limit that iterating has not."""
    assert final_progress(make, lambda c: next(c.track(range(2**70)))).total_paths is None


def test_track_adds_to_what_was_counted(make: MakeQueue) -> None:
    """Two in a row count on, and so do those after a report."""

    def work(context: ScanContext) -> None:
        context.report(10)
        list(context.track("abc"))
        list(context.track("de"))

    assert final_progress(make, work) == progress(15, 15)


def test_an_item_counts_when_the_next_one_is_asked_for(make: MakeQueue, clock: FakeClock) -> None:
    """What is being worked on is not done yet."""
    seen: list[int] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        for _ in context.track("abc"):
            clock.advance(1)
            seen.append(current(queue, context.task.id).progress.scanned_paths)
        return TaskResult()

    queue = make(scan)
    run_one(queue)

    assert seen == [0, 1, 2]


def test_an_abandoned_track_keeps_its_count(make: MakeQueue) -> None:
    """A loop that is left early counted what it had done; the next one counts on."""

    def work(context: ScanContext) -> None:
        for item in context.track("abcdef"):
            if item == "d":
                break
        left = context.track("xyz")
        next(left)
        next(left)
        del left
        unused = context.track("never begun")
        del unused
        context.advance(10)

    assert final_progress(make, work).scanned_paths == 14


def test_track_in_two_threads_and_nested(make: MakeQueue) -> None:
    """Each counts its own."""

    def work(context: ScanContext) -> None:
        for _ in context.track("ab"):
            for _ in context.track("xyz"):
                pass

    assert final_progress(make, work).scanned_paths == 8


def test_an_error_in_a_tracked_iterable_is_the_scanners(make: MakeQueue) -> None:
    """It comes through, and what was counted stands."""

    def items() -> Iterator[int]:
        yield 1
        yield 2
        message = "lost"
        raise OSError(message)

    def work(context: ScanContext) -> None:
        with pytest.raises(OSError, match="lost"):
            list(context.track(items()))

    assert final_progress(make, work).scanned_paths == 2


def test_track_stops_between_items_once_cancelled(make: MakeQueue) -> None:
    """`ScanCancelled` instead of the next item."""
    done: list[str] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        for item in context.track("abcd"):
            done.append(item)
            if item == "b":
                queue.cancel_task(context.task.id)
        return TaskResult()

    queue = make(scan)
    task = run_one(queue)

    assert done == ["a", "b"]
    assert (task.status, task.result) == (TaskStatus.CANCELLED, None)


def test_track_is_a_base_exception_that_a_broad_except_does_not_swallow(make: MakeQueue) -> None:
    """A scanner's `except Exception` around each file lets a cancel through."""
    rounds: list[int] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        for n in range(10):
            try:
                rounds.append(n)
                queue.cancel_task(context.task.id) if n == 2 else None
                context.raise_if_cancelled()
            except Exception:
                pytest.fail("swallowed")
        return TaskResult()

    queue = make(scan)
    assert run_one(queue).status is TaskStatus.CANCELLED
    assert rounds == [0, 1, 2]
    assert not issubclass(ScanCancelled, Exception)


# --- when it is seen


def test_the_first_report_is_seen_at_once(queue: ScanQueueService, scan: FakeScan) -> None:
    """And is a change."""
    revision = queue.revision
    scan.report(1, 10, "a.flac")

    task = current(queue, scan.task.id)
    assert task.progress == progress(1, 10, "a.flac")
    assert task.revision > revision
    assert queue.list_changes(revision) == [task]


def test_a_report_is_visible_within_the_interval_of_the_store(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock, progress_interval: float
) -> None:
    """Those in between are skipped, the last is seen, also when none follows."""
    scan.report(1)
    revision = queue.revision
    for n in range(2, 9):
        scan.report(n)
    assert queue.revision == revision, "not each one is a change"

    clock.advance(progress_interval)

    assert current(queue, scan.task.id).progress == progress(8)


def test_a_reader_of_changes_is_told_also_when_none_follows(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock, progress_interval: float
) -> None:
    """The queue wakes up by itself: nobody needs to look."""
    scan.report(1)
    revision = queue.revision
    reader = Call(lambda: queue.list_changes(revision, timeout=None))
    scan.report(2)
    if progress_interval > 0.4:  # the keeper waits for the sooner deadline, which is to poll
        await_deadline(clock, 0.4)
        clock.advance(0.4)
    await_deadline(clock, progress_interval)

    clock.advance(0.1)

    (task,) = reader.result()
    assert task.progress == progress(2)


def test_silence_publishes_nothing(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """A report that says the same again is no change."""
    scan.report(5)
    revision = queue.revision
    clock.advance(1)
    scan.report(5)
    clock.advance(1)

    assert current(queue, scan.task.id).revision == revision == queue.revision


@pytest.mark.logs_errors
@pytest.mark.parametrize("end", ["release", "fail", "cancel"])
def test_the_last_report_before_the_end_is_kept(
    queue: ScanQueueService, scan: FakeScan, end: str
) -> None:
    """However soon the end follows, and whichever it is."""
    scan.report(1)
    scan.report(2, 3, "last")
    if end == "release":
        scan.release()
    elif end == "fail":
        scan.fail(ValueError())
    else:
        queue.cancel_task(scan.task.id)

    task = queue.wait(scan.task.id, quiet=True)
    assert task.progress == progress(2, 3, "last")


# --- after the end


def test_a_sum_that_is_late_does_not_take_the_place_of_a_later_one(
    make: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads publish at a time, and the one with the older numbers is the last to be done."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        assert isinstance(context, LiveContext)
        context.advance()

        def be_overtaken(**numbers: int | None) -> TaskProgress:
            monkeypatch.undo()
            context.advance()
            overtaking = Call(context.progress)
            if not context._lock.locked():  # else it waits until this one is done
                overtaking.result()
            return TaskProgress(**numbers)  # type: ignore[arg-type]  # passed on

        context.advance()
        monkeypatch.setattr(_context, "TaskProgress", be_overtaken)
        context.progress()
        return TaskResult()

    assert run_one(make(scan)).progress == progress(3)


@pytest.mark.logs_errors
@pytest.mark.parametrize("end", ["release", "fail"])
def test_after_the_end_it_changes_nothing_and_says_cancelled(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock, end: str
) -> None:
    """A thread that a scanner left behind cannot disturb the record."""
    scan.report(1)
    iterator = iter(scan.context.track("abc"))
    next(iterator)
    scan.release() if end == "release" else scan.fail(ValueError())
    task = queue.wait(scan.task.id, quiet=True)
    revision = queue.revision

    scan.context.report(5, 6, "late")
    scan.context.advance(7, "late")
    assert scan.context.cancelled
    with pytest.raises(ScanCancelled):
        scan.context.raise_if_cancelled()
    with pytest.raises(ScanCancelled):
        next(iterator)
    with pytest.raises(ScanCancelled):
        list(scan.context.track("abc"))
    with pytest.raises(ScanCancelled):
        scan.context.sleep(1)
    clock.advance(5)

    assert current(queue, scan.task.id) == task
    assert queue.revision == revision


def test_an_old_context_cannot_write_into_the_next_scan(
    queue: ScanQueueService, scanner: FakeScanner, scan: FakeScan, clock: FakeClock
) -> None:
    """The next scan of the library is another attempt."""
    scan.release()
    queue.wait(scan.task.id, quiet=True)
    queue.submit_task("music")
    second = scanner.next_scan()

    scan.context.report(99)
    clock.advance(1)

    assert current(queue, second.task.id).progress == progress(0)
    assert not second.context.cancelled


def test_after_a_cancel_reports_change_nothing(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """A stopping scan is not listened to."""
    scan.ignore_cancel()
    scan.report(1)
    queue.cancel_task(scan.task.id)
    revision = queue.revision
    scan.report(2)
    clock.advance(1)
    assert queue.revision == revision
    scan.report(3)
    scan.release()

    assert queue.wait(scan.task.id, quiet=True).progress == progress(1)


# --- cancelled


def test_it_says_cancelled_from_the_cancel_on(queue: ScanQueueService, scan: FakeScan) -> None:
    """Not before; and the error says of which scan."""
    assert scan.context.cancelled is False
    scan.context.raise_if_cancelled()

    queue.cancel_task(scan.task.id)

    assert scan.context.cancelled is True
    with pytest.raises(ScanCancelled, match=r"^the scan of library 'music' was asked to stop$"):
        scan.context.raise_if_cancelled()


def test_a_cancelled_follow_up_does_not_touch_the_running_scan(
    queue: ScanQueueService, scan: FakeScan
) -> None:
    """Each task has a context of its own."""
    follow_up = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    queue.cancel_task(follow_up)

    assert not scan.context.cancelled


# --- sleep


def test_sleep_waits_by_the_clock(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """It returns when its seconds are over, not before."""
    woke: list[float] = []

    def work(context: ScanContext) -> None:
        context.sleep(30)
        woke.append(clock.monotonic())

    scan.do(work)
    await_deadline(clock, 30.0)
    clock.advance(29)
    assert woke == []
    clock.advance(1)
    scan.release()

    assert queue.wait(scan.task.id).status is TaskStatus.COMPLETED
    assert woke == [30.0]


def test_sleeping_no_time_returns_at_once(make: MakeQueue) -> None:
    """Zero is a duration."""
    final_progress(make, lambda c: c.sleep(0))


def test_a_cancel_ends_a_sleep_early_by_raising(
    queue: ScanQueueService, scan: FakeScan, clock: FakeClock
) -> None:
    """The clock need not go on."""
    scan.do(lambda context: context.sleep(3600))
    await_deadline(clock, 3600.0)

    queue.cancel_task(scan.task.id)

    task = queue.wait(scan.task.id, quiet=True)
    assert task.status is TaskStatus.CANCELLED
    assert task.result is None
    assert clock.monotonic() == 0


@pytest.mark.parametrize("seconds", [float("inf"), 10**400, 1e300], ids=["inf", "huge", "1e300"])
def test_one_may_sleep_for_ever(queue: ScanQueueService, scan: FakeScan, seconds: float) -> None:
    """Until the cancel."""
    asleep = threading.Event()

    def work(context: ScanContext) -> None:
        asleep.set()
        context.sleep(seconds)

    scan.do(work)
    assert asleep.wait(PATIENCE)
    queue.cancel_task(scan.task.id)

    assert queue.wait(scan.task.id, quiet=True).status is TaskStatus.CANCELLED


def test_sleeping_when_cancelled_already_raises_at_once(make: MakeQueue) -> None:
    """However short."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        queue.cancel_task(context.task.id)
        with pytest.raises(ScanCancelled):
            context.sleep(0)
        return TaskResult(added_count=1)

    queue = make(scan)
    assert run_one(queue).result == TaskResult(added_count=1)
