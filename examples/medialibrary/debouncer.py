"""Gathers what changes until it is quiet: pure, it knows no clock, thread or file."""

from __future__ import annotations

from scanqueue import ScanScope


class Debouncer:
    """The paths of one library that have changed, and when they are to be scanned.

    >>> debouncer = Debouncer(quiet=10, longest=300)
    >>> debouncer.add("Bach/Motets", now=0)
    >>> debouncer.add("Bach", now=8)
    >>> debouncer.due(now=17)
    >>> debouncer.due(now=18).paths
    ('Bach',)

    Thread-safety: none.

    Args:
        quiet: Seconds without a change after which they are due.
        longest: Seconds since the first of them after which they are due in any case.
        cap: With more paths than this, the whole library is due.
    """

    def __init__(self, quiet: float = 10.0, longest: float = 300.0, cap: int = 100) -> None:
        self._quiet = quiet
        self._longest = longest
        self._cap = cap
        self._scope: ScanScope | None = None
        self._first = self._last = 0.0

    def add(self, path: str, now: float) -> None:
        """Take note of a change.

        Args:
            path: What to scan, inside the library; `""` is all of it.
            now: The time, in seconds.
        """
        scope = ScanScope(paths=[path])
        if self._scope is None:
            self._first = now
        else:
            scope = self._scope.union(scope)  # a path absorbs those below it
        self._last = now
        self._scope = scope if len(scope.paths) <= self._cap else ScanScope()

    def due(self, now: float) -> ScanScope | None:
        """Return what is to be scanned now, and forget it; None: nothing yet.

        Args:
            now: The time, in seconds; `math.inf` for all that there is.
        """
        if self._scope is None or now < min(self._last + self._quiet, self._first + self._longest):
            return None
        scope, self._scope = self._scope, None
        return scope
