"""The scans of this process: claiming tasks, and recording how they ended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scanqueue import _rules, _sync
from scanqueue._context import LiveContext
from scanqueue.models import EndReason, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from scanqueue._core import Core
    from scanqueue.protocols import TaskTable
    from scanqueue.records import TaskRecord

PENDING, CANCELLED = TaskStatus.PENDING, TaskStatus.CANCELLED


class Scans:
    """What is being scanned here, from the claim of a task until its end is recorded.

    Thread-safety: any thread. `_lock` guards what `_by_task` has; the other collections are only
    changed by single operations that are atomic.

    Args:
        core: The service that scans.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._by_task: dict[int, LiveContext] = {}
        self._lock = _sync.Lock()
        """Held while an entry of `_by_task` is made or dropped, so that each drops its own."""
        self._sent_back: set[int] = set()
        self._claiming: set[int] = set()
        """The threads that are about to claim, and have seen the queue open."""
        self._inside = _sync.Local()

    def __bool__(self) -> bool:
        return bool(self._by_task)

    def all(self) -> list[LiveContext]:
        """Return the scans whose end is not recorded yet."""
        return list(self._by_task.values())

    def of_task(self, task_id: UUID) -> LiveContext | None:
        """Return the scan of a task, or None."""
        return self._by_task.get(task_id.int)

    @property
    def is_claiming(self) -> bool:
        """Whether a thread that found the queue open may still add a scan."""
        return bool(self._claiming)

    def report_last(self, table: TaskTable, context: LiveContext | None) -> None:
        """Publish what a scan reported, in the transaction in which somebody else ends its task."""
        if context is not None:
            _rules.report(table, context.slot, context.progress())

    def stop(
        self, contexts: Iterable[LiveContext], table: TaskTable, *, now: datetime
    ) -> list[TaskRecord]:
        """Record that a shutdown asked scans to stop; return their tasks, ended or sent back."""
        stopped = []
        for context in contexts:
            self.report_last(table, context)
            task = _rules.stop(table, context.slot, now=now, durable=self._core.store.durable)
            if task is not None:
                stopped.append(task)
        return stopped

    def note_sent_back(self, tasks: Iterable[TaskRecord]) -> None:
        """Note which of the tasks that a shutdown stopped wait for the next start."""
        self._sent_back.update(task.id.int for task in tasks if task.status is PENDING)

    def was_sent_back(self, task_id: UUID) -> bool:
        """Return whether the shutdown of this service made a task wait for the next start."""
        return task_id.int in self._sent_back

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
        is_foreign = done is not None and self.of_task(done.slot.task_id) is not done
        if is_foreign:  # pragma: no cover - in forked children only: the scan is the parent's
            return None

        # Either a shutdown sees that this thread is about to claim, or this thread that the queue
        # is closed.
        thread = _sync.get_ident()
        try:
            self._claiming.add(thread)
            claims = claims and not self._core.hub.closed
            if done is None and not claims:
                return None
            return self._turn(done, claims=claims, on_worker=on_worker)
        finally:
            self._claiming.discard(thread)
            self._leave()

    def _leave(self) -> None:
        """Tell a shutdown that a thread is done; the last one gives up the store."""
        core = self._core
        if core.hub.closed:
            core.wake()
            if core.shutdown_returned and not (self._claiming or self._by_task):
                core.retire()

    def _turn(
        self, done: LiveContext | None, *, claims: bool, on_worker: bool
    ) -> LiveContext | None:
        core = self._core
        hub = core.hub
        now = core.now()
        ended: Sequence[TaskRecord] = ()
        stopped: Sequence[TaskRecord] = ()
        context: LiveContext | None = None

        def turn(table: TaskTable) -> bool:
            nonlocal ended, stopped, context
            if done is not None:
                if done.is_shut_down:  # and the store may not have heard of it
                    stopped = self.stop([done], table, now=now)
                ended = self._record_end(table, done, now) or _ended(stopped)
                hub.count_ended(ended)
            if claims:
                context = self._claim(table, now, on_worker=on_worker)
            # A worker that wakes up wakes the next one, while there is more to do. Where none
            # waits that is not asked: one that is about to looks again, which costs less.
            return hub.idle == 0 or _rules.claimable(table, core.settings.max_running) is not None

        try:
            makes_work = core.transact(turn)
        except BaseException as error:
            hub.count_ended(ended, by=-1)
            if isinstance(error, Exception):  # else nobody knows whether it was committed
                self._forget(context)
            raise
        self.note_sent_back(stopped)
        self._forget(done)
        if context is not None and core.asks_to_stop:
            context.shut_down()
        if done is not None or context is not None:
            with hub.lock:
                hub.tell(work=makes_work)
        return context

    def _claim(self, table: TaskTable, now: datetime, *, on_worker: bool) -> LiveContext | None:
        core = self._core
        claimed = _rules.claim(table, core.owner, now=now, max_running=core.settings.max_running)
        if claimed is None:
            return None
        context = LiveContext(*claimed, core.publisher, on_worker=on_worker)
        # Here, not after the commit: a cancel that comes next must find it.
        with self._lock:
            self._by_task[context.slot.task_id.int] = context
        return context

    def abandon(self) -> None:
        """Have others see to the scans of the calling thread, which is interrupted or dies."""
        thread = _sync.get_ident()
        self.enter(None)
        for context in self.all():
            if context.thread == thread:
                if context.ending is None:
                    self._give_back(context)
                else:
                    context.close()
                    finish = partial(self.turn, claims=False)
                    self._persist_aside(finish, context)

    def _give_back(self, context: LiveContext) -> None:
        """Have a thread undo a claim, if it was committed: its task waits again."""
        core = self._core
        context.shut_down()

        def give_back(context: LiveContext) -> None:
            now = core.now()
            ending = _rules.Ending(None, EndReason.ERROR, "interrupted before it began")
            stopped: list[TaskRecord] = []

            def undo(table: TaskTable) -> list[TaskRecord]:
                if self.of_task(context.slot.task_id) is not context:
                    return []  # it was rolled back, and another thread has made the same claim
                durable = core.store.durable or not core.hub.closed
                task = _rules.stop(table, context.slot, now=now, durable=durable)
                _rules.finish(table, context.slot, ending, context.progress(), now=now)
                stopped[:] = [task] if task is not None and core.hub.closed else []
                return [task] if task is not None and task.status.is_ended else []

            core.end(undo)
            self.note_sent_back(stopped)
            self._forget(context)
            with core.hub.lock:
                core.hub.tell(work=True)
            self._leave()

        self._persist_aside(give_back, context)

    def _persist_aside(
        self, operation: Callable[[LiveContext], object], context: LiveContext
    ) -> None:
        _sync.run_aside(self._core.persist, operation, context, name="scanqueue-repair")

    def _forget(self, context: LiveContext | None) -> None:
        """Drop a scan that is over, or whose claim failed."""
        if context is not None:
            key = context.slot.task_id.int
            with self._lock:
                # Not there in a forked child, and another's when it has claimed the task since.
                if self._by_task.get(key) is context:
                    del self._by_task[key]
            self._core.publisher.dirty.discard(context)
            if not self._by_task:
                self._core.keeper.rest()

    def _record_end(
        self, table: TaskTable, done: LiveContext, now: datetime
    ) -> Sequence[TaskRecord]:
        """Record that a scanner returned; return its task if that has ended it."""
        assert done.ending is not None
        # First, so that who waits for a scan that took long to stop still finds its task.
        _rules.prune(table, self._core.window_start(now))
        task = _rules.finish(table, done.slot, done.ending, done.progress(), now=now)
        return () if task is None or task.status in {PENDING, CANCELLED} else (task,)


def _ended(stopped: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return those of the tasks that a shutdown stopped which ended by it."""
    return [task for task in stopped if task.status is not PENDING]
