"""What `mutants` puts in the place of the library's own functions: each makes one mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import cast
from unittest.mock import patch
from uuid import UUID

from scanqueue import _requests, _rules, _runner, _shutdown
from scanqueue._context import LiveContext
from scanqueue._core import Core
from scanqueue._hub import Hub
from scanqueue._keeper import Keeper
from scanqueue._lifecycle import Event, apply
from scanqueue._queries import CHANGES_BATCH, Queries
from scanqueue._scans import Scans
from scanqueue._workers import Workers
from scanqueue.models import (
    EndReason,
    LibraryId,
    ScanScope,
    ScanTask,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    WhenRunning,
)
from scanqueue.protocols import Clock, TaskTable
from scanqueue.records import TaskRecord
from scanqueue.stores._block import Block, Group
from scanqueue.stores._group import Writers

# --- transactions -------------------------------------------------------------------------------


def submit_in_two_steps(
    core: Core,
    library_id: LibraryId,
    priority: TaskPriority,
    scope: ScanScope,
    when_running: WhenRunning,
) -> tuple[TaskRecord, SubmitOutcome]:
    core.refuse_if_closed()
    with core.read() as view:
        pending = view.pending_of(library_id)
    if pending is not None:
        core.hub.submitted[SubmitOutcome.JOINED] += 1
        return pending, SubmitOutcome.JOINED
    now, task_id = core.now(), vars(_requests)["new_task_id"]()

    def insert(table: TaskTable) -> TaskRecord:
        return _rules.submit(
            cast("TaskTable", _Blind(table)), library_id, priority, scope, when_running,
            now=now, new_id=lambda: task_id, max_pending=None,
        )[0]  # fmt: skip

    task = core.change(insert)
    with core.hub.lock:
        core.hub.submitted[SubmitOutcome.CREATED] += 1
        core.hub.tell(work=True)
    return task, SubmitOutcome.CREATED


class _Blind:
    """A table on which no task is pending, as somebody saw it before."""

    def __init__(self, table: TaskTable) -> None:
        self._table = table

    def pending_of(self, library_id: LibraryId) -> None:
        """Find none."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._table, name)


def cancel_what_was_read(core: Core, task_id: UUID) -> TaskRecord:
    core.refuse_if_closed()
    with core.read() as view:
        old = view.get(task_id)
    if old is None or old.status.is_ended:
        return _requests_cancel(core, task_id)

    def rule(table: TaskTable) -> list[TaskRecord]:
        task = apply(old, Event.CANCEL, table.next_revision())
        _rules._end(task, EndReason.REQUESTED, core.now())
        now = table.get(task_id)
        assert now is not None
        table.replace(now, task)
        return [task]

    return core.end(rule, while_open=True)[0]


_requests_cancel = _requests.cancel


def look_at_closed_before(
    self: Core, rule: Callable[[TaskTable], object], *, anywhere: bool = False
) -> object:
    self.refuse_if_closed()
    return self.transact(rule, anywhere=anywhere)


def free_the_slot_first(self: Scans, done: LiveContext | None, **options: bool) -> object:
    if done is not None:
        with self._core.store.write() as table:
            held = table.slot_of(done.slot.library_id)
            if held == done.slot:
                table.free_slot(held)
                table.next_revision()
        with self._core.store.write() as table:
            table.take_slot(done.slot)
    return _turn(self, done, **options)


_turn = Scans._turn


def _register_after_the_commit(
    self: Scans, table: TaskTable, now: datetime, *, on_worker: bool
) -> LiveContext | None:
    context = _claim(self, table, now, on_worker=on_worker)
    if context is not None:
        del self._by_task[context.slot.task_id.int]
    return context


_claim = Scans._claim


def turn_then_register(self: Scans, done: LiveContext | None, **options: bool) -> object:
    with patch.object(Scans, "_claim", _register_after_the_commit):
        context = _turn(self, done, **options)
    if context is not None:
        self._by_task[context.slot.task_id.int] = context
    return context


def count_after_the_commit(
    self: Core, rule: Callable[[TaskTable], list[TaskRecord]], *, while_open: bool = False
) -> list[TaskRecord]:
    tasks = self.change(rule) if while_open else self.transact(rule)
    for task in tasks:
        context = self.scans.of_task(task.id)
        if context is not None:
            context.stop()
    self.wake()
    self.hub.count_ended(tasks)
    return tasks


# --- waking up ----------------------------------------------------------------------------------


def tell_no_worker(self: Hub, *, work: bool = False) -> None:
    self.changes_seq += 1
    self.nudge()
    self.work_seq += work


