"""Scans each library from time to time: with APScheduler."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from scanqueue import EndReason, ScanQueueError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scanqueue import LibraryId, ScanQueueService, ScanTask

logger = logging.getLogger(__name__)

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LOOK_AGAIN = timedelta(minutes=5)
"""When to look again at a library whose scan has not ended yet, or was refused; at the latest."""
OVERDUE_JITTER = timedelta(minutes=1)
"""The longest random time that a library waits which is overdue, or was never scanned."""
RECENT = 16
"""How many of a library's ended tasks to look at first."""


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Schedule:
    """Asks for a NORMAL scan of each library, so long after the end of the last one.

    What the queue's history has is all that it knows. So a restart changes nothing, and a scan that
    a person has asked for counts, too. The history must be kept for longer than the interval.

    Thread-safety: every method may be called from any thread.

    Args:
        queue: Where to submit.
        library_ids: What to scan.
        every: How long after the end of a scan the next one begins.
        retry: The same, if the library was unavailable and this is shorter.
        jitter: Each waits for a random time up to this, so that not all begin at once; a tenth of
            `every` when None. What is overdue waits for a minute at most.
        now: The time.
    """

    def __init__(
        self,
        queue: ScanQueueService,
        library_ids: Iterable[LibraryId],
        every: timedelta,
        *,
        retry: timedelta = timedelta(minutes=15),
        jitter: timedelta | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._queue = queue
        self._every = every
        self._retry = retry
        self._now = now
        self._scheduler = BackgroundScheduler(timezone=UTC)
        most = every / 10 if jitter is None else jitter
        for library_id in library_ids:
            self._scheduler.add_job(
                self.scan_if_due,
                AfterLastScan(partial(self.due_at, library_id), most, min(every, LOOK_AGAIN)),
                args=[library_id],
                misfire_grace_time=None,  # better late than never
            )

    def start(self) -> None:
        """Start to submit what is due."""
        self._scheduler.start()

    def stop(self) -> None:
        """End; what was submitted stays so."""
        self._scheduler.shutdown()

    def due_at(self, library_id: LibraryId) -> datetime:
        """Return when a library is to be scanned.

        Raises:
            StoreError: The history cannot be read.
        """
        history = self._queue.list_history(RECENT, library_id=library_id)
        if all(task.scope.paths for task in history):  # a file watcher was busy
            history = self._queue.list_history(library_id=library_id)
        return next_scan_at(history, self._now(), self._every, self._retry)

    def scan_if_due(self, library_id: LibraryId) -> None:
        """Submit a library, unless it was scanned since this was planned."""
        try:
            if self.due_at(library_id) <= self._now():
                self._queue.submit(library_id)  # joins the task that is there, if one is
        except ScanQueueError as error:  # it is full, closed, or its disk is
            logger.warning("cannot submit library %r: %r", library_id, error)


class AfterLastScan(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Fires when a library is due, and until it has been scanned, now and then.

    Args:
        due_at: Returns when it is due.
        jitter: Each time is later by a random time up to this; if it is overdue, by a minute at
            most.
        look_again: How long after a time the next one is, if the library is due still.
    """

    def __init__(
        self,
        due_at: Callable[[], datetime],
        jitter: timedelta,
        look_again: timedelta = LOOK_AGAIN,
    ) -> None:
        self._due_at = due_at
        self._jitter = jitter
        self._look_again = look_again

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return when to fire, as APScheduler asks at the start and after each time.

        Args:
            previous_fire_time: The time before, if there was one.
            now: The time.
        """
        # An exception in here would end the scheduler.
        try:
            due = self._due_at()
        except StoreError as error:
            logger.warning("cannot read the history: %r", error)
            return now + self._look_again
        jitter = self._jitter if due > now else min(self._jitter, OVERDUE_JITTER)
        if previous_fire_time is not None:
            due = max(due, previous_fire_time + self._look_again)
        later: datetime = self._apply_jitter(max(due, now), jitter.total_seconds(), now)
        return later


def next_scan_at(
    history: Iterable[ScanTask], now: datetime, every: timedelta, retry: timedelta
) -> datetime:
    """Return when a library is to be scanned, as its last scan says.

    Scans of some folders do not count, or a busy file watcher would put the others off for ever.
    It does not matter how a scan ended: one during which the process died could kill the next
    process, too.

    Args:
        history: The ended tasks of the library, latest end first.
        now: The time; a clock that was wrong may have recorded ends that are yet to come.
        every: How long after the end of a scan the next one begins.
        retry: The same, if the library was unavailable and this is shorter.
    """
    last = next((task for task in history if not task.scope.paths), None)
    if last is None or last.completed_at is None:
        return LONG_AGO
    wait = min(every, retry) if last.reason is EndReason.UNAVAILABLE else every
    return min(last.completed_at, now) + wait
