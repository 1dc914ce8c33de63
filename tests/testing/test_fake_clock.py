"""The clock that stands still until a test moves it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from scanqueue import Clock, MemoryStore, ScanQueueService, SQLiteStore, TaskStore
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.tools import PATIENCE, Call, await_deadline, await_that


class Waiter:
    """A thread that waits for a deadline of a clock, once."""

    def __init__(self, clock: FakeClock, deadline: float | None) -> None:
        self.clock = clock
        self.deadline = deadline
        self.condition = threading.Condition()
        self.call = Call(self._wait)

    def _wait(self) -> float:
        with self.condition:
            self.clock.wait_until(self.condition, self.deadline)
            return self.clock.monotonic()


def test_it_is_a_clock() -> None:
    """By its type, too."""
    clock: Clock = FakeClock()

    assert clock.now().tzinfo is UTC


def test_time_stands_still() -> None:
    """Until it is advanced."""
    clock = FakeClock()

    assert clock.now() == clock.now() == datetime(2000, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == clock.monotonic() == 0.0


def test_it_begins_where_it_is_told_to() -> None:
    """In UTC, whatever the zone of the start."""
    start = datetime(2024, 5, 6, 7, tzinfo=timezone(timedelta(hours=2)))
    clock = FakeClock(start)

    assert clock.now() == start
    assert clock.now().tzinfo is UTC
    assert clock.now().hour == 5


def test_advancing_moves_both_times() -> None:
    """The wall clock and the monotonic one."""
    clock = FakeClock()
    clock.advance(90)
    clock.advance(0.5)
    clock.advance(0)

    assert clock.now() == datetime(2000, 1, 1, 0, 1, 30, 500_000, tzinfo=UTC)
    assert clock.monotonic() == 90.5


def test_setting_back_moves_the_wall_clock_only() -> None:
    """Monotonic time never goes back."""
    clock = FakeClock()
    clock.advance(10)
    clock.set_back(timedelta(days=1))

    assert clock.now() == datetime(1999, 12, 31, 0, 0, 10, tzinfo=UTC)
    assert clock.monotonic() == 10


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (1e300, ValueError),
        (10**400, ValueError),
        ("1", TypeError),
        (None, TypeError),
        (timedelta(1), TypeError),
    ],
    ids=str,
)
def test_time_cannot_pass_by_what_is_no_duration(seconds: float, error: type[Exception]) -> None:
    """The error names the argument, and no time has passed."""
    clock = FakeClock()

    with pytest.raises(error, match="seconds"):
        clock.advance(seconds)

    assert clock.monotonic() == 0
    assert clock.now() == datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "error"),
    [(timedelta(-1), ValueError), (timedelta.max, ValueError), (1, TypeError), (None, TypeError)],
    ids=str,
)
def test_it_cannot_be_set_back_by_what_is_no_duration(
    duration: timedelta, error: type[Exception]
) -> None:
    """Nor to before there were dates."""
    clock = FakeClock()

    with pytest.raises(error, match="duration"):
        clock.set_back(duration)

    assert clock.now() == datetime(2000, 1, 1, tzinfo=UTC)


def test_it_needs_an_aware_start() -> None:
    """A naive moment is no moment."""
    with pytest.raises(ValueError, match="start"):
        FakeClock(datetime(2000, 1, 1))  # noqa: DTZ001
    with pytest.raises(TypeError, match="start"):
        FakeClock(0)  # type: ignore[arg-type]


# --- waiting


def test_advancing_wakes_exactly_what_is_due() -> None:
    """And nobody else."""
    clock = FakeClock()
    waiters = [Waiter(clock, deadline) for deadline in (1.0, 2.0, 3.0)]
    forever = Waiter(clock, None)
    clock.await_waiters(3)
    assert clock.deadlines() == [1.0, 2.0, 3.0]

    clock.advance(2)

    assert [waiter.call.result() for waiter in waiters[:2]] == [2.0, 2.0]
    assert not waiters[2].call.is_over
    assert not forever.call.is_over
    assert clock.deadlines() == [3.0]
    clock.advance(1)
    assert waiters[2].call.result() == 3.0
    with forever.condition:
        forever.condition.notify()
    forever.call.result()


def test_a_deadline_that_has_come_is_not_waited_for() -> None:
    """No wake-up is lost between looking and waiting."""
    clock = FakeClock()
    clock.advance(5)

    assert Waiter(clock, 5.0).call.result() == 5.0
    assert Waiter(clock, 1.0).call.result() == 5.0


def test_a_notification_ends_the_wait_early() -> None:
    """As with every clock."""
    clock = FakeClock()
    waiter = Waiter(clock, 10.0)
    await_deadline(clock, 10.0)
    with waiter.condition:
        waiter.condition.notify()

    assert waiter.call.result() == 0.0
    assert clock.deadlines() == []


def test_threads_on_one_condition_wait_for_their_own_deadlines() -> None:
    """Those that are not due wait on, as callers check again."""
    clock = FakeClock()
    condition = threading.Condition()

    def wait(deadline: float) -> float:
        with condition:
            while clock.monotonic() < deadline:
                clock.wait_until(condition, deadline)
            return clock.monotonic()

    calls = [Call(lambda d=deadline: wait(d)) for deadline in (1.0, 5.0)]  # type: ignore[misc]
    clock.await_waiters(2)
    clock.advance(1)
    assert calls[0].result() == 1.0
    await_deadline(clock, 5.0)
    assert not calls[1].is_over
    clock.advance(4)
    assert calls[1].result() == 5.0


def test_it_waits_for_waiters() -> None:
    """So that a test advances only when somebody waits; those without a deadline do not count."""
    clock = FakeClock()
    forever = Waiter(clock, None)
    call = Call(lambda: clock.await_waiters(2))
    first = Waiter(clock, 1.0)
    await_deadline(clock, 1.0)
    assert not call.is_over
    second = Waiter(clock, 1.0)
    call.result()
    clock.advance(1)
    first.call.result()
    second.call.result()
    with forever.condition:
        forever.condition.notify()
    forever.call.result()


def test_it_waits_for_nobody_at_once() -> None:
    """None is always there."""
    FakeClock().await_waiters(0)


def test_it_waits_for_those_with_a_deadline_far_away() -> None:
    """The queue's own threads wait for short ones; `advance` is to wake somebody else."""
    clock = FakeClock()
    clock.advance(0.1)  # sums are not exact from here on
    keeper = Waiter(clock, 0.5)
    await_deadline(clock, 0.5)
    call = Call(lambda: clock.await_waiters(at_least=0.7))
    with pytest.raises(TimeoutError, match=r"least 0\.7 seconds away; it is 0\.1, .* \[0\.5\]"):
        clock.await_waiters(at_least=0.7, timeout=0.01)
    assert not call.is_over
    sleeper = Waiter(clock, 0.1 + 0.7)
    call.result()
    clock.await_waiters(2)
    clock.advance(0.7)
    keeper.call.result()
    sleeper.call.result()


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_a_scan_that_sleeps_is_woken_whatever_the_queue_waits_for(
    store: str, tmp_path: Path
) -> None:
    """Its keeper waits to publish a report, or to look for other processes."""
    clock, scanner, gate = FakeClock(), FakeScanner(), threading.Event()
    scanner.on("music").reports(1).reports(2).does(lambda context: gate.wait(PATIENCE)).sleeps(60)
    its_store: TaskStore = SQLiteStore(tmp_path / "q.db") if store == "sqlite" else MemoryStore()
    with ScanQueueService(scanner, clock=clock, store=its_store) as queue:
        task_id = queue.submit_task("music")
        clock.await_waiters()  # the keeper
        Call(gate.set)
        clock.await_waiters(at_least=60)
        clock.advance(60)
        task = Call(lambda: queue.wait(task_id)).result()
    assert task.run_time == timedelta(seconds=60)


