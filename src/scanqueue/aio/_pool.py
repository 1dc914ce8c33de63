"""Daemon threads that come when there is something to call, and go when there is not.

An executor of `concurrent.futures` joins its threads when the interpreter exits, so a call that
hangs in a store would hang the exit.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

LINGER = 1.0
"""Real seconds for which a thread stays when there is nothing to call."""


class Pool:
    """A few daemon threads that call functions in the order in which they come.

    Some functions are slow: they may have to wait for long. One thread is always there for the
    others.

    Thread-safety: any thread.

    Args:
        names: What to call the threads, two at least; there are never more of them.
    """

    def __init__(self, *names: str) -> None:
        self._lock = _sync.Mutex()
        """Protects the fields below; held for moments."""
        self._arrivals = self._lock.condition()
        """Idle threads wait here."""
        self._free_names = set(names)
        """Those of threads that are not there."""
        self._idle = 0
        """Threads that wait, or were woken and have not looked yet."""
        self._waiting: dict[bool, deque[tuple[int, Callable[[], object]]]]
        self._waiting = {True: deque(), False: deque()}
        """What to call, with its number: what is slow, and the others."""
        self._numbers = count()
        self._slow_left = len(names) - 1
        """How many more of the slow ones can be called now."""

    def submit(self, function: Callable[[], object], *, is_slow: bool = False) -> None:
        """Have a function called.

        Args:
            function: It must not raise.
            is_slow: Whether it may have to wait for long, for a disk or for another process.

        Raises:
            RuntimeError: No thread could be started; it will not be called.
        """
        with self._lock:
            if self._free_names and self._idle <= sum(map(len, self._waiting.values())):
                name = min(self._free_names)
                _sync.Thread(target=self._run, args=(name,), name=name, daemon=True).start()
                self._free_names.remove(name)
            self._waiting[is_slow].append((next(self._numbers), function))
            self._arrivals.notify()

    def _run(self, name: str) -> None:
        is_slow = False
        while found := self._next(name, was_slow=is_slow):
            is_slow, function = found
            function()
            del function, found  # and what they keep alive, while this thread waits

    def _next(self, name: str, *, was_slow: bool) -> tuple[bool, Callable[[], object]] | None:
        """Return what to call next, or None when the thread is to end.

        Args:
            name: The thread's.
            was_slow: Whether what it has called was slow.
        """
        clock = SystemClock()
        deadline = clock.monotonic() + LINGER
        with self._lock:
            self._slow_left += was_slow
            self._idle += 1
            while (is_slow := self._kind()) is None and clock.monotonic() < deadline:
                clock.wait_until(self._arrivals, deadline)
            self._idle -= 1
            if is_slow is not None:
                self._slow_left -= is_slow
                return is_slow, self._waiting[is_slow].popleft()[1]
            self._free_names.add(name)
            return None

    def _kind(self) -> bool | None:
        """Return of which kind the first is that can be called now, or None. Requires the lock."""
        heads = {
            waiting[0][0]: is_slow
            for is_slow, waiting in self._waiting.items()
            if waiting and (self._slow_left or not is_slow)
        }
        return heads[min(heads)] if heads else None
