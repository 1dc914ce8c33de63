"""Threads and locks: the only module that imports `threading`.

Everything that the library needs of them it takes from here, at the moment of use, so that a test
can put a scheduler of its own in their place.
"""

from __future__ import annotations

from threading import Condition, Event, Lock, Thread, current_thread, get_ident
from threading import enumerate as living_threads
from threading import local as Local  # noqa: N812 - a class with a lower-case name
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Condition",
    "Event",
    "Local",
    "Lock",
    "Mutex",
    "Thread",
    "await_release",
    "barge",
    "current_thread",
    "get_ident",
    "living_threads",
    "run_aside",
]

_MOMENT = 1e-6
"""Seconds: the shortest wait; the system makes some 50 microseconds of it."""

_never = Lock()
_never.acquire()  # by nobody: to wait for it is to wait for a moment


def _step_aside() -> None:
    _never.acquire(timeout=_MOMENT)


def barge(lock: Lock) -> None:
    """Acquire a lock that is held, without queueing for it.

    A thread that blocks on a lock is handed it while another one has the interpreter; whoever runs
    then blocks in its turn, and from there on every single acquisition costs two changes of
    thread: 0.3 to 1.6 of them a task, and up to twice the time. A thread that steps aside, and
    asks again when it has the interpreter, finds the lock free. Its holder never waits for
    anything but the interpreter, so this ends.

    Args:
        lock: The lock.
    """
    while not lock.acquire(False):  # by name it would cost twice as much
        _step_aside()


def await_release(lock: Lock) -> None:
    """Wait until nobody holds a lock, without queueing for it; see `barge`.

    Args:
        lock: The lock.
    """
    while lock.locked():
        _step_aside()


def run_aside(target: Callable[..., object], *arguments: object, name: str) -> Thread | None:
    """Call a function on a daemon thread of its own, or here if the system has no more threads.

    Args:
        target: The function.
        *arguments: What it is called with.
        name: What the thread is called.

    Returns:
        The thread; None when the function has returned already.
    """
    thread = Thread(target=target, args=arguments, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # out of threads, or the interpreter exits
        target(*arguments)
        return None
    return thread


class Mutex:
    """A lock for what is held for moments and wanted all the time; see `barge`.

    `with` finds the methods of the lock itself, written in C: Ctrl-C can come at the begin of a
    method written in Python, and so between the call of `__exit__` and the release. It is faster,
    too.
    """

    __slots__ = ("__exit__", "_lock")

    __exit__: Callable[..., None]

    def __init__(self) -> None:
        self._lock = Lock()
        self.__exit__ = self._lock.__exit__

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 - as `Lock` has it
        """Acquire it.

        Args:
            blocking: Whether to wait until it is free.

        Returns:
            Whether it was acquired.
        """
        acquired = self._lock.acquire(False)  # by name it would cost twice as much
        if acquired or not blocking:
            return acquired
        barge(self._lock)
        return True

    def release(self) -> None:
        """Release it."""
        self._lock.release()

    def locked(self) -> bool:
        """Return whether somebody holds it."""
        return self._lock.locked()

    @property
    def __enter__(self) -> Callable[[], bool]:
        """What acquires it, for `with`, once nobody holds it."""
        lock = self._lock
        if lock.locked():
            await_release(lock)
        return lock.__enter__

    def condition(self) -> Condition:
        """Return a new condition on it."""
        return Condition(cast("Lock", self))
