"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

from scanqueue import _sync
from scanqueue._validate import check_duration, check_int, check_moment, check_seconds, wrong_value

__all__ = ["FakeClock"]

PATIENCE = 10.0
"""Real seconds after which a test that waits in vain fails instead of hanging."""


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
            return sorted(w.deadline for w in self._waiters if w.deadline is not None)

    def await_waiters(self, count: int = 1) -> None:
        """Wait, in real time, until at least so many threads wait for a deadline of this clock.

        What `advance` is to wake must wait first: call this in between.

        Args:
            count: How many.

        Raises:
            TimeoutError: There were fewer after 10 real seconds.
        """
        check_int("count", count)
        with self._lock:
            ready = self._changed.wait_for(
                lambda: sum(w.deadline is not None for w in self._waiters) >= count, PATIENCE
            )
        if not ready:
            message = f"fewer than {count} threads wait for a deadline of the clock"
            raise TimeoutError(message)
