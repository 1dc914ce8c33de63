"""Where the threads of one service meet: a lock, what they wait on, and what they counted."""

from __future__ import annotations

from logging import ERROR, getLogger
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._logs import log
from scanqueue.models import EndReason, SubmitOutcome, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scanqueue.protocols import Clock
    from scanqueue.records import TaskRecord

logger = getLogger(__name__)

CLOCK_RETRY = 1.0
"""Real seconds until a clock that has failed is asked again."""


class Hub:
    """One lock and three conditions on it.

    Nobody looks into the store while holding the lock. Whoever waits reads a sequence number
    first, looks second, and waits third, unless the number has moved in between; whoever changes
    the queue commits first and moves the number second. So no wake-up is lost. No other lock of
    the library is ever taken while this one is held, only what a clock has of its own; it may be
    taken inside a transaction, to count.
    """

    def __init__(self) -> None:
        self.lock: _sync.Mutex = _sync.Mutex()
        """Protects every field below. Held for moments, never during user code or I/O."""
        self.work: _sync.Condition = self.lock.condition()
        """Idle workers wait here for something to claim."""
        self.news: _sync.Condition = self.lock.condition()
        """Everybody else waits here for a change."""
        self.chores: _sync.Condition = self.lock.condition()
        """The keeper waits here for something to publish."""
        self.work_seq: int = 0
        """Moves whenever something may have become claimable."""
        self.news_seq: int = 0
        """Moves whenever those who wait are to look again: with every change, and see `nudge`."""
        self.changes_seq: int = 0
        """Moves with every change."""
        self.chores_seq: int = 0
        """Moves whenever the keeper may have something to do."""
        self.workers: int = 0
        """Workers that are alive."""
        self.idle: int = 0
        """Workers that wait."""
        self.waking: bool = False
        """One of them was woken and has not looked yet; it wakes the next if there is more."""
        self.readers: int = 0
        """Threads that wait for news."""
        self.clock_fails: bool = False
        """Whether the clock failed when it was last asked to wait."""
        self.closed: bool = False
        """No submission is taken and no scan starts any more."""
        self.finished: bool = False
        """A shutdown has returned: nothing more will be told."""
        self.submitted: dict[SubmitOutcome, int] = dict.fromkeys(SubmitOutcome, 0)
        self.ended: dict[TaskStatus, int] = {status: 0 for status in TaskStatus if status.is_ended}
        self.reasons: dict[EndReason, int] = dict.fromkeys(EndReason, 0)

    def tell(self, *, work: bool = False) -> None:
        """Wake who waits for a change, and one idle worker if it made work. Requires the lock."""
        self.changes_seq += 1
        self.nudge()
        if work:
            self.work_seq += 1
            if self.idle and not self.waking:
                self.waking = True
                self.work.notify()

    def nudge(self) -> None:
        """Have those who wait look again, though nothing has changed. Requires the lock."""
        assert self.lock.locked()
        self.news_seq += 1
        if self.readers:
            self.news.notify_all()

    def tell_all(self) -> None:
        """Wake everybody, for what concerns them all. Requires the lock."""
        self.tell()
        self.work_seq += 1
        self.work.notify_all()
        self.call_keeper()

    def call_keeper(self) -> None:
        """Have the keeper look for something to do. Requires the lock."""
        assert self.lock.locked()
        self.chores_seq += 1
        self.chores.notify()

    def count_ended(self, tasks: Iterable[TaskRecord], by: int = 1) -> None:
        """Count tasks that this service ended. Takes the lock, also inside a transaction.

        That is before the commit, so that whoever hears of an end finds it counted.

        Args:
            tasks: The tasks.
            by: -1 takes them back, when the commit has failed.
        """
        with self.lock:
            for task in tasks:
                self.ended[task.status] += by
                if task.reason is not None:
                    self.reasons[task.reason] += by

    def try_clock(self, wait: Callable[[], object], condition: _sync.Condition) -> bool:
        """Call what waits by the clock; if that fails, log it and wait for a moment of real time.

        Args:
            wait: What to call.
            condition: What may end that moment early: one of the three.

        Returns:
            Whether the clock worked. It is logged if it did the last time, on whatever thread.
        """
        try:
            wait()
        except Exception as error:  # noqa: BLE001 - whatever a clock raises
            if not self.clock_fails:
                log(logger, ERROR, "the clock failed; trying again until it works", error)
            self.clock_fails = True
            with self.lock:
                self.readers += 1
                try:
                    condition.wait(CLOCK_RETRY)
                finally:
                    self.readers -= 1
                    self.waking = False  # it may have been this one who was woken
            return False
        self.clock_fails = False
        return True

    def wait_for_work(self, clock: Clock, seen: int) -> None:
        """Wait until there may be something to claim; it may return early.

        Args:
            clock: Who waits.
            seen: `work_seq` as it was before the caller looked.
        """
        with self.lock:
            if self.work_seq == seen:
                self.idle += 1
                try:
                    clock.wait_until(self.work, None)
                finally:
                    self.idle -= 1
                    self.waking = False

    def wait_for_news(self, clock: Clock, seen: int, deadline: float | None) -> None:
        """Wait until something has changed; it may return early.

        Args:
            clock: Who waits.
            seen: `news_seq` as it was before the caller looked.
            deadline: When to give up, by `clock.monotonic()`; None: never.
        """
        with self.lock:
            if self.news_seq == seen:
                self.readers += 1
                try:
                    clock.wait_until(self.news, deadline)
                finally:
                    self.readers -= 1

    def wait_for_chores(self, clock: Clock, seen: int, deadline: float | None) -> None:
        """Wait until the keeper may have something to do; it may return early.

        Args:
            clock: Who waits.
            seen: `chores_seq` as it was before the keeper looked.
            deadline: When it has, by `clock.monotonic()`; None: not before it is called.
        """
        with self.lock:
            if self.chores_seq == seen:
                clock.wait_until(self.chores, deadline)
