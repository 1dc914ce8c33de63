"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

from scanqueue import _sync
from scanqueue._validate import check_duration, check_int, check_moment, check_seconds, wrong_value

__all__ = ["FakeClock"]

PATIENCE = 10.0
"""Real seconds after which a test that waits in vain fails instead of hanging."""

LONGEST_WAIT = 86_400.0
"""Real seconds that every platform can wait."""


@attrs.define(eq=False)
class _Waiter:
    condition: _sync.Condition
    deadline: float | None


class FakeClock:
    """A `Clock` for tests: time passes only when `advance` says so.

    >>> clock = FakeClock()
    >>> before = clock.now()
    >>> clock.advance(90)
    >>> clock.now() - before
    datetime.timedelta(seconds=90)

    Whoever waits does so for a deadline, not for a duration, so no wake-up is lost: a thread that
    begins to wait after its deadline was passed does not wait at all.

    Thread-safety: every method may be called from any thread.

    Args:
        start: The moment at which it begins; aware.

    Raises:
        TypeError: `start` is not a datetime.
        ValueError: `start` is naive.
    """

    def __init__(self, start: datetime = datetime(2000, 1, 1, tzinfo=UTC)) -> None:
        self._now = check_moment("start", start).astimezone(UTC)
        self._monotonic = 0.0
        self._lock = _sync.Lock()
        """Protects all fields; no other lock is taken while it is held."""
        self._changed = _sync.Condition(self._lock)
        self._waiters: list[_Waiter] = []

    def now(self) -> datetime:
        """Return the moment, in UTC."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Return how many seconds `advance` has let pass."""
        with self._lock:
            return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake those whose deadline has come with it.

        Who waits on a condition that nobody with such a deadline waits on is not woken. Others on
        the same condition are: as with every clock, they look, and wait again.

        Args:
            seconds: How much.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative or NaN, or leads beyond the year 9999.
        """
        seconds = check_seconds("seconds", seconds)
        with self._lock:
            try:
                self._now += timedelta(seconds=seconds)
            except OverflowError:
                wrong_value("seconds", seconds, "a time that leads to a possible date")
            self._monotonic += seconds
            due = {
                id(waiter.condition): waiter.condition
                for waiter in self._waiters
                if waiter.deadline is not None and waiter.deadline <= self._monotonic
            }
        for condition in due.values():
            with condition:
                condition.notify_all()

    def set_back(self, duration: timedelta) -> None:
        """Set the wall clock back, as an operator or NTP would; the monotonic one goes on.

        Args:
            duration: By how much.

        Raises:
            TypeError: `duration` is not a timedelta.
            ValueError: `duration` is negative, or leads before the year 1.
        """
        check_duration("duration", duration)
        with self._lock:
            try:
                self._now -= duration
            except OverflowError:
                wrong_value("duration", duration, "a time that leads to a possible date")

    def wait_until(self, condition: _sync.Condition, deadline: float | None) -> None:
        """Wait for a notification, at most until `advance` reaches the deadline.

        Args:
            condition: The condition to wait on; the caller holds it.
            deadline: When to give up; None: never.
        """
        waiter = _Waiter(condition, deadline)
        with self._lock:
            if deadline is not None and deadline <= self._monotonic:
                return
            self._waiters.append(waiter)
            self._changed.notify_all()
        try:
            condition.wait()
        finally:
            with self._lock:
                self._waiters.remove(waiter)
                self._changed.notify_all()

    def deadlines(self) -> list[float]:
        """Return the deadlines that are waited for, soonest first."""
        with self._lock:
            return self._deadlines()

    def await_waiters(
        self, count: int = 1, *, at_least: float = 0.0, timeout: float = PATIENCE
    ) -> None:
        """Wait, in real time, until so many threads wait for a deadline of this clock.

        What `advance` is to wake must wait first: call this in between. A queue has threads of its
        own, which wait for short deadlines: to publish a report, to look for other processes, to
        try again after a failure. With `at_least`, those do not count:

        >>> from scanqueue import ScanQueueService
        >>> from scanqueue.testing import FakeScanner
        >>> clock, scanner = FakeClock(), FakeScanner()
        >>> scanner.on("music").sleeps(3600).returns()
        >>> with ScanQueueService(scanner, clock=clock) as queue:
        ...     task_id = queue.submit_task("music")
        ...     clock.await_waiters(at_least=3600)
        ...     clock.advance(3600)
        ...     print(queue.wait(task_id).run_time)
        1:00:00

        Args:
            count: How many, at least.
            at_least: Count only those whose deadline is so many seconds away, or more.
            timeout: How long to wait, in real seconds.

        Raises:
            TimeoutError: There were fewer, all the time.
            TypeError: `count` is not an int, or another argument not a number.
            ValueError: `count` is negative, or another argument negative or NaN.
        """
        check_int("count", count)
        at_least = check_seconds("at_least", at_least)
        timeout = check_patience(timeout)
        with self._lock:
            if not self._changed.wait_for(lambda: self._waiting(at_least) >= count, timeout):
                message = (
                    f"fewer than {count} threads wait for a deadline of the clock that is at least"
                    f" {at_least} seconds away; it is {self._monotonic}, and they wait for"
                    f" {self._deadlines()}"
                )
                raise TimeoutError(message)

    def _waiting(self, at_least: float) -> int:
        """Return how many wait for a deadline so far away. Requires the lock."""
        earliest = self._monotonic + at_least  # summed up as by who waits, so that they are equal
        return sum(deadline >= earliest for deadline in self._deadlines())

    def _deadlines(self) -> list[float]:
        """Return the deadlines that are waited for, soonest first. Requires the lock."""
        return sorted(w.deadline for w in self._waiters if w.deadline is not None)


def check_patience(timeout: float) -> float:
    """Return how long to wait in real time, cut to what the platform can.

    Args:
        timeout: How long, in seconds.

    Raises:
        TypeError: `timeout` is not a number.
        ValueError: `timeout` is negative or NaN.
    """
    return min(check_seconds("timeout", timeout), LONGEST_WAIT)
