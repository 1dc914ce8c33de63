"""What holds in every state."""

from __future__ import annotations

from collections import Counter

from scanqueue import _rules
from scanqueue.models import NO_PROGRESS, EndReason, TaskStatus
from scanqueue.records import Counts
from tests.bare_queue import NOON, BareQueue
from tests.exhaustive.invariants.registry import of_states
from tests.exhaustive.moments import Moment, submission
from tests.exhaustive.worlds import BETWEEN, END_OF_TIME

PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = TaskStatus

REASONS: dict[TaskStatus, set[EndReason | None]] = {
    PENDING: {None},
    RUNNING: {None},
    COMPLETED: {None},
    FAILED: {EndReason.ERROR, EndReason.UNAVAILABLE, EndReason.INTERRUPTED},
    CANCELLED: {EndReason.REQUESTED, EndReason.SHUTDOWN},
}


@of_states
def a_library_has_one_running_and_one_pending_task(queue: BareQueue, moment: Moment) -> None:
    """A library has at most one RUNNING and one PENDING task (section 4)."""
    places = Counter(
        (task.library_id, task.status) for task in moment.changed if task.status.is_active
    )
    assert set(places.values()) <= {1}
    for task in moment.changed:
        if task.status is PENDING:
            assert queue.table.pending_of(task.library_id) is task


@of_states
def a_slot_belongs_to_the_task_that_says_so(queue: BareQueue, moment: Moment) -> None:
    """Each slot belongs to one attempt of one task, which says that it holds it (section 1)."""
    holders = {
        (task.library_id, task.id, task.attempt) for task in moment.changed if task.holds_slot
    }
    held = [(slot.library_id, slot.task_id, slot.attempt) for slot in moment.slots]
    assert holders == set(held)
    assert len({slot.library_id for slot in moment.slots}) == len(held)
    assert all(queue.table.slot_of(slot.library_id) == slot for slot in moment.slots)


@of_states
def who_runs_holds_a_slot(queue: BareQueue, moment: Moment) -> None:
    """A RUNNING task holds the slot, a COMPLETED or FAILED one never does (sections 1 and 2)."""
    for task in moment.changed:
        assert task.holds_slot or task.status is not RUNNING
        assert not (task.holds_slot and task.status in {COMPLETED, FAILED})


@of_states
def who_waits_has_nothing_to_show(queue: BareQueue, moment: Moment) -> None:
    """A PENDING task has no start, no progress, no result and no error (sections 2 and 7)."""
    for task in moment.pending:
        assert task.status is PENDING
        assert (task.started_at, task.progress) == (None, NO_PROGRESS)
        assert (task.result, task.error) == (None, None)


@of_states
def moments_fit_the_status(queue: BareQueue, moment: Moment) -> None:
    """Who ended has the moment of it, who runs or ran that of its start (section 2)."""
    for task in moment.changed:
        assert (task.completed_at is not None) == task.status.is_ended
        if task.status in {RUNNING, COMPLETED, FAILED}:
            assert task.started_at is not None
            assert task.attempt >= 1


@of_states
def an_end_says_why(queue: BareQueue, moment: Moment) -> None:
    """Who ended has a reason that fits; who completed has a result instead (section 2)."""
    for task in moment.changed:
        assert task.reason in REASONS[task.status]
        assert task.error is None or task.status in {FAILED, CANCELLED}
        assert task.error is not None or task.status is not FAILED
        assert task.result is not None or task.status is not COMPLETED


@of_states
def counts_equal_what_is_there(queue: BareQueue, moment: Moment) -> None:
    """The counts are those of the tasks and slots that are there (section 3)."""
    statuses = Counter(task.status.value for task in moment.changed)
    stopping = sum(task.holds_slot and task.status.is_ended for task in moment.changed)
    assert moment.counts == Counts(**statuses, stopping=stopping, slots=len(moment.slots))


@of_states
def pending_tasks_are_in_order_of_claim(queue: BareQueue, moment: Moment) -> None:
    """Higher priority first, then the order of submission, whatever the clock says (section 5)."""
    waiting = [task for task in moment.changed if task.status is PENDING]
    waiting.sort(key=lambda task: (-task.priority, submission(task)))
    assert list(moment.pending) == waiting
    oldest = min(waiting, key=submission, default=None)
    assert queue.table.oldest_pending() is oldest


@of_states
def revisions_are_in_order(queue: BareQueue, moment: Moment) -> None:
    """No two tasks have one revision, and none is above that of the queue (section 1)."""
    revisions = [task.revision for task in moment.changed]
    assert revisions == sorted(set(revisions))
    assert all(revision <= moment.revision for revision in revisions)


@of_states
def history_has_what_ended(queue: BareQueue, moment: Moment) -> None:
    """History has who ended in the window and who is stopping, latest first (section 3)."""
    ended = [task for task in moment.changed if task.completed_at is not None]
    ended.sort(key=lambda task: -task.rank)
    libraries = {task.library_id for task in ended}
    for since in (NOON, BETWEEN, END_OF_TIME):
        for wanted in (None, *libraries):
            found = [
                task
                for task in ended
                if (task.holds_slot or task.completed_at >= since)  # type: ignore[operator]
                and wanted in {None, task.library_id}
            ]
            assert _rules.history(queue.table, since, None, wanted) == found
            assert _rules.history(queue.table, since, 1, wanted) == found[:1]


@of_states
def the_active_are_listed(queue: BareQueue, moment: Moment) -> None:
    """The running ones, the earliest start first, and of a library the running one (section 3)."""
    running = [moment.tasks[slot.task_id] for slot in moment.slots]
    running = [task for task in running if task.status is RUNNING]
    assert _rules.running(queue.table) == running
    for task in moment.changed:
        library_id = task.library_id
        active = moment.of(library_id, RUNNING) + moment.of(library_id, PENDING)
        assert _rules.active_of(queue.table, library_id) == active


@of_states
def a_scan_is_lost_once_its_task_does_not_run(queue: BareQueue, moment: Moment) -> None:
    """The context of a scan says `cancelled` if and only if its task runs no more (section 5)."""
    for slot in moment.slots:
        is_running = moment.tasks[slot.task_id].status is RUNNING
        assert _rules.is_lost(queue.table, slot, moment.revision) == (not is_running)
        assert not _rules.is_lost(queue.table, slot, moment.revision + 1)
