"""Scripts: what the scans of a `FakeScanner` will do, written down before they begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from scanqueue import (
    EndReason,
    LibraryId,
    LibraryUnavailable,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    SystemClock,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.aio import AsyncScanQueue
from scanqueue.testing import FakeClock, FakeScanner, MakeService, ScanScript
from tests.service.tools import Call, current


@pytest.fixture
def clock(scanqueue_clock: FakeClock) -> FakeClock:
    """Return the clock of the queue."""
    return scanqueue_clock


@pytest.fixture
def scanner(scanqueue_scanner: FakeScanner) -> FakeScanner:
    """Return the scanner of the queue."""
    return scanqueue_scanner


@pytest.fixture
def queue(scanqueue_make_service: MakeService) -> ScanQueueService:
    """Return a service with two workers, started."""
    return scanqueue_make_service(workers=2)


def scan(queue: ScanQueueService, library_id: LibraryId = "music") -> ScanTask:
    """Have a library scanned, to the end, and return its task."""
    return queue.wait(queue.submit_task(library_id), quiet=True)


def test_a_script_is_played(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """Progress first, then the result."""
    scanner.on("music").reports(3, 10).reports(9, 10, "z.flac").returns(TaskResult(added_count=9))

    task = scan(queue)

    assert task.result == TaskResult(added_count=9)
    assert task.progress == TaskProgress(scanned_paths=9, total_paths=10, message="z.flac")


def test_several_scripts_are_those_of_scans_in_a_row(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """And what follows has none."""
    scanner.on("music").raises(LibraryUnavailable("away"))
    scanner.on("music").returns(TaskResult(added_count=2))
    scanner.on("films").returns(TaskResult(added_count=3))

    assert scan(queue).reason is EndReason.UNAVAILABLE
    assert scan(queue, "films").result == TaskResult(added_count=3)
    assert scan(queue).result == TaskResult(added_count=2)
    assert scan(queue).result == TaskResult()


def test_a_script_without_a_library_is_that_of_the_next_scan(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """Unless that scan has a script of its library."""
    scanner.on().returns(TaskResult(added_count=1))
    scanner.on("music").returns(TaskResult(added_count=2))

    counts = [scan(queue, name).result for name in ("music", "music", "music")]

    assert counts == [TaskResult(added_count=2), TaskResult(added_count=1), TaskResult()]


def test_a_lasting_script_is_played_by_all_that_have_none(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """That of the library before that of all."""
    scanner.always().returns(TaskResult(added_count=1))
    scanner.always("music").raises(OSError("no"))
    scanner.on("music").returns(TaskResult(added_count=2))

    assert scan(queue).result == TaskResult(added_count=2)
    assert [scan(queue).error for _ in range(2)] == ["OSError: no"] * 2
    assert [scan(queue, n).result for n in (1, "1")] == [TaskResult(added_count=1)] * 2


def test_a_later_lasting_script_replaces_the_earlier(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """So that a drive can come back."""
    scanner.always("music").raises(LibraryUnavailable("away"))
    assert scan(queue).status is TaskStatus.FAILED
    scanner.always("music").returns()

    assert scan(queue).status is TaskStatus.COMPLETED


def test_ids_that_look_alike_have_scripts_of_their_own(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """`1` is not `"1"`."""
    scanner.on(1).returns(TaskResult(added_count=1))

    assert scan(queue, "1").result == TaskResult()
    assert scan(queue, 1).result == TaskResult(added_count=1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(LibraryUnavailable("x"), EndReason.UNAVAILABLE, id="unavailable"),
        pytest.param(ValueError("x"), EndReason.ERROR, id="error"),
        pytest.param(SystemExit("x"), EndReason.ERROR, id="exit"),
    ],
)
def test_a_script_can_fail(
    queue: ScanQueueService, scanner: FakeScanner, error: BaseException, reason: EndReason
) -> None:
    """In every way that a scanner can."""
    scanner.on("music").reports(2).raises(error)

    task = scan(queue)

    assert (task.status, task.reason) == (TaskStatus.FAILED, reason)
    assert task.error == f"{type(error).__name__}: x"
    assert task.progress.scanned_paths == 2


def test_an_error_that_is_raised_again_has_no_traceback_of_before(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """It would grow with every scan."""
    error = ValueError("x")
    scanner.always().raises(error)
    lengths = []
    for _ in range(2):
        scan(queue)
        trace, length = error.__traceback__, 0
        while trace is not None:
            trace, length = trace.tb_next, length + 1
        lengths.append(length)

    assert lengths[0] == lengths[1] > 0


def test_a_script_can_return_what_is_no_result(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """As a scanner with a mistake does."""
    scanner.on("music").returns_no_result()
    scanner.on("music").returns_no_result("done")

    assert [scan(queue).error for _ in range(2)] == [
        "TypeError: the scanner returned None, not a TaskResult",
        "TypeError: the scanner returned an object of type str, not a TaskResult",
    ]


def test_a_script_can_call_what_it_likes(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """With the context, on the thread of the scan."""
    seen: list[ScanContext] = []
    scanner.on("music").does(seen.append).does(lambda context: context.advance(2)).returns()

    assert scan(queue).progress.scanned_paths == 2
    assert seen == [scanner.scans[0].context]


def test_what_a_step_raises_the_scanner_raises(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """And nothing of the script follows."""
    scanner.on("music").does(lambda context: 1 // 0).reports(5).returns()

    task = scan(queue)
    assert task.error == "ZeroDivisionError: integer division or modulo by zero"
    assert task.progress.scanned_paths == 0


def test_a_script_sleeps_by_the_clock(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """So an hour takes no time."""
    scanner.on("music").reports(1, 2).sleeps(3600).reports(2, 2).returns()
    task_id = queue.submit_task("music")
    clock.await_waiters()
    assert current(queue, task_id).progress.fraction == 0.5
    clock.advance(3600)

    assert queue.wait(task_id).progress.fraction == 1


def test_a_script_without_an_end_goes_on_as_without_a_script(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """An empty result, or in the hand of the test."""
    scanner.on("music").reports(2)
    scanner.on("films").reports(3)
    scanner.hold("films")

    assert scan(queue).progress.scanned_paths == 2
    task_id = queue.submit_task("films")
    scanner.next_scan()
    held = scanner.next_scan()
    held.release(TaskResult(added_count=3))
    task = queue.wait(task_id)
    assert (task.progress.scanned_paths, task.result) == (3, TaskResult(added_count=3))


def test_a_script_can_leave_the_scan_to_the_test(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """Also where nothing else is held."""
    scanner.on("music").reports(3, 10).holds()
    task_id = queue.submit_task("music")
    held = scanner.next_scan()
    held.await_held()
    assert current(queue, task_id).progress.fraction == 0.3
    held.do(lambda context: context.report(4, 10))
    held.release()

    assert queue.wait(task_id).progress.scanned_paths == 4


def test_a_scan_that_is_not_held_cannot_be_awaited(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """The error says which, and comes at once when it has returned."""
    scan(queue)

    with pytest.raises(RuntimeError, match="'music', attempt 1, returned> has never waited"):
        scanner.next_scan().await_held()
    with pytest.raises(ValueError, match="timeout"):
        scanner.scans[0].await_held(-1)


def test_a_scan_that_is_not_held_yet_is_awaited(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """For a while."""
    scanner.on("music").sleeps(60).holds()
    queue.submit_task("music")
    slow = scanner.next_scan()
    with pytest.raises(TimeoutError, match=r"'music', attempt 1, running> does not wait .* 0\.01"):
        slow.await_held(0.01)

    call = Call(lambda: slow.await_held(float("inf")))
    clock.await_waiters(at_least=60)
    assert not call.is_over
    clock.advance(60)
    call.result()
    slow.release()
    queue.wait(slow.task.id, quiet=True)
    slow.await_held()  # it has been


def test_a_script_with_an_end_is_not_held(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """What is written down comes before what holds for all."""
    scanner.hold()
    scanner.on("music").returns(TaskResult(added_count=1))

    assert scan(queue).result == TaskResult(added_count=1)


def test_a_cancelled_script_stops_between_its_steps(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """As a good scanner does."""
    seen: list[object] = []
    scanner.on("music").does(lambda c: queue.cancel_task(c.task.id)).does(seen.append).returns()

    task = scan(queue)
    assert (task.status, task.result, seen) == (TaskStatus.CANCELLED, None, [])


def test_a_sleeping_script_stops_when_it_is_cancelled(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """The clock need not move."""
    scanner.on("music").sleeps(3600).returns()
    task_id = queue.submit_task("music")
    clock.await_waiters()
    queue.cancel_task(task_id)

    assert queue.wait(task_id, quiet=True).result is None


def test_a_script_can_ignore_a_cancel(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock
) -> None:
    """It goes on to its end, through its sleep."""
    scanner.on("music").sleeps(60).ignores_cancel().returns(TaskResult(added_count=1))
    task_id = queue.submit_task("music")
    clock.await_waiters()
    assert queue.cancel_task(task_id).is_stopping
    assert clock.deadlines() == [60.0]
    clock.advance(60)

    assert queue.wait(task_id, quiet=True).result == TaskResult(added_count=1)


@pytest.mark.parametrize("step", ["release", "fail"])
def test_a_test_can_end_a_scan_amid_its_script(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock, step: str
) -> None:
    """What is left of it is dropped."""
    scanner.on("music").ignores_cancel().sleeps(60).reports(5).raises(SystemExit())
    task_id = queue.submit_task("music")
    clock.await_waiters()
    if step == "release":
        scanner.let_go()
    else:
        scanner.next_scan().fail(OSError("by hand"))

    task = queue.wait(task_id)
    assert task.error == (None if step == "release" else "OSError: by hand")
    assert task.progress.scanned_paths == 0


def test_the_scans_can_be_looked_up(
    scanner: FakeScanner, scanqueue_make_service: MakeService
) -> None:
    """Which libraries, in which order, what of them, and for which time."""
    queue = scanqueue_make_service(start=False)
    scope = ScanScope(paths=["new"])
    queue.submit_task("music")
    queue.submit_task("films", scope=scope)
    queue.run_pending()
    queue.submit_task("music", scope=scope)
    queue.run_pending()

    assert scanner.scanned_libraries == ["music", "films", "music"]
    assert [scan.scope for scan in scanner.scans_of("music")] == [ScanScope(), scope]
    assert [scan.attempt for scan in scanner.scans] == [1, 1, 1]
    assert scanner.scans_of("books") == []


def test_a_scan_says_what_it_is(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """So that a failed assertion can be read."""
    scanner.hold()
    task_id = queue.submit_task("music")
    held = scanner.next_scan()
    assert repr(held) == "<FakeScan of 'music', attempt 1, running>"
    held.release()
    queue.wait(task_id, quiet=True)

    assert repr(held) == "<FakeScan of 'music', attempt 1, returned>"


def test_a_script_that_was_never_played_is_named(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """A library with a typo, say; those that last need not be played."""
    scanner.always("films").returns()
    scanner.on("musci").returns()
    scanner.on().returns()
    scan(queue)
    with pytest.raises(AssertionError) as caught:
        scanner.check_scripts()
    assert str(caught.value) == (
        "never played: [<ScanScript for the next scan of library 'musci'>]; scanned were ['music']"
    )
    scan(queue, "musci")

    scanner.check_scripts()


STEPS: list[Callable[[ScanScript], object]] = [
    lambda script: script.reports(1),
    lambda script: script.sleeps(1),
    lambda script: script.does(print),
    lambda script: script.ignores_cancel(),
    lambda script: script.returns(),
    lambda script: script.returns_no_result(),
    lambda script: script.raises(ValueError()),
    lambda script: script.holds(),
]


@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_nothing_follows_the_end_of_a_script(
    scanner: FakeScanner, step: Callable[[ScanScript], object]
) -> None:
    """The error says which end it has, and what to do."""
    script = scanner.on("music")
    script.returns()

    with pytest.raises(RuntimeError, match=r"next scan of library 'music' has its end already, re"):
        step(script)


@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_nothing_is_added_to_a_script_that_is_played(
    queue: ScanQueueService, scanner: FakeScanner, step: Callable[[ScanScript], object]
) -> None:
    """A test that submits too early hears of it."""
    script = scanner.always()
    scan(queue)

    with pytest.raises(RuntimeError, match="all scans of any library is being played already: wr"):
        step(script)


WRONG: list[tuple[str, Callable[[Any], object], type[Exception]]] = [
    ("scanned_paths", lambda script: script.reports("3"), TypeError),
    ("scanned_paths", lambda script: script.reports(-3), ValueError),
    ("total_paths", lambda script: script.reports(3, 1.5), TypeError),
    ("message", lambda script: script.reports(3, 4, b"x"), TypeError),
    ("seconds", lambda script: script.sleeps(-1), ValueError),
    ("action", lambda script: script.does("x"), TypeError),
    ("result", lambda script: script.returns(3), TypeError),
    ("value", lambda script: script.returns_no_result(TaskResult()), TypeError),
    ("error", lambda script: script.raises("x"), TypeError),
    ("error", lambda script: script.raises(ValueError), TypeError),
]


@pytest.mark.parametrize(("name", "step", "kind"), WRONG, ids=range(len(WRONG)))
def test_a_mistake_is_found_where_it_is_written(
    scanner: FakeScanner, name: str, step: Callable[[Any], object], kind: type[Exception]
) -> None:
    """Not in the middle of a scan, on another thread."""
    with pytest.raises(kind, match=f"^{name} must "):
        step(scanner.on())


@pytest.mark.parametrize("call", ["on", "always", "hold", "scans_of"])
def test_what_is_no_library_is_refused(scanner: FakeScanner, call: str) -> None:
    """It would never be scanned."""
    with pytest.raises(TypeError, match="library_id"):
        getattr(scanner, call)(True)
    with pytest.raises(ValueError, match="library_id"):
        getattr(scanner, call)("")


def test_a_scan_that_does_not_begin_is_explained(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """The error says which did, and what may be why."""
    scan(queue)
    scanner.next_scan()

    text = (
        r"0\.01 seconds, but .* given already, of \['music'\]: is the queue started and not paused"
    )
    with pytest.raises(TimeoutError, match=text):
        scanner.next_scan(0.01)


def test_a_script_that_comes_too_late_is_that_of_the_next_scan(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """And is found when none follows."""
    scanner.hold()
    queue.submit_task("music")
    held = scanner.next_scan()
    scanner.on("music").reports(5, 10).holds()
    held.release()

    assert queue.wait(held.task.id).progress.scanned_paths == 0
    with pytest.raises(AssertionError, match=r"never played: .*'music'"):
        scanner.check_scripts()


def test_scripts_work_on_an_event_loop(scanner: FakeScanner) -> None:
    """`next_scan` in a thread, all else where it is."""

    async def main() -> tuple[TaskResult | None, ScanTask]:
        async with AsyncScanQueue(ScanQueueService(scanner, clock=SystemClock())) as queue:
            scanner.on("music").reports(1).returns(TaskResult(added_count=1))
            scanner.hold("films")
            played = await queue.wait(await queue.submit_task("music"))
            task_id = await queue.submit_task("films")
            await asyncio.to_thread(scanner.next_scan)
            held = await asyncio.to_thread(scanner.next_scan)
            held.release(TaskResult(added_count=2))
            return played.result, await queue.wait(task_id)

    result, task = Call(lambda: asyncio.run(main())).result()
    assert result == TaskResult(added_count=1)
    assert task.result == TaskResult(added_count=2)
