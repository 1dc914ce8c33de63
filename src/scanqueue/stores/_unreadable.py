"""What was found to be unreadable, and is still to be logged."""

from __future__ import annotations

from collections import deque
from logging import ERROR, getLogger

from scanqueue._logs import log

logger = getLogger(__name__)


class Unreadable:
    """The records that cannot be read: each is logged once, and outside of all transactions.

    A handler of the host is code of the host: it may take its time, or ask the queue something.
    """

    def __init__(self) -> None:
        self._known: set[tuple[str, int]] = set()
        self._news: deque[tuple[Exception, dict[str, object]]] = deque()

    def note(self, path: str, kind: str, number: int, error: Exception) -> None:
        """Keep a record in mind."""
        if (kind, number) not in self._known:
            self._known.add((kind, number))
            self._news.append((error, {"path": path, "table": kind, "seq": number}))

    def tell(self) -> None:
        """Log what is new; the caller is in no transaction."""
        while self._news:
            try:
                error, data = self._news.popleft()
            except IndexError:  # pragma: no cover - another thread was first
                return
            log(logger, ERROR, "a record cannot be read; it is passed over", error, **data)
