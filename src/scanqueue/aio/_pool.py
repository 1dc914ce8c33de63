"""Daemon threads that come when there is something to call, and go when there is not.

An executor of `concurrent.futures` joins its threads when the interpreter exits, so a call that
hangs in a store would hang the exit.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

LINGER = 1.0
"""Real seconds for which a thread stays when there is nothing to call."""


class Pool:
    """A few daemon threads that call functions in the order in which they come.

    Thread-safety: any thread.

    Args:
        names: What to call the threads; there are never more of them.
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
        self._functions: deque[Callable[[], object]] = deque()
        """What to call."""

    def submit(self, function: Callable[[], object]) -> None:
        """Have a function called.

        Args:
            function: It must not raise.

        Raises:
            RuntimeError: No thread could be started; it will not be called.
        """
        with self._lock:
            if self._free_names and self._idle <= len(self._functions):
                name = min(self._free_names)
                _sync.Thread(target=self._run, args=(name,), name=name, daemon=True).start()
                self._free_names.remove(name)
            self._functions.append(function)
            self._arrivals.notify()

    def _run(self, name: str) -> None:
        while function := self._next(name):
            function()
            del function  # and what it keeps alive, while this thread waits

    def _next(self, name: str) -> Callable[[], object] | None:
        """Return what to call next, or None when the thread is to end."""
        clock = SystemClock()
        deadline = clock.monotonic() + LINGER
        with self._lock:
            self._idle += 1
            while not self._functions and clock.monotonic() < deadline:
                clock.wait_until(self._arrivals, deadline)
            self._idle -= 1
            if self._functions:
                return self._functions.popleft()
            self._free_names.add(name)
            return None
