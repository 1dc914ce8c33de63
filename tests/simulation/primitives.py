"""What `scanqueue._sync` gives the library, on a scheduler.

Each acquisition, each release, and each look at an event is a point of the scheduler, and so is
the start of a thread. The one before an acquisition and the one after a release are enough to have
any other thread come in between. A lock that is released is up for grabs, as those of Python are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from tests.simulation.scheduler import Scheduler, SimThread


class Lockable(Protocol):
    """What a condition needs of its lock."""

    def acquire(self, blocking: bool = True) -> bool:
        """Acquire it."""

    def release(self) -> None:
        """Release it."""


class SimLock:
    """A `threading.Lock`."""

    __slots__ = ("_number", "_scheduler", "_waiting", "is_held")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._number = scheduler.number()
        self._waiting: list[SimThread] = []
        self.is_held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it, or wait until somebody else lets go."""
        scheduler = self._scheduler
        scheduler.point("acquire", self._number)
        if not self.is_held:
            self.is_held = True
            return True
        if not blocking:
            return False
        deadline = None if timeout < 0 else scheduler.time + timeout
        while self._is_taken():
            left = None if deadline is None else deadline - scheduler.time
            thread = scheduler.running()
            self._waiting.append(thread)
            if not scheduler.block(f"lock {self._number}", left) and thread in self._waiting:
                self._waiting.remove(thread)
                return False
        self.is_held = True
        return True

    def _is_taken(self) -> bool:
        return self.is_held and not self._scheduler.is_over

    def release(self) -> None:
        """Release it; whoever waits tries again."""
        scheduler = self._scheduler
        if not self.is_held and not scheduler.is_over:
            raise RuntimeError("release unlocked lock")
        self.is_held = False
        if self._waiting:
            for thread in self._waiting:
                scheduler.wake(thread)
            self._waiting.clear()
        if not scheduler.is_over:
            scheduler.point("release", self._number)

    def locked(self) -> bool:
        """Return whether somebody holds it."""
        return self.is_held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class SimCondition:
    """A `threading.Condition`: first come, first notified, and no spurious wake-ups."""

    def __init__(self, scheduler: Scheduler, lock: Lockable) -> None:
        self._scheduler = scheduler
        self._number = scheduler.number()
        self._lock = lock
        self.acquire = lock.acquire
        self.release = lock.release
        self._waiting: deque[SimThread] = deque()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Let the lock go, wait for a notification, and take the lock again."""
        thread = self._scheduler.running()
        self._waiting.append(thread)
        self._lock.release()
        woken = True
        if thread in self._waiting:  # else it was notified in between
            woken = self._scheduler.block(f"condition {self._number}", timeout)
            if not woken and thread in self._waiting:
                self._waiting.remove(thread)
        self._lock.acquire()
        return woken

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object:
        """Wait until a predicate is true."""
        deadline = None if timeout is None else self._scheduler.time + timeout
        while not (result := predicate()):
            left = None if deadline is None else deadline - self._scheduler.time
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    def notify(self, n: int = 1) -> None:
        """Wake those who have waited longest."""
        for _ in range(min(n, len(self._waiting))):
            self._scheduler.wake(self._waiting.popleft())

    def notify_all(self) -> None:
        """Wake all."""
        self.notify(len(self._waiting))


class SimEvent:
    """A `threading.Event`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._number = scheduler.number()
        self._waiting: list[SimThread] = []
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether it is set."""
        self._scheduler.point("is_set", self._number)
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._is_set = True
        for thread in self._waiting:
            self._scheduler.wake(thread)
        self._waiting.clear()
        self._scheduler.point("set", self._number)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set."""
        scheduler = self._scheduler
        scheduler.point("wait", self._number)
        if not self._is_set:
            thread = scheduler.running()
            self._waiting.append(thread)
            if not scheduler.block(f"event {self._number}", timeout) and thread in self._waiting:
                self._waiting.remove(thread)
        return self._is_set


class SimLocal:
    """A `threading.local`."""

    def __init__(self, scheduler: Scheduler) -> None:
        fields: dict[int, dict[str, object]] = {}
        vars(self)["_of"] = lambda: fields.setdefault(scheduler.running().number, {})

    def __getattr__(self, name: str) -> object:
        try:
            found: object = vars(self)["_of"]()[name]
        except KeyError:
            raise AttributeError(name) from None
        return found

    def __setattr__(self, name: str, value: object) -> None:
        vars(self)["_of"]()[name] = value


class WorldThread:
    """A `threading.Thread`."""

    def __init__(
        self,
        scheduler: Scheduler,
        target: Callable[..., object],
        args: Iterable[object] = (),
        name: str = "thread",
    ) -> None:
        self._scheduler = scheduler
        self._target = target
        self._args = tuple(args)
        self.name = name
        self._thread: SimThread | None = None

    @property
    def ident(self) -> int | None:
        """Its number, from its start on."""
        return None if self._thread is None else self._thread.number

    def start(self) -> None:
        """Have it run, now or later."""
        self._thread = self._scheduler.spawn(lambda: self._target(*self._args), self.name)
        self._thread.known_as = self
        self._scheduler.point("start", self._thread.number)

    def is_alive(self) -> bool:
        """Return whether it was started and is not over."""
        return self._thread is not None and not self._thread.is_over

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is over."""
        assert self._thread is not None
        self._scheduler.join(self._thread, timeout)
