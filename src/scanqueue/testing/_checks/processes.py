"""Other processes, as the checks need them: forked, and killed."""

from __future__ import annotations

import os
import select
import signal
import warnings
from typing import TYPE_CHECKING, Final

from scanqueue._text import describe_error
from scanqueue.testing._checks.running import Unkept

if TYPE_CHECKING:
    from collections.abc import Callable

CAN_FORK: Final = hasattr(os, "fork")

_FINE = b"fine"


class Signal:
    """What one process says and another one hears, once; made before the fork."""

    def __init__(self) -> None:
        self._hears, self._says = os.pipe()

    def give(self) -> None:
        """Say it."""
        os.write(self._says, b"!")

    def wait(self, seconds: float | None) -> bool:
        """Wait until it is said, at most so long; return whether it was.

        Args:
            seconds: How long, in real time; None: until the child that waits is killed.
        """
        return bool(select.select([self._hears], [], [], seconds)[0])

    def close(self) -> None:
        """Give it up."""
        os.close(self._hears)
        os.close(self._says)


class Child:
    """A forked child that makes one call, says how it went, and then lives until it is killed.

    Args:
        call: What it calls.
        patience: Real seconds that the call may take.
    """

    def __init__(self, call: Callable[[], object], patience: float) -> None:
        self._patience = patience
        self._hears, says = os.pipe()
        lives, self._keeps_alive = os.pipe()
        with warnings.catch_warnings():
            # From 3.12 on, a fork beside other threads warns. That is what is to be tried out.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:  # pragma: no cover - in forked children only
            os.close(self._keeps_alive)
            _live(call, says, lives)
        os.close(says)
        os.close(lives)

    def outcome(self) -> str:
        """Wait for its call, and return what that raised, as a text; "" for nothing."""
        ready, _, _ = select.select([self._hears], [], [], self._patience)
        if not ready:
            raise Unkept(f"a forked child was not done after {self._patience:g} seconds")
        said = os.read(self._hears, 10_000)
        return "" if said == _FINE else said.decode() or "the child is gone"

    def kill(self) -> None:
        """Kill it, as hard as the system can; a second time does nothing."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._hears)
            os.close(self._keeps_alive)
            self._pid = 0


def _live(
    call: Callable[[], object], says: int, lives: int
) -> None:  # pragma: no cover - in forked children only
    """Make the call, say how it went, and wait until the parent is gone."""
    try:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the parent judges it
            os.write(says, describe_error(error).encode())
        else:
            os.write(says, _FINE)
        os.read(lives, 1)
    finally:
        os._exit(0)
