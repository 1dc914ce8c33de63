"""The inside of a service: what all of its threads share, and the transactions they run."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from logging import ERROR, INFO, WARNING, getLogger
from typing import TYPE_CHECKING, TypeVar, cast
from uuid import uuid4

from scanqueue import _rules, _sync
from scanqueue._hub import Hub
from scanqueue._keeper import Keeper
from scanqueue._logs import log
from scanqueue._progress import Publisher
from scanqueue._scans import Scans
from scanqueue._settings import take_store
from scanqueue._validate import BEGINNING, check_moment
from scanqueue.errors import QueueClosedError, TaskNotFoundError
from scanqueue.models import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from uuid import UUID

    from scanqueue._settings import Settings
    from scanqueue._workers import Workers
    from scanqueue.protocols import Clock, TaskStore, TaskTable, TaskView
    from scanqueue.records import TaskRecord

A = TypeVar("A")
T = TypeVar("T")

logger = getLogger(__name__)

FIRST_RETRY = 1.0
LAST_RETRY = 30.0
"""Seconds between two tries of a store that fails: they double from the first to the last."""


class Core:
    """The state of one service, and every transaction that it runs.

    Thread-safety: any thread. `hub.lock` protects what the hub says, `setting_up` what says how
    far the service is: `ready`, `retired`, `started` and `workers`. Flags are raised once,
    but for `started`, which a start that fails takes back; they are read without a lock.
    """

    def __init__(self, store: TaskStore, clock: Clock, settings: Settings) -> None:
        self.store: TaskStore = store
        self.clock: Clock = clock
        self.settings: Settings = settings
        self.is_shared: bool = store.shared
        self.forked: bool = False
        self.started: bool = False
        self._begin()
        self.now()  # a clock that cannot tell the time is refused at once
        take_store(store)

    def _begin(self) -> None:
        self.hub: Hub = Hub()
        self.scans: Scans = Scans(self)
        self.publisher: Publisher = Publisher(self)
        self.keeper: Keeper = Keeper(self)
        self.workers: Workers | None = None
        self.owner: str = uuid4().hex
        self.asks_to_stop: bool = False
        """A shutdown has asked the scans to stop; one that was just being claimed asks itself."""
        self.shutdown_returned: bool = False
        self.retired: bool = False
        self.ready: bool = False
        """Whether the store is open, and this is the process that opened it."""
        self.setting_up: _sync.Lock = _sync.Lock()
        """Held while the store is opened and the workers are started, so that each happens once."""

    def after_fork(self) -> None:  # pragma: no cover - runs in forked children only
        """Begin anew in a forked child, or, if threads were left behind, close this copy."""
        closes = self.started or self.hub.closed
        self._begin()  # anew, since threads that are not here may hold the locks
        if closes:
            self.forked = self.hub.closed = self.hub.finished = True
        self.store.after_fork()

    # --- time ---

    def now(self) -> datetime:
        """Return the moment, in UTC, whatever the clock says it in."""
        moment = self.clock.now()
        if type(moment) is datetime and moment.tzinfo is UTC:
            return moment
        return check_moment("clock.now()", moment).astimezone(UTC)

    def window_start(self, now: datetime) -> datetime:
        """Return the moment from which on ended tasks are kept."""
        try:
            return now - self.settings.retention
        except OverflowError:
            return BEGINNING

    def deadline(self, timeout: float | None) -> float | None:
        """Return the moment of the monotonic clock that a timeout means."""
        return None if timeout is None else self.clock.monotonic() + timeout

    def is_past(self, deadline: float | None) -> bool:
        """Return whether a deadline has come."""
        return deadline is not None and self.clock.monotonic() >= deadline

    # --- the store ---

    def open(self) -> None:
        """Make the store ready; the first call of a process opens it.

        Raises:
            QueueClosedError: This is a forked child's copy of a service that was started.
            StoreError: The store cannot be used.
        """
        self.refuse_if_forked()
        first_revision = max(0, int(self.now().timestamp() * 1000))
        closes = False
        with self.setting_up:
            if not self.ready:
                self.store.open(self.owner, first_revision)
                self.store.attach(self.keeper.look)
                self.ready = True
                closes = self.retired  # a reader came after the shutdown
        if closes:
            self._close_store()

    def open_to_run(self) -> None:
        """Make the store ready for a start: what dead processes ran waits again, at once.

        Raises:
            QueueClosedError: The queue was shut down meanwhile.
            StoreError: The store cannot be used, or failed to free what they held.
        """
        self.open()
        if self.is_shared or self.store.durable:
            try:
                self.recover()
            except Exception:
                self.refuse_if_closed()  # a shutdown that came in between has closed the store
                raise

    def read(self) -> AbstractContextManager[TaskView]:
        """Return one moment of the queue, with the progress of its scans up to date."""
        if not self.ready:
            self.open()
        if self.publisher.dirty:
            self.publisher.publish_due()
        return self.store.read()

    def transact(
        self, rule: Callable[[TaskTable], T], *, sync: bool = True, anywhere: bool = False
    ) -> T:
        """Run a rule in a transaction.

        Args:
            rule: What to do.
            sync: Whether what it did must be safe when this returns.
            anywhere: Whether a store may do it on the thread of another caller.

        Raises:
            StoreError: The store failed.
        """
        if not self.ready:
            self.open()
        block = self.store.write(sync=sync)
        if hasattr(block, "run"):  # where no interrupt can come between the rule and its end
            return cast("T", block.run(rule, anywhere=anywhere))
        with block as table:
            return rule(table)

    def change(self, rule: Callable[[TaskTable], T], *, anywhere: bool = False) -> T:
        """Run a rule as `transact` does, if the queue is open from the begin to the commit.

        Args:
            rule: What to do.
            anywhere: Whether a store may do it on the thread of another caller.

        Raises:
            QueueClosedError: The queue was shut down; a shutdown that is over has closed the store.
        """

        def run_if_open(table: TaskTable) -> T:
            self.refuse_if_closed()
            return rule(table)

        try:
            return self.transact(run_if_open, anywhere=anywhere)
        except Exception:
            self.refuse_if_closed()
            raise

    def end(
        self, rule: Callable[[TaskTable], list[TaskRecord]], *, while_open: bool = False
    ) -> list[TaskRecord]:
        """Run a rule that ends tasks, count them, and tell their scanners and everybody else.

        Args:
            rule: What returns the tasks that it ended.
            while_open: Whether the queue must be open, as for `change`.

        Raises:
            QueueClosedError: It must be, and is not.
            StoreError: The store failed.
        """
        counted: list[TaskRecord] = []

        def end_and_count(table: TaskTable) -> list[TaskRecord]:
            tasks = rule(table)
            self.hub.count_ended(tasks)
            counted.extend(tasks)
            return tasks

        run = self.change if while_open else self.transact
        try:
            tasks = run(end_and_count)
        except BaseException:
            self.hub.count_ended(counted, by=-1)
            raise
        for task in tasks:
            context = self.scans.of_task(task.id)
            if context is not None:
                context.stop()
        self.wake()
        return tasks

    def refuse_if_forked(self) -> None:
        """Raise if this is a forked child's copy of a service that was started."""
        if self.forked:  # pragma: no cover - in forked children only
            message = "this queue belongs to the parent process; make one in the child"
            raise QueueClosedError(message)

    def refuse_if_closed(self) -> None:
        """Raise if the queue was shut down. Asked inside a transaction, it holds for all of it."""
        if self.hub.closed:
            self.refuse_if_forked()
            raise QueueClosedError("the queue was shut down")

    # --- shutting down ---

    def close(self) -> None:
        """Take no more submissions, and claim no more tasks."""
        with self.hub.lock:
            self.hub.closed = True
            self.hub.tell_all()

    def finish_telling(self) -> None:
        """Let those go who wait: nothing more will come."""
        with self.hub.lock:
            self.hub.finished = True
            self.hub.tell_all()

    def retire(self) -> None:
        """Give up the store, after the last scan."""
        self.finish_telling()
        with self.setting_up:
            gives_up = self.ready and not self.retired
            self.retired = True
        if gives_up:
            self._close_store()

    def _close_store(self) -> None:
        try:
            self.store.close()
        except Exception as error:  # noqa: BLE001 - whatever a store raises
            log(logger, ERROR, "the store could not be closed", error)

    # --- waiting ---

    def wait_for(self, look: Callable[[], T | None], deadline: float | None) -> T | None:
        """Call `look` now and after every change, until it has an answer or the deadline comes."""
        while True:
            seen = self.hub.news_seq
            answer = look()
            if answer is not None or self.is_past(deadline):
                return answer
            if self.is_shared and self.ready and self.keeper.is_at_rest:
                self.keeper.wake()  # which hears of what other processes do
            self.hub.wait_for_news(self.clock, seen, deadline)

    def wake(self) -> None:
        """Have everybody who waits look again, as after a change."""
        with self.hub.lock:
            self.hub.tell()

    def nudge(self) -> None:
        """Have everybody who waits look again, though nothing has changed."""
        with self.hub.lock:
            self.hub.nudge()

    def persist(
        self, operation: Callable[[A], T], argument: A, *, until_closed: bool = False
    ) -> T | None:
        """Call an operation until the store lets it through; what fails is logged once.

        Args:
            operation: What to do.
            argument: With what.
            until_closed: Whether to give up, and return None, once the queue is closed.
        """
        delay = FIRST_RETRY
        while True:
            try:
                answer = operation(argument)
            except Exception as error:  # noqa: BLE001 - whatever a store raises
                if until_closed and self.hub.closed:
                    return None
                if delay == FIRST_RETRY:
                    log(logger, ERROR, "the store failed; trying again until it works", error)
            else:
                if delay != FIRST_RETRY:
                    log(logger, INFO, "the store works again")
                return answer
            pause = partial(self._pause, delay, until_closed=until_closed)
            self.hub.try_clock(pause, self.hub.news)
            delay = min(2 * delay, LAST_RETRY)

    def _pause(self, seconds: float, *, until_closed: bool) -> None:
        self.wait_for(lambda: (until_closed and self.hub.closed) or None, self.deadline(seconds))

    def settled(self, task_id: UUID, *, quiet: bool) -> TaskRecord | None:
        """Return a task that has ended, and with `quiet` holds no slot; None: not yet.

        Raises:
            TaskNotFoundError: There is no such task.
            QueueClosedError: It will not end here any more.
        """
        is_here = self.scans.of_task(task_id) is not None
        # Inside of a scan, a shutdown returns before that one has ended.
        finished = self.hub.finished or (self.shutdown_returned and not is_here)
        with self.read() as view:
            task = view.get(task_id)
        if task is None:
            raise TaskNotFoundError(task_id)
        if task.status.is_ended and not (quiet and task.holds_slot):
            return task
        if is_here and task.status.is_ended:
            return None  # a shutdown may have left it behind, but it is still at work
        if finished or self.scans.was_sent_back(task_id):
            message = f"the queue was shut down before task {task_id} had ended"
            raise QueueClosedError(message)
        return None

    def refuse_to_wait_for_itself(self, task_id: UUID) -> None:
        """Raise if the caller is inside a scan of the task's library: it would wait for itself."""
        scan = self.scans.current()
        if scan is None:
            return
        with self.read() as view:
            task = view.get(task_id)
        if task is not None and task.library_id == scan.library_id:
            message = (
                f"a scan of library {scan.library_id!r} must not wait for a task of the same"
                " library, which cannot end before it"
            )
            raise RuntimeError(message)

    # --- other processes ---

    def look_around(self) -> None:
        """Act on what other processes may have done: cancels, submissions, changes."""
        contexts = self.scans.all()
        with self.store.read() as view:
            lost = [c for c in contexts if _rules.is_lost(view, c.slot, c.claimed_at)]
        for context in lost:
            context.stop()
        with self.hub.lock:
            self.hub.tell_all()

    def recover(self) -> None:
        """Free the slots of dead processes; what they ran waits again."""
        with self.read() as view:
            slots, count = view.slots(), view.counts().slots
        others = {slot.owner for slot in slots} - {self.owner}
        dead = self.store.dead_owners(others) if others else ()
        if dead or len(slots) != count:  # one that cannot be read; a table sees to that
            now = self.now()
            limit = self.settings.max_interruptions
            recovered: list[TaskRecord] = []

            def recover(table: TaskTable) -> list[TaskRecord]:
                recovered[:] = _rules.recover(table, dead, now=now, max_interruptions=limit)
                return [task for task in recovered if task.status is TaskStatus.FAILED]

            self.end(recover)
            for task in recovered:
                log(
                    logger,
                    WARNING,
                    "a process died during a scan",
                    task_id=str(task.id),
                    library_id=task.library_id,
                    attempt=task.attempt,
                    interruptions=task.interruptions,
                    status=task.status.value,
                )
            with self.hub.lock:
                self.hub.tell_all()
