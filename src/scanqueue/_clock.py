"""The clock of the system: the only module that imports `time`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from scanqueue._sync import Condition

__all__ = ["SystemClock", "nanoseconds"]

nanoseconds = time.time_ns
"""Return the moment of the system, in nanoseconds since 1970."""

_LONGEST_WAIT = 86_400.0
"""A wait in seconds that every platform takes; longer ones wake up and wait on."""


class SystemClock:
    """The `Clock` of the operating system."""

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back; the wall clock being set does not change them."""
        return time.monotonic()

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        """Wait for a notification, at most until a moment of `monotonic`.

        Args:
            condition: The condition to wait on; the caller holds it.
            deadline: When to give up; None: never.
        """
        if deadline is None:
            condition.wait()
        else:
            condition.wait(min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT))
