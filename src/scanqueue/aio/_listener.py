"""Waiting: one thread that follows the changes of the queue for all coroutines that do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from sortedcontainers import SortedDict

from scanqueue import _sync
from scanqueue._queries import CHANGES_BATCH, late
from scanqueue._service import SHORTEST_RETENTION
from scanqueue._validate import BEGINNING, check_timeout
from scanqueue.aio._pool import Pool
from scanqueue.aio._replies import Reply
from scanqueue.errors import QueueClosedError, TaskNotFoundError
from scanqueue.models import ScanTask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from scanqueue._core import Core
    from scanqueue._service import ScanQueueService

T = TypeVar("T")

LONG_AGO = SHORTEST_RETENTION / 2
"""What ended since a look that is not so long ago cannot have been pruned yet."""


class Waiter(Reply[T], ABC):
    """A reply that the listener gives when the queue has one, or when a deadline comes.

    Args:
        core: The queue.
        timeout: How long to wait, in seconds by its clock; None: for as long as it takes.
        task_id: The task that it waits for; None: any.
    """

    def __init__(self, core: Core, timeout: float | None, task_id: UUID | None) -> None:
        deadline = core.deadline(check_timeout(timeout))
        super().__init__()
        self.timeout = timeout
        self.task_id = task_id
        self.deadline = None if deadline is None else (deadline, id(self))
        """When to give up, by the clock of the service, and a number that makes it unique."""
        self.has_left = False
        """Whether its coroutine was cancelled."""

    @abstractmethod
    def time_out(self) -> None:
        """Give the answer of one whose deadline has come."""


class TaskWaiter(Waiter[ScanTask]):
    """Waits for the end of a task."""

    def __init__(self, core: Core, timeout: float | None, task_id: UUID, *, quiet: bool) -> None:
        super().__init__(core, timeout, task_id)
        self.quiet = quiet

    def time_out(self) -> None:
        assert self.task_id is not None
        self.fail(late(self.task_id, self.timeout, quiet=self.quiet))


class Reader(Waiter[list[ScanTask]]):
    """Waits for the first change after a revision."""

    def __init__(self, core: Core, timeout: float | None, after: int, limit: int | None) -> None:
        super().__init__(core, timeout, None)
        self.after = after
        self.limit = limit
        self.seen = 0
        """`changes_seq` as it was before the answer was read."""

    def time_out(self) -> None:
        self.give([])


class Listener:
    """One thread that follows the changes of the queue for all who wait.

    It is a reader like any other: it reads the number of the news first, looks second, waits
    third. Whoever wants to wait is let in between the first and the second, so no wake-up is
    lost. It looks at a task when somebody new waits for it, and when it has changed; at all of
    them only once the queue is closed.

    Args:
        service: The queue.
        core: Its core.
    """

    def __init__(self, service: ScanQueueService, core: Core) -> None:
        self._service = service
        self._core = core
        self._pool = Pool("scanqueue-aio-listener")

        self._lock = _sync.Lock()
        """Protects the next one; held for moments."""
        self._is_listening = False
        self._visitors: deque[Waiter[Any]] = deque()
        """Who wants to be let in, or out; needs no lock."""

        # Only the thread touches what follows.
        self._waiting: dict[UUID | None, set[Waiter[Any]]] = {}
        """Who was let in, by what they wait for."""
        self._deadlines: SortedDict[tuple[float, int], Waiter[Any]] = SortedDict()
        self._due: set[UUID | None] = set()
        """Keys of `_waiting` to look at next time, whatever has changed."""
        self._cursor: int | None = None
        """All changes up to here are known; None: nobody waited."""
        self._looked_at = BEGINNING

    # --- for coroutines ---

    async def answer(self, waiter: Waiter[T]) -> T:
        """Wait for the answer of the queue, and return it or raise it.

        Args:
            waiter: Who waits, and for what.
        """
        with self._lock:
            if not self._is_listening:
                self._pool.submit(self._listen)
                self._is_listening = True
            self._visitors.append(waiter)
        self._core.nudge()
        try:
            return await waiter.get()
        except (asyncio.CancelledError, GeneratorExit) as error:
            waiter.has_left = True
            self._visitors.append(waiter)
            # Abandoned with its loop, it may be the garbage collector that came here, at any
            # moment, also while its thread holds a lock: so none is taken then.
            if isinstance(error, asyncio.CancelledError):
                self._core.nudge()
            raise

    # --- the thread ---

    def _listen(self) -> None:
        core = self._core
        self._cursor = None
        while True:
            seen = core.hub.news_seq
            try:
                self._open_door()
                self._look()
                deadline = self._time_out()
                if self._waiting:
                    if core.is_shared:
                        core.keeper.wake()  # it follows other processes
                    core.hub.wait_for_news(core.clock, seen, deadline)
            except BaseException as error:  # noqa: BLE001 - the store's or the clock's: for all
                self._fail(error, *chain(*self._waiting.values()))
            with self._lock:
                self._is_listening = bool(self._waiting or self._visitors)
                if not self._is_listening:
                    return

    def _open_door(self) -> None:
        """Let in who has come, and out who has left."""
        while self._visitors:
            waiter = self._visitors.popleft()
            if waiter.has_left:
                self._let_out(waiter)
                continue
            self._waiting.setdefault(waiter.task_id, set()).add(waiter)
            self._due.add(waiter.task_id)
            if waiter.deadline is not None:
                self._deadlines[waiter.deadline] = waiter

    def _let_out(self, waiter: Waiter[Any]) -> None:
        """Forget somebody, who may be forgotten already."""
        others = self._waiting.get(waiter.task_id, set())
        others.discard(waiter)
        if not others:
            self._waiting.pop(waiter.task_id, None)
        if waiter.deadline is not None:
            self._deadlines.pop(waiter.deadline, None)

    def _look(self) -> None:
        """Answer whom the news concerns."""
        is_closed = self._core.hub.closed  # before the store is asked, so that its answer has it
        changed = self._changed_tasks()
        now = self._core.now()  # after it: the store may have taken long
        due, self._due = self._due | changed, set()
        if changed:
            due.add(None)
        # A task that was pruned since the last look is in no list of changes. That takes longer
        # than the retention, unless it was ended before and only now gave up its slot.
        if is_closed or abs(now - self._looked_at) >= LONG_AGO:
            due.update(self._waiting)
        self._looked_at = now
        for task_id in due & self._waiting.keys():
            if task_id is None:
                self._look_for_readers()
            else:
                self._look_at_task(task_id)

    def _changed_tasks(self) -> set[UUID | None]:
        """Move the cursor to the latest change; return the tasks that were passed."""
        changed: set[UUID | None] = set()
        while True:
            with self._core.read() as view:
                if self._cursor is None:
                    self._cursor = view.revision()
                tasks = view.changed(self._cursor, CHANGES_BATCH)
            if tasks:
                changed.update(task.id for task in tasks)
                self._cursor = tasks[-1].revision
            if len(tasks) < CHANGES_BATCH:
                return changed

    def _look_at_task(self, task_id: UUID) -> None:
        try:
            task = self._core.settled(task_id, quiet=False)
        except (TaskNotFoundError, QueueClosedError) as error:
            self._fail(error, *self._waiting[task_id])
            return
        if task is None:
            return
        patient = []
        for waiter in list(self._waiting[task_id]):
            assert isinstance(waiter, TaskWaiter)
            if waiter.quiet and task.holds_slot:
                patient.append(waiter)
            else:
                self._let_out(waiter)
                waiter.give(task.snapshot())
        if patient:
            self._due.add(task_id)  # it may be pruned as soon as the slot is free
            self._look_again(task_id, patient)

    def _look_again(self, task_id: UUID, waiters: Iterable[TaskWaiter]) -> None:
        """Answer those who wait for the slot of an ended task, when it is free or nobody tells."""
        try:
            task = self._core.settled(task_id, quiet=True)
        except (TaskNotFoundError, QueueClosedError) as error:
            self._fail(error, *waiters)
            return
        if task is not None:
            for waiter in waiters:
                self._let_out(waiter)
                waiter.give(task.snapshot())

    def _look_for_readers(self) -> None:
        hub = self._core.hub
        is_finished, seen = hub.finished, hub.changes_seq  # before the store is asked
        found: dict[tuple[int, int | None], list[ScanTask]] = {}
        for reader in list(self._waiting[None]):
            assert isinstance(reader, Reader)
            place = reader.after, reader.limit  # most are at the same one
            if place not in found:
                found[place] = self._service.list_changes(reader.after, limit=reader.limit)
            if found[place] or is_finished:
                self._let_out(reader)
                reader.seen = seen
                reader.give(list(found[place]))

    def _time_out(self) -> float | None:
        """Answer those whose deadline has come; return the next one."""
        while self._deadlines:
            (deadline, _), waiter = self._deadlines.peekitem(0)
            if not self._core.is_past(deadline):
                return deadline
            self._let_out(waiter)
            waiter.time_out()
        return None

    def _fail(self, error: BaseException, *waiters: Waiter[Any]) -> None:
        """Answer several with an error, as each would have met it."""
        traceback = error.__traceback__  # of now: the first to be told adds to it
        for waiter in waiters:
            self._let_out(waiter)
            waiter.fail(error.with_traceback(traceback))
