"""The life of the queue: every rule of it, once, as a function of a table.

Nothing here knows of threads, clocks or SQL. A rule is called inside one transaction of a store,
and so sees one moment and changes it as a whole. It computes first and writes last, with nothing
between two writes that can raise, since a table in memory cannot roll back.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import attrs

from scanqueue._lifecycle import Event, apply, can
from scanqueue.errors import QueueFullError, TaskNotCancellableError, TaskNotFoundError
from scanqueue.models import (
    NO_PROGRESS,
    EndReason,
    SubmitOutcome,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.records import Slot, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from uuid import UUID

    from scanqueue.models import LibraryId, ScanScope, TaskProgress
    from scanqueue.protocols import TaskTable, TaskView
    from scanqueue.records import OwnerId

_PENDING = TaskStatus.PENDING  # to look for a member takes Python 3.11 0.1 us

PRUNE_BATCH = 64
"""How many expired tasks one transaction deletes at most, so that none takes long."""


@attrs.frozen
class Ending:
    """How a scanner returned: with a result, or with a reason and an error."""

    result: TaskResult | None
    reason: EndReason | None = None
    error: str | None = None


# --- asking -------------------------------------------------------------------------------------


def running_of(view: TaskView, library_id: LibraryId) -> TaskRecord | None:
    """Return the RUNNING task of a library, or None."""
    slot = view.slot_of(library_id)
    return None if slot is None else _running_in(view, slot)


def _running_in(view: TaskView, slot: Slot) -> TaskRecord | None:
    task = view.get(slot.task_id)
    return task if task is not None and task.status is TaskStatus.RUNNING else None


def active_of(view: TaskView, library_id: LibraryId) -> list[TaskRecord]:
    """Return the active tasks of a library, the RUNNING one first."""
    tasks = (running_of(view, library_id), view.pending_of(library_id))
    return [task for task in tasks if task is not None]


def running(view: TaskView) -> list[TaskRecord]:
    """Return the RUNNING tasks, the one that started first at the front."""
    tasks = (_running_in(view, slot) for slot in view.slots())
    return [task for task in tasks if task is not None]


def history(
    view: TaskView, window_start: datetime, limit: int | None, library_id: LibraryId | None
) -> list[TaskRecord]:
    """Return the ended tasks of the window and all stopping ones, the latest end first."""
    found = list(view.ended(window_start, limit, library_id))
    tasks = (view.get(slot.task_id) for slot in view.slots())
    older = [
        task
        for task in tasks
        if task is not None
        and task.is_stopping
        and task.completed_at is not None
        and task.completed_at < window_start
        and library_id in {None, task.library_id}
    ]
    if older:
        found = sorted(found + older, key=attrgetter("rank"), reverse=True)
    return found[:limit]


# --- submitting ---------------------------------------------------------------------------------


def _covering(
    pending: TaskRecord | None,
    running: TaskRecord | None,
    priority: TaskPriority,
    scope: ScanScope,
    when_running: WhenRunning,
) -> TaskRecord | None:
    """Return the task that covers a request just as it is, or None.

    Args:
        pending: The PENDING task of the library.
        running: Its RUNNING task.
        priority: What is asked for.
        scope: What is asked for.
        when_running: What is asked for.
    """
    if pending is not None:
        return pending if pending.priority >= priority and pending.scope.covers(scope) else None
    if running is None or when_running is WhenRunning.FOLLOW_UP:
        return None
    return running if running.scope.covers(scope) else None


def submit(
    table: TaskTable,
    library_id: LibraryId,
    priority: TaskPriority,
    scope: ScanScope,
    when_running: WhenRunning,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
    max_pending: int | None,
) -> tuple[TaskRecord, SubmitOutcome]:
    """Find or make the task that covers a request.

    Raises:
        QueueFullError: It would be one task too many.
    """
    pending = table.pending_of(library_id)
    running = running_of(table, library_id)
    task = _covering(pending, running, priority, scope, when_running)
    if task is not None:
        return task, SubmitOutcome.JOINED
    if pending is not None:
        task = _raise(pending, priority, scope, table.next_revision())
        table.replace(pending, task)
        return task, SubmitOutcome.UPGRADED
    if (
        max_pending is not None
        and priority is not TaskPriority.HIGH
        and table.counts().pending >= max_pending
    ):
        raise QueueFullError(max_pending)
    revision = table.next_revision()
    task = TaskRecord(new_id(), library_id, priority, _PENDING, scope, now, revision, rank=revision)
    table.insert(task)
    return task, SubmitOutcome.CREATED if running is None else SubmitOutcome.FOLLOW_UP


def _raise(
    pending: TaskRecord, priority: TaskPriority, scope: ScanScope, revision: int
) -> TaskRecord:
    """Return the pending task with the higher priority and the union of the scopes."""
    task = apply(pending, Event.UPGRADE, revision)
    task.priority = max(pending.priority, priority)
    task.scope = pending.scope.union(scope)
    return task


# --- running ------------------------------------------------------------------------------------


def claimable(view: TaskView, max_running: int | None) -> TaskRecord | None:
    """Return the task to run next, or None. The one place that says what can be claimed."""
    if view.paused():
        return None
    if max_running is not None and view.counts().slots >= max_running:
        return None
    return view.first_claimable()


def claim(
    table: TaskTable, owner: OwnerId, *, now: datetime, max_running: int | None
) -> tuple[TaskRecord, Slot] | None:
    """Take the next task and the slot of its library; None when there is nothing to run."""
    pending = claimable(table, max_running)
    if pending is None:
        return None
    task = apply(pending, Event.CLAIM, table.next_revision())
    task.started_at = now
    task.attempt += 1
    slot = Slot(task.library_id, task.id, task.attempt, owner)
    table.take_slot(slot)
    table.replace(pending, task)
    return task, slot


def _current(view: TaskView, slot: Slot) -> TaskRecord | None:
    """Return the task of a scan, or None when another attempt has come after it: the fence."""
    held = view.slot_of(slot.library_id)
    return _task_of(view, slot) if held is slot or held == slot else None


def _task_of(view: TaskView, slot: Slot) -> TaskRecord | None:
    """Return the task that a slot is held for; None if its record is lost, or denies it."""
    task = view.get(slot.task_id)
    return task if task is not None and task.holds_slot else None


def is_lost(view: TaskView, slot: Slot, claimed_at: int) -> bool:
    """Return whether a scan should stop: its task was cancelled, or is another attempt's now.

    Args:
        view: One moment of the queue.
        slot: The scan's.
        claimed_at: The revision of its claim; one that is not committed yet is not lost.
    """
    if view.revision() < claimed_at:
        return False
    current = _current(view, slot)
    return current is None or current.status is not TaskStatus.RUNNING


def report(table: TaskTable, slot: Slot, progress: TaskProgress) -> TaskRecord | None:
    """Publish the progress of a scan; None when nobody cares any more."""
    old = _current(table, slot)
    if old is None or not can(old, Event.REPORT) or old.progress == progress:
        return None
    task = apply(old, Event.REPORT, table.next_revision())
    task.progress = progress
    table.replace(old, task)
    return task


def finish(
    table: TaskTable, slot: Slot, ending: Ending, progress: TaskProgress, *, now: datetime
) -> TaskRecord | None:
    """Record that a scanner returned, and free its slot; None when the slot is not its own."""
    old = _current(table, slot)
    if old is None:
        if table.slot_of(slot.library_id) == slot:  # its record was lost
            table.free_slot(slot)
            table.next_revision()  # nobody's, but who polls for it looks again
        return None
    event = Event.FAIL if ending.result is None else Event.SUCCEED
    task = apply(old, event, table.next_revision())
    if old.status is TaskStatus.RUNNING:
        task.progress = progress
        task.error = ending.error
        _end(task, ending.reason, now)
    if task.status.is_ended:
        task.result = ending.result
    table.free_slot(slot)
    table.replace(old, task)
    return task


def _end(task: TaskRecord, reason: EndReason | None, now: datetime) -> None:
    """Fill in what an event that ended a task leaves open."""
    task.rank = task.revision
    task.completed_at = now
    task.reason = reason


# --- cancelling ---------------------------------------------------------------------------------


def cancel(table: TaskTable, task_id: UUID, *, now: datetime) -> TaskRecord:
    """Cancel a task on request.

    Raises:
        TaskNotFoundError: There is no such task.
        TaskNotCancellableError: It has ended already.
    """
    old = table.get(task_id)
    if old is None:
        raise TaskNotFoundError(task_id)
    if not can(old, Event.CANCEL):
        raise TaskNotCancellableError(old.snapshot())
    return _cancel(table, old, now)


def cancel_library(table: TaskTable, library_id: LibraryId, *, now: datetime) -> list[TaskRecord]:
    """Cancel the active tasks of a library on request, the RUNNING one first."""
    return [_cancel(table, old, now) for old in active_of(table, library_id)]


def _cancel(table: TaskTable, old: TaskRecord, now: datetime) -> TaskRecord:
    task = apply(old, Event.CANCEL, table.next_revision())
    _end(task, EndReason.REQUESTED, now)
    table.replace(old, task)
    return task


# --- shutting down and coming back --------------------------------------------------------------


def end_pending(table: TaskTable, *, now: datetime, limit: int) -> list[TaskRecord]:
    """End up to `limit` pending tasks because of a shutdown of a queue that is not durable."""
    ended = []
    for old in table.pending(limit):
        task = apply(old, Event.END, table.next_revision())
        _end(task, EndReason.SHUTDOWN, now)
        table.replace(old, task)
        ended.append(task)
    return ended


def stop(table: TaskTable, slot: Slot, *, now: datetime, durable: bool) -> TaskRecord | None:
    """Ask a scan to stop because of a shutdown; None when it was not running any more.

    In a durable queue its task waits for the next start, unless a follow-up waits already.
    """
    old = _current(table, slot)
    if old is None or old.status is not TaskStatus.RUNNING:
        return None
    waiting = table.pending_of(slot.library_id) if durable else None
    if durable and waiting is None:
        task = apply(old, Event.SEND_BACK, table.next_revision())
        _rewind(task)
    else:
        task = apply(old, Event.END, table.next_revision())
        _end(task, EndReason.SHUTDOWN, now)
    _replace_for(table, old, task, waiting)
    return task


def recover(
    table: TaskTable, dead: Collection[OwnerId], *, now: datetime, max_interruptions: int
) -> list[TaskRecord]:
    """Free the slots of dead owners; their RUNNING tasks wait again, or end."""
    recovered = []
    for slot in table.slots():
        if slot.owner in dead:
            old = _task_of(table, slot)
            if old is None:  # a record that was lost must not hold its library for ever
                table.free_slot(slot)
                table.next_revision()  # nobody's, but who polls for it looks again
            else:
                recovered.append(_recover(table, slot, old, now, max_interruptions))
    return recovered


def _recover(
    table: TaskTable, slot: Slot, old: TaskRecord, now: datetime, max_interruptions: int
) -> TaskRecord:
    was_running = old.status is TaskStatus.RUNNING
    interruptions = old.interruptions + was_running
    waiting = table.pending_of(slot.library_id) if was_running else None
    gives_up = was_running and (waiting is not None or interruptions >= max_interruptions)
    task = apply(old, Event.GIVE_UP if gives_up else Event.DIE, table.next_revision())
    task.interruptions = interruptions
    if gives_up:
        task.error = f"its process died while it ran; deaths so far: {interruptions}"
        _end(task, EndReason.INTERRUPTED, now)
    elif was_running:
        _rewind(task)
    table.free_slot(slot)
    _replace_for(table, old, task, waiting)
    return task


def _rewind(task: TaskRecord) -> None:
    task.started_at = None
    task.progress = NO_PROGRESS


def _replace_for(
    table: TaskTable, old: TaskRecord, task: TaskRecord, heir: TaskRecord | None
) -> None:
    """Write how a scan was interrupted; a follow-up that waits takes over what it was to do."""
    if heir is None:
        table.replace(old, task)
        return
    task.error = f"replaced by task {heir.id}, which was waiting already"
    successor = _raise(heir, task.priority, task.scope, table.next_revision())
    successor.interruptions = max(heir.interruptions, task.interruptions)
    table.replace(old, task)
    table.replace(heir, successor)


# --- forgetting ---------------------------------------------------------------------------------


def prune(table: TaskTable, before: datetime) -> int:
    """Delete some of the tasks that ended before a moment; return how many."""
    return table.delete_ended(before, PRUNE_BATCH)
