"""What a store has to log, kept back until no transaction is open."""

from __future__ import annotations

from collections import deque
from logging import ERROR, WARNING, getLogger
from typing import TYPE_CHECKING

from scanqueue._logs import log

if TYPE_CHECKING:
    from collections.abc import Callable

logger = getLogger(__name__)

_UNREADABLE = "a record cannot be read; it is passed over"
_SHORT_LOG = "the log could not be made longer; submissions take longer for it"


class Reports:
    """What is to be logged outside of all transactions.

    A handler of the host is code of the host: it may take its time, or ask the queue something.
    """

    def __init__(self) -> None:
        self._unreadable: set[tuple[str, int]] = set()
        self._news: deque[Callable[[], None]] = deque()

    def note_unreadable(self, path: str, kind: str, number: int, error: Exception) -> None:
        """Keep in mind that a record cannot be read, once for each."""
        if (kind, number) in self._unreadable:
            return
        self._unreadable.add((kind, number))
        self._news.append(
            lambda: log(logger, ERROR, _UNREADABLE, error, path=path, table=kind, seq=number)
        )

    def note_short_log(self, path: str, error: Exception) -> None:
        """Keep in mind that the log of a database could not be made longer."""
        self._news.append(lambda: log(logger, WARNING, _SHORT_LOG, error, path=path))

    def tell(self) -> None:
        """Log what is new; the caller is in no transaction."""
        while self._news:
            try:
                tell = self._news.popleft()
            except IndexError:  # pragma: no cover - another thread was first
                return
            tell()
