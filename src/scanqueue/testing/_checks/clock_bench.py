"""What a check of a clock works on, and threads that wait by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from scanqueue import _sync
from scanqueue.protocols import Clock
from scanqueue.testing._checks.running import expect
from scanqueue.testing._checks.threads import MOMENT, Aside

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound=Clock)

HOUR: Final = 3600.0
"""Seconds that no check takes."""
_TOO_MANY: Final = 10_000
"""So often no wait returns early: the thread must not be left behind at it, and never end."""


class ClockBench(Generic[C]):
    """A clock, and the means to let a short time pass on it.

    Args:
        make_clock: Makes the clock.
        advance: Moves one that does not move by itself.
    """

    def __init__(
        self, make_clock: Callable[[], C], advance: Callable[[C, float], object] | None
    ) -> None:
        self.clock: C = make_clock()
        self._advance = advance
        self.shortly: float = MOMENT if advance is None else 60.0
        """Seconds, by the clock, that a check can let pass."""

    def let_pass(self, seconds: float | None = None) -> None:
        """Let that time pass, or at least begin to.

        Args:
            seconds: How much, where the clock is moved by hand; None: what `shortly` says.
        """
        if self._advance is not None:
            self._advance(self.clock, self.shortly if seconds is None else seconds)

    def clear(self) -> None:
        """Do nothing: a clock holds nothing."""


class Waiting:
    """A thread that waits as the library does: it looks, and waits again until it may go.

    Args:
        clock: The clock.
        deadline: When it may go; None: never.
        condition: What it waits on; None: a new one.
    """

    def __init__(
        self, clock: Clock, deadline: float | None, condition: _sync.Condition | None = None
    ) -> None:
        self.condition: _sync.Condition = condition or _sync.Condition()
        self.may_go: bool = False
        self.returns: int = 0
        """How often `wait_until` has returned."""
        self._clock = clock
        self._deadline = deadline
        self._holds = _sync.Event()
        self._thread = Aside(self._wait)
        self._holds.wait()

    def _wait(self) -> None:
        with self.condition:
            self._holds.set()  # so who gets the condition from now on finds it waiting
            while not (self.may_go or self._is_past()):
                self._clock.wait_until(self.condition, self._deadline)
                self.returns += 1
                expect(self.returns < _TOO_MANY, f"for nothing, it returned {_TOO_MANY} times")

    def _is_past(self) -> bool:
        return self._deadline is not None and self._clock.monotonic() >= self._deadline

    def let_go(self) -> None:
        """Let it go, and tell it so."""
        with self.condition:
            self.may_go = True
            self.condition.notify_all()

    def end(self) -> None:
        """Wait until it has gone; the check's deadline bounds it."""
        self._thread.result()


class Handing:
    """A lock that, once, has something happen on another thread as soon as it is released.

    Args:
        action: What happens.
    """

    def __init__(self, action: Callable[[], object]) -> None:
        self._lock = _sync.Lock()
        self._action = action
        self._actions: list[Callable[[], object]] = []

    def arm(self) -> None:
        """Have it happen at the next release."""
        self._actions.append(self._action)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as `Lock` has it
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        self._lock.release()
        if self._actions:
            Aside(self._actions.pop()).result()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


def wait_handing(
    clock: Clock, deadline: float | None, action: Callable[[_sync.Condition], object]
) -> None:
    """Wait once, where something happens in the very moment in which the condition is let go."""

    def act() -> None:
        action(condition)

    lock = Handing(act)
    condition = _sync.Condition(lock)  # type: ignore[arg-type]  # it does what a lock does
    with condition:
        lock.arm()
        clock.wait_until(condition, deadline)
