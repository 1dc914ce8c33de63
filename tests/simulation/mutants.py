"""Mistakes of the kind that threads make possible, each a small change of the library.

They show what the simulation finds: each is found by the scenario that is named beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import cast
from unittest.mock import patch
from uuid import UUID

import attrs

from scanqueue import _requests, _rules, _runner, _shutdown, _workers
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
from scanqueue.stores._group import Block, Writers, _Group


@attrs.frozen
class Mutant:
    """One mistake.

    Args:
        mistake: What it is, in words.
        scenario: Which scenario finds it.
        owner: What is changed.
        name: Which attribute of it.
        wrong: What takes its place.
        needs_weaving: Whether only points between statements find it.
    """

    mistake: str
    scenario: str
    owner: object
    name: str
    wrong: object
    needs_weaving: bool = False

    def applied(self) -> AbstractContextManager[object]:
        """Return a context in which the library makes the mistake."""
        return patch.object(self.owner, self.name, self.wrong)


# --- transactions -------------------------------------------------------------------------------


def _submit_in_two_steps(
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


def _cancel_what_was_read(core: Core, task_id: UUID) -> TaskRecord:
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


def _look_at_closed_before(self: Core, rule: Callable[[TaskTable], object]) -> object:
    self.refuse_if_closed()
    with self.write() as table:
        return rule(table)


def _free_the_slot_first(self: Scans, done: LiveContext | None, **options: bool) -> object:
    if done is not None:
        with self._core.write() as table:
            held = table.slot_of(done.slot.library_id)
            if held == done.slot:
                table.free_slot(held)
                table.next_revision()
        with self._core.write() as table:
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


def _turn_then_register(self: Scans, done: LiveContext | None, **options: bool) -> object:
    with patch.object(Scans, "_claim", _register_after_the_commit):
        context = _turn(self, done, **options)
    if context is not None:
        self._by_task[context.slot.task_id.int] = context
    return context


def _count_after_the_commit(
    self: Core, rule: Callable[[TaskTable], list[TaskRecord]], *, while_open: bool = False
) -> list[TaskRecord]:
    if while_open:
        tasks = self.change(rule)
    else:
        with self.write() as table:
            tasks = rule(table)
    for task in tasks:
        context = self.scans.of_task(task.id)
        if context is not None:
            context.stop()
    self.wake()
    self.hub.count_ended(tasks)
    return tasks


# --- waking up ----------------------------------------------------------------------------------


def _tell_no_worker(self: Hub, *, work: bool = False) -> None:
    self.news_seq += 1
    if self.readers:
        self.news.notify_all()
    self.work_seq += work


def _tell_first(
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


def _look_then_read_the_number(
    self: Core, look: Callable[[], object], deadline: float | None
) -> object:
    while True:
        answer = look()
        if answer is not None or self.is_past(deadline):
            return answer
        self.hub.wait_for_news(self.clock, self.hub.news_seq, deadline)


def _claim_then_read_the_number(self: Workers) -> LiveContext | None:
    core, hub = self._core, self._core.hub
    while not hub.closed:
        context = core.persist(self._turn, None, until_closed=True)
        if context is not None:
            return context
        hub.wait_for_work(core.clock, hub.work_seq)
    return None


def _wait_and_stay_woken(self: Hub, clock: Clock, seen: int) -> None:
    with self.lock:
        if self.work_seq == seen:
            self.idle += 1
            try:
                clock.wait_until(self.work, None)
            finally:
                self.idle -= 1


def _wait_uncounted(self: Hub, clock: Clock, seen: int, deadline: float | None) -> None:
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


def _scan_under_a_lock(core: Core, scan: _runner.ScanFunction, context: LiveContext) -> object:
    with core.scans._lock:
        return _run_scan(core, scan, context)


_run_scan = _runner.run_scan


# --- shutting down ------------------------------------------------------------------------------


def _claim_when_closed(
    self: Scans, done: LiveContext | None, *, claims: bool = True, on_worker: bool = False
) -> LiveContext | None:
    if done is None and not claims:
        return None
    return self._turn(done, claims=claims, on_worker=on_worker)


def _claims_do_not_count(self: Scans) -> bool:
    return False


def _sweep_and_close(core: Core) -> Iterator[None]:
    closed, core.hub.closed = core.hub.closed, False
    yield from _end_pending(core)
    core.hub.closed = closed


_end_pending = _shutdown._end_pending


# --- the keeper, the changes, the counts --------------------------------------------------------


def _leave_at_once(self: Keeper, lingers_until: float | None) -> bool:
    done = self._core.hub.finished or self._core.is_past(lingers_until)
    if done:
        self._thread = None
    return done


def _wake_only_a_new_one(self: Keeper) -> None:
    if self._thread is None:
        _wake(self)


_wake = Keeper.wake


def _jump_to_the_latest(self: Queries, cursor: int) -> Iterator[ScanTask]:
    while tasks := self.list_changes(cursor, limit=CHANGES_BATCH, timeout=None):
        yield from tasks
        cursor = self.revision


def _clean_after_counting(self: LiveContext) -> TaskProgress:
    with self._lock:
        if self._dirty:
            scanned, total, message = self._scanned(), self._total, self._message
            self._latest = TaskProgress(scanned_paths=scanned, total_paths=total, message=message)
            self._dirty = False
        return self._latest


def _keep_sums_in_any_order(self: LiveContext) -> TaskProgress:
    if self._dirty:
        self._dirty = False
        with self._lock:
            scanned, total, message = self._scanned(), self._total, self._message
        self._latest = TaskProgress(scanned_paths=scanned, total_paths=total, message=message)
    return self._latest


# --- the group commit ---------------------------------------------------------------------------


def _settle_for_oneself(self: Writers[object], group: _Group[object]) -> None:
    group.members = [member for member in group.members if member is self._holder]
    _settle(self, group)


_settle = Writers._settle


def _do_not_wait(self: Block[object], timeout: float = -1) -> None:
    if self not in (self._writers._group.members if self._writers._group else ()):
        _wait(self, timeout)


_wait = Block.wait


MUTANTS = {
    "submit-in-two-steps": Mutant(
        "a submission looks for a pending task first, and makes one in a transaction of its own",
        *("new/submit/submit", _requests, "submit", _submit_in_two_steps),
    ),
    "cancel-what-was-read": Mutant(
        "a cancel changes the task as it was read before the transaction",
        *("queued/cancel_task/wait", _requests, "cancel", _cancel_what_was_read),
    ),
    "look-at-closed-before": Mutant(
        "a submission looks whether the queue is closed before its transaction, and not inside",
        *("idle/submit/shutdown", Core, "change", _look_at_closed_before),
    ),
    "free-the-slot-first": Mutant(
        "the slot of a scan is freed before its end is recorded",
        *("scanning/submit_follow_up/get_task", Scans, "_turn", _free_the_slot_first),
    ),
    "register-after-the-commit": Mutant(
        "a claimed scan is made known only after the commit, so that a cancel does not find it",
        *("cancel-ends-a-sleep", Scans, "_turn", _turn_then_register),
    ),
    "count-after-the-commit": Mutant(
        "an end is counted only after everybody was told of it",
        *("counted-when-heard", Core, "end", _count_after_the_commit),
    ),
    "tell-no-worker": Mutant(
        "new work notifies nobody",
        *("idle/submit/wait", Hub, "tell", _tell_no_worker),
    ),
    "tell-first": Mutant(
        "a submission tells of its task before it is there",
        *("new/submit/start", _requests, "submit", _tell_first),
    ),
    "look-then-read-the-number": Mutant(
        "who waits reads the sequence number after having looked",
        *("one-waiter", Core, "wait_for", _look_then_read_the_number),
    ),
    "claim-then-read-the-number": Mutant(
        "a worker reads the sequence number after having looked for work",
        *("new/submit/start", Workers, "_wait_for_scan", _claim_then_read_the_number),
    ),
    "stay-woken": Mutant(
        "a worker that woke up leaves the mark that one is waking",
        *("idle/submit/submit_other", Hub, "wait_for_work", _wait_and_stay_woken),
    ),
    "wait-uncounted": Mutant(
        "a reader looks at the number, lets the lock go, and takes it again to wait",
        *("one-waiter", Hub, "wait_for_news", _wait_uncounted),
    ),
    "scan-under-a-lock": Mutant(
        "the scanner is called while a lock of the library is held",
        *("scanner-waits-for-another", _workers, "run_scan", _scan_under_a_lock),
    ),
    "claim-when-closed": Mutant(
        "a worker claims without a look whether the queue is closed",
        *("durable-shutdown", Scans, "turn", _claim_when_closed),
    ),
    "claims-do-not-count": Mutant(
        "a shutdown does not wait for the claims that are under way",
        *("durable-shutdown", Scans, "is_claiming", property(_claims_do_not_count)),
    ),
    "sweep-and-close": Mutant(
        "a shutdown ends what is pending, and closes the queue after that",
        *("idle/submit/shutdown", _shutdown, "_end_pending", _sweep_and_close),
    ),
    "leave-at-once": Mutant(
        "the keeper leaves after its time, and does not look whether another scan has begun",
        *("report-when-the-keeper-leaves", Keeper, "_is_done", _leave_at_once),
    ),
    "wake-only-a-new-one": Mutant(
        "the keeper that is there already is not told of a report that is due later",
        *("report-when-the-keeper-leaves", Keeper, "wake", _wake_only_a_new_one),
    ),
    "jump-to-the-latest": Mutant(
        "a reader of changes goes on from the latest revision, not from the last one that it saw",
        *("readers-of-changes", Queries, "_follow", _jump_to_the_latest),
    ),
    "clean-after-counting": Mutant(
        "a report that comes while the last one is published is taken for published",
        *("advance-beside-the-keeper", LiveContext, "progress", _clean_after_counting),
        needs_weaving=True,
    ),
    "keep-sums-in-any-order": Mutant(
        "the sum of a publication that was overtaken replaces a later one (this was a bug)",
        *("advance-beside-the-keeper", LiveContext, "progress", _keep_sums_in_any_order),
    ),
    "settle-for-oneself": Mutant(
        "the last of a group commits, and does not wake the others",
        *("group-commit-2", Writers, "_settle", _settle_for_oneself),
    ),
    "leave-before-the-commit": Mutant(
        "a member of a group leaves before the commit",
        *("group-commit-2", Block, "wait", _do_not_wait),
    ),
}
"""Each mistake, by its name."""