def test_waiting_for_waiters_in_vain_fails() -> None:
    """Instead of hanging."""
    with pytest.raises(TimeoutError, match="fewer than 1"):
        FakeClock().await_waiters(timeout=0.01)


def test_waiting_for_waiters_can_take_for_ever() -> None:
    """What no platform can wait is cut, not refused."""
    clock = FakeClock()
    call = Call(lambda: clock.await_waiters(timeout=float("inf")))
    waiter = Waiter(clock, 1.0)
    call.result()
    clock.advance(1)
    waiter.call.result()


@pytest.mark.parametrize("name", ["count", "at_least", "timeout"])
def test_who_is_waited_for_is_checked(name: str) -> None:
    """These are arguments like any other."""
    with pytest.raises(ValueError, match=name):
        FakeClock().await_waiters(**{name: -1})
    with pytest.raises(TypeError, match=name):
        FakeClock().await_waiters(**{name: None})  # type: ignore[arg-type]


def test_no_wake_up_is_lost_in_a_race() -> None:
    """A thread that begins to wait while the clock is advanced is woken all the same."""
    for _ in range(200):
        clock = FakeClock()
        waiter = Waiter(clock, 1.0)
        clock.advance(1)
        assert waiter.call.result() == 1.0
    await_that(lambda: clock.deadlines() == [])
