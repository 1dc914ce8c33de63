"""The scans of this process: claiming tasks, and recording how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanqueue import _rules, _sync
from scanqueue._context import LiveContext
from scanqueue.models import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from scanqueue._core import Core
    from scanqueue.protocols import TaskTable
    from scanqueue.records import TaskRecord

PENDING, CANCELLED = TaskStatus.PENDING, TaskStatus.CANCELLED


class Scans:
    """What is being scanned here, from the claim of a task until its end is recorded.

    Thread-safety: any thread; the dict is only changed by single operations that are atomic.

    Args:
        core: The service that scans.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._by_task: dict[int, LiveContext] = {}
        self._sent_back: dict[int, int] = {}
        self._inside = _sync.Local()

    def __bool__(self) -> bool:
        return bool(self._by_task)

    def all(self) -> list[LiveContext]:
        """Return the scans whose end is not recorded yet."""
        return list(self._by_task.values())

    def of_task(self, task_id: UUID) -> LiveContext | None:
        """Return the scan of a task, or None."""
        return self._by_task.get(task_id.int)

    def stop(self, context: LiveContext, table: TaskTable, *, now: datetime) -> list[TaskRecord]:
        """Record that a shutdown asks a scan to stop; return its task if that has ended it."""
        task = _rules.stop(table, context.slot, now=now, durable=self._core.store.durable)
        if task is None:
            return []
        if task.status is PENDING:
            self._sent_back[task.id.int] = task.attempt
            return []
        return [task]

    def was_sent_back(self, task: TaskRecord) -> bool:
        """Return whether the shutdown of this service made a task wait for the next start."""
        attempt = self._sent_back.get(task.id.int)
        # It is noted before the commit: a task that still runs has not gone back yet, and never
        # does if the commit fails.
        return attempt is not None and (task.status is PENDING or task.attempt > attempt)

    def enter(self, context: LiveContext | None) -> None:
        """Note that the calling thread is inside of a scan, or of none."""
        self._inside.scan = context

    def current(self) -> LiveContext | None:
        """Return the scan that the calling thread is inside of, or None."""
        return getattr(self._inside, "scan", None)

    def turn(
        self, done: LiveContext | None, *, claims: bool = True, on_worker: bool = False
    ) -> LiveContext | None:
        """Record the end of one scan and claim the next one, in one transaction.

        Args:
            done: The scan whose scanner has returned, or None.
            claims: Whether to claim another.
            on_worker: Whether a worker is to run it.

        Returns:
            The claimed scan, or None.
        """
        core = self._core
        hub = core.hub
        now = core.now()
        ended: Sequence[TaskRecord] = ()
        context = None
        try:
            with core.write() as table:
                if done is not None:
                    ended = self._record_end(table, done, now)
                    hub.count_ended(ended)
                if claims and not hub.closed:
                    context = self._claim(table, now, on_worker=on_worker)
                # A worker that wakes up wakes the next one, while there is more to do. Where none
                # waits that is not asked: one that is about to looks again, which costs less.
                makes_work = (
                    hub.idle == 0 or _rules.claimable(table, core.settings.max_running) is not None
                )
        except BaseException:
            hub.count_ended(ended, by=-1)
            self._forget(context)
            raise
        self._forget(done)
        if done is not None or context is not None:
            with hub.lock:
                hub.tell(work=makes_work)
        if done is not None and core.shutdown_returned and not self._by_task:
            core.retire()
        return context

    def _claim(self, table: TaskTable, now: datetime, *, on_worker: bool) -> LiveContext | None:
        core = self._core
        claimed = _rules.claim(table, core.owner, now=now, max_running=core.settings.max_running)
        if claimed is None:
            return None
        context = LiveContext(*claimed, core.publisher, on_worker=on_worker)
        # Here, not after the commit: a cancel that comes next must find it.
        self._by_task[context.slot.task_id.int] = context
        return context

    def _forget(self, context: LiveContext | None) -> None:
        """Drop a scan that is over, or whose claim failed."""
        if context is not None:
            self._by_task.pop(context.slot.task_id.int, None)  # not there in a forked child
            self._core.publisher.dirty.discard(context)
            if not self._by_task:
                self._core.keeper.rest()

    def _record_end(
        self, table: TaskTable, done: LiveContext, now: datetime
    ) -> Sequence[TaskRecord]:
        """Record that a scanner returned; return its task if it ended only now."""
        assert done.ending is not None
        stopped: Sequence[TaskRecord] = ()
        if done.is_shut_down:  # and the store may not have heard of it
            stopped = self.stop(done, table, now=now)
        # First, so that who waits for a scan that took long to stop still finds its task.
        self._core.prune(table, now)
        task = _rules.finish(table, done.slot, done.ending, done.progress(), now=now)
        if task is None or task.status in {PENDING, CANCELLED}:
            return stopped
        return (task,)