def tell_first(
    core: Core,
    library_id: LibraryId,
    priority: TaskPriority,
    scope: ScanScope,
    when_running: WhenRunning,
) -> tuple[TaskRecord, SubmitOutcome]:
    with core.hub.lock:
        core.hub.tell(work=True)
    with patch.object(core.hub, "tell", lambda *, work=False: None):
        return _submit(core, library_id, priority, scope, when_running)


_submit = _requests.submit


def look_then_read_the_number(
    self: Core, look: Callable[[], object], deadline: float | None
) -> object:
    while True:
        answer = look()
        if answer is not None or self.is_past(deadline):
            return answer
        self.hub.wait_for_news(self.clock, self.hub.news_seq, deadline)


def claim_then_read_the_number(self: Workers) -> LiveContext | None:
    core, hub = self._core, self._core.hub
    while not hub.closed:
        context = core.persist(self._turn, None, until_closed=True)
        if context is not None:
            return context
        hub.wait_for_work(core.clock, hub.work_seq)
    return None


def wait_and_stay_woken(self: Hub, clock: Clock, seen: int) -> None:
    with self.lock:
        if self.work_seq == seen:
            self.idle += 1
            try:
                clock.wait_until(self.work, None)
            finally:
                self.idle -= 1


def wait_uncounted(self: Hub, clock: Clock, seen: int, deadline: float | None) -> None:
    with self.lock:
        if self.news_seq != seen:
            return
    with self.lock:
        self.readers += 1
        try:
            clock.wait_until(self.news, deadline)
        finally:
            self.readers -= 1


# --- user code ----------------------------------------------------------------------------------


def scan_under_a_lock(core: Core, scan: _runner.ScanFunction, context: LiveContext) -> object:
    with core.scans._lock:
        return _run_scan(core, scan, context)


_run_scan = _runner.run_scan


# --- shutting down ------------------------------------------------------------------------------


def claim_when_closed(
    self: Scans, done: LiveContext | None, *, claims: bool = True, on_worker: bool = False
) -> LiveContext | None:
    if done is None and not claims:
        return None
    return self._turn(done, claims=claims, on_worker=on_worker)


def claims_do_not_count(self: Scans) -> bool:
    return False


def sweep_and_close(core: Core) -> Iterator[None]:
    closed, core.hub.closed = core.hub.closed, False
    yield from _end_pending(core)
    core.hub.closed = closed


_end_pending = _shutdown._end_pending


# --- the keeper, the changes, the counts --------------------------------------------------------


def leave_at_once(self: Keeper, lingers_until: float | None) -> bool:
    done = self._core.hub.finished or self._core.is_past(lingers_until)
    if done:
        self._thread = None
    return done


def wake_only_a_new_one(self: Keeper) -> None:
    if self._thread is None:
        _wake(self)


_wake = Keeper.wake


def jump_to_the_latest(self: Queries, cursor: int) -> Iterator[ScanTask]:
    while tasks := self.list_changes(cursor, limit=CHANGES_BATCH, timeout=None):
        yield from tasks
        cursor = self.revision


def clean_after_counting(self: LiveContext) -> TaskProgress:
    with self._lock:
        if self._dirty:
            scanned, total, message = self._scanned(), self._total, self._message
            self._latest = TaskProgress(scanned_paths=scanned, total_paths=total, message=message)
            self._dirty = False
        return self._latest


def keep_sums_in_any_order(self: LiveContext) -> TaskProgress:
    if self._dirty:
        self._dirty = False
        with self._lock:
            scanned, total, message = self._scanned(), self._total, self._message
        self._latest = TaskProgress(scanned_paths=scanned, total_paths=total, message=message)
    return self._latest


# --- the group commit ---------------------------------------------------------------------------


def settle_for_oneself(self: Writers[object], group: Group[object]) -> None:
    group.members = [member for member in group.members if member is self._holder]
    _settle(self, group)


_settle = Writers._settle


def wake_one_only(self: Writers[object], group: Group[object], holder: Block[object]) -> None:
    _release(self, group, holder)
    for block in (*group.members, *group.witnesses):
        block.successor = None


_release = Writers._release


def answer_before_the_commit(
    self: Writers[object], guest: Block[object], group: Group[object]
) -> None:
    _run_for(self, guest, group)
    group.members.remove(guest)
    guest.group = Group(sync=True)
    guest.group.is_settled = True
    guest.go_on()


_run_for = Writers._run_for


def do_not_wait(self: Block[object], is_over: Callable[[], bool], timeout: float = -1) -> None:
    if self not in (self._writers._group.members if self._writers._group else ()):
        _wait(self, is_over, timeout)


_wait = Block.wait
