"""Clocks that each break one promise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from threading import Condition
from typing import Any

from scanqueue import SystemClock
from scanqueue.testing import FakeClock
from tests.testing.broken import Collection

broken_clocks: Collection[Callable[[], Any]] = Collection()
broken_fake_clocks: Collection[type[FakeClock]] = Collection()
HEARING = ("takes-far-deadlines", "loses-no-notification", "releases-the-condition")

breaks = broken_clocks.breaks
breaks_fake = broken_fake_clocks.breaks


@breaks("has-the-methods")
class CannotWait:
    """Only tells the time."""

    now = monotonic = time.time


@breaks("tells-utc")
class TellsLocalTime(SystemClock):
    """Is aware, but somewhere else."""

    def now(self) -> datetime:
        return datetime.now(timezone(timedelta(hours=2)))


@breaks("tells-utc")
class IsNaive(SystemClock):
    """Does not say where it is."""

    def now(self) -> datetime:
        return datetime.now()  # noqa: DTZ005 - that is what is broken


@breaks("tells-seconds")
class TellsFractions(SystemClock):
    """Is as exact as can be, and no float."""

    def monotonic(self) -> float:
        return Fraction(time.monotonic())  # type: ignore[return-value]


@breaks("never-goes-back")
class GoesBack(SystemClock):
    """Is set by its network every other time."""

    def __init__(self) -> None:
        self._calls = 0

    def monotonic(self) -> float:
        self._calls += 1
        return time.monotonic() - 0.001 * (self._calls % 2)


@breaks("returns-by-the-deadline", "holds-the-condition-on-return", "many-threads-wait")
class WaitsForNotifications(SystemClock):
    """Does not end a wait by itself."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is None or deadline > time.monotonic():
            condition.wait()


@breaks("past-deadline-returns", "holds-the-condition-on-return")
class MissesPastDeadlines(SystemClock):
    """Takes a deadline that has come for none."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        is_past = deadline is not None and deadline <= time.monotonic()
        super().wait_until(condition, None if is_past else deadline)


@breaks("none-waits-for-a-notification", "does-not-spin", "many-threads-wait")
class TakesNoneForNow(SystemClock):
    """Returns at once where there is no deadline, and lets nobody in meanwhile."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is not None:
            super().wait_until(condition, deadline)


@breaks("notifications-end-a-wait", *HEARING)
class SleepsUntilTheDeadline(SystemClock):
    """Hears no notification where there is a deadline; the condition is free meanwhile."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is None or deadline <= time.monotonic():
            super().wait_until(condition, deadline)
            return
        condition.release()
        threading.Event().wait(min(deadline - time.monotonic(), 60))
        condition.acquire()


@breaks("takes-far-deadlines")
class WaitsForPossibleTimesOnly(SystemClock):
    """Passes on to the system what that cannot take."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        condition.wait(deadline and max(0.0, deadline - time.monotonic()))


@breaks("releases-the-condition", "notifications-end-a-wait", *HEARING)
class KeepsTheCondition(SystemClock):
    """Sleeps with the condition in its hand, where there is a deadline."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is None:
            super().wait_until(condition, deadline)
        else:
            threading.Event().wait(max(0.0, min(deadline - time.monotonic(), 60)))


@breaks("holds-the-condition-on-return", "past-deadline-returns")
class LetsTheConditionGo(SystemClock):
    """Returns from a past deadline without the condition."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is not None and deadline <= time.monotonic():
            condition.release()
        else:
            super().wait_until(condition, deadline)


@breaks("many-threads-wait")
class ServesOneThread(SystemClock):
    """Has a single place to wait at."""

    def __init__(self) -> None:
        self._place = threading.Lock()

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if not self._place.acquire(blocking=False):
            raise RuntimeError("somebody waits already")
        try:
            super().wait_until(condition, deadline)
        finally:
            self._place.release()


@breaks("does-not-spin", "none-waits-for-a-notification", "many-threads-wait")
class Spins(SystemClock):
    """Looks all the time where there is no deadline."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is None:
            condition.wait(0.0)
        else:
            super().wait_until(condition, deadline)


@breaks(
    "loses-no-notification",
    *("none-waits-for-a-notification", "many-threads-wait", "does-not-spin"),
    "holds-the-condition-on-return",
)
class LosesNotifications(SystemClock):
    """Lets the condition go for a moment before it waits."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is None:
            condition.release()
            condition.acquire()
        super().wait_until(condition, deadline)


@breaks("does-not-spin")
class SpinsForFarDeadlines(SystemClock):
    """Looks all the time where the deadline is not near."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        is_far = deadline is not None and deadline > time.monotonic() + 1
        super().wait_until(condition, time.monotonic() if is_far else deadline)


@breaks("keeps-time")
class CountsMilliseconds(SystemClock):
    """Has a thousand of them in a second."""

    def monotonic(self) -> float:
        return time.monotonic() * 1000

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        super().wait_until(condition, deadline and deadline / 1000)


@breaks("keeps-time")
class StandsStill(SystemClock):
    """Knows when it was made."""

    def __init__(self) -> None:
        self._start = super().now()

    def now(self) -> datetime:
        return self._start


# --- clocks that are moved by hand ---


@breaks_fake("moves")
class DropsFractions(FakeClock):
    """Moves by whole seconds."""

    def advance(self, seconds: float) -> None:
        super().advance(int(seconds))


@breaks_fake("moves")
class MovesTwice(FakeClock):
    """Its wall clock moves by what it is moved, and by what `monotonic` is."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.monotonic())


@breaks_fake("many-threads-wait", "returns-by-the-deadline")
class WakesOneCondition(FakeClock):
    """Remembers who came last."""

    last: Condition | None = None

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        if self.last is not None:
            with self.last:
                self.last.notify_all()

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        self.last = condition
        if deadline is None or deadline > self.monotonic():
            condition.wait()


@breaks_fake("moves")
class MovesOneHandOnly(FakeClock):
    """Its wall clock stands still."""

    def __init__(self) -> None:
        super().__init__()
        self._start = super().now()

    def now(self) -> datetime:
        return self._start


@breaks_fake(
    "loses-no-deadline", "loses-no-notification", *("returns-by-the-deadline", "many-threads-wait")
)
class LosesDeadlines(FakeClock):
    """Looks at the deadline, and lets the condition go for a moment before it waits."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        if deadline is None:
            super().wait_until(condition, deadline)
        elif deadline > self.monotonic():
            condition.release()
            condition.acquire()
            is_past = deadline <= self.monotonic()
            super().wait_until(condition, None if is_past else deadline)
