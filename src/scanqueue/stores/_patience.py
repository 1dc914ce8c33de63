"""Waiting for what others hold for a moment, and what does not wait by itself."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar

from scanqueue import _sync

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds that anybody waits for another process."""

_RETRY_INTERVAL = 0.01
"""Seconds between two tries."""


def patiently(attempt: Callable[[], T]) -> T:
    """Call what fails at once while others hold a lock, until they let it or time is up.

    Args:
        attempt: What fails while somebody holds a lock.

    Returns:
        What it returns.

    Raises:
        BlockingIOError: Time is up.
        sqlite3.OperationalError: Time is up, or it failed for another reason.
    """
    for _ in range(round(BUSY_TIMEOUT / _RETRY_INTERVAL)):
        try:
            return attempt()
        except (sqlite3.OperationalError, BlockingIOError) as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY)
            if code & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        _sync.Event().wait(_RETRY_INTERVAL)
    return attempt()
