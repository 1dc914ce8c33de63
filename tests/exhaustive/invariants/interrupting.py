"""What holds of shutdowns, and of the deaths of processes."""

from __future__ import annotations

from collections.abc import Iterator

from scanqueue.models import EndReason, TaskStatus
from scanqueue.records import TaskRecord
from tests.exhaustive.invariants.registry import of_steps
from tests.exhaustive.moments import Step
from tests.exhaustive.moves import EndPending, Recover, Stop

PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = TaskStatus


def _interrupted(step: Step[Stop | Recover]) -> Iterator[tuple[TaskRecord, TaskRecord]]:
    """Yield the tasks whose scan was interrupted while it ran, as they were and as they are."""
    move, before = step.move, step.before
    for slot in before.slots:
        is_hit = slot.owner in move.dead if isinstance(move, Recover) else slot == move.slot
        if is_hit and before.tasks[slot.task_id].status is RUNNING:
            yield before.tasks[slot.task_id], step.after.tasks[slot.task_id]


def _heir(step: Step[Stop | Recover], task: TaskRecord) -> TaskRecord | None:
    """Return the pending task that should take over, as it was."""
    if isinstance(step.move, Stop) and not step.move.is_durable:
        return None
    return next(iter(step.before.of(task.library_id, PENDING)), None)


@of_steps(Stop)
def a_shutdown_leaves_the_slot(step: Step[Stop]) -> None:
    """A shutdown asks a scan to stop; the slot is held until the scanner returns (section 1)."""
    assert step.after.slots == step.before.slots
    hit = list(_interrupted(step))
    assert [pair for pair in step.changes if pair[0].status is RUNNING] == hit
    assert step.answer is (hit[0][1] if hit else None)


@of_steps(Stop)
def a_shutdown_ends_a_scan_or_sends_it_back(step: Step[Stop]) -> None:
    """A durable queue sends it back if no other task waits; else it ends, SHUTDOWN (section 7)."""
    for old, new in _interrupted(step):
        if step.move.is_durable and _heir(step, old) is None:
            assert (new.status, new.interruptions) == (PENDING, old.interruptions)
        else:
            assert (new.status, new.reason) == (CANCELLED, EndReason.SHUTDOWN)
            assert new.progress == old.progress


@of_steps(Recover)
def a_death_frees_the_slots_of_its_process(step: Step[Recover]) -> None:
    """The slots of the dead are freed, and no others (section 12)."""
    dead = step.move.dead
    assert step.after.slots == tuple(slot for slot in step.before.slots if slot.owner not in dead)
    lost = [slot.task_id for slot in step.before.slots if slot.owner in dead]
    assert step.answer == [step.after.tasks[task_id] for task_id in lost]


@of_steps(Recover)
def too_many_deaths_end_a_task(step: Step[Recover]) -> None:
    """A death counts; at `max_interruptions`, or with an heir, it is FAILED (section 12)."""
    for old, new in _interrupted(step):
        assert new.interruptions == old.interruptions + 1
        if new.interruptions >= step.move.max_interruptions or _heir(step, old):
            assert (new.status, new.reason) == (FAILED, EndReason.INTERRUPTED)
            assert new.progress == old.progress
        else:
            assert new.status is PENDING


@of_steps(Recover)
def a_death_leaves_what_was_told_to_stop(step: Step[Recover]) -> None:
    """A stopping task stays CANCELLED, one sent back stays PENDING, and none counts it."""
    for old, new in step.changes:
        if old.holds_slot and old.status is not RUNNING:
            assert (new.status, new.reason) == (old.status, old.reason)
            assert (new.interruptions, new.scope) == (old.interruptions, old.scope)


@of_steps(Stop, Recover)
def an_heir_takes_over(step: Step[Stop | Recover]) -> None:
    """The heir is named, and gets both scopes, the higher priority and the deaths (section 7)."""
    expected = []
    for old, new in _interrupted(step):
        heir = _heir(step, old)
        if heir is not None:
            taken = step.after.tasks[heir.id]
            expected.append(heir)
            assert new.error is not None
            assert str(heir.id) in new.error
            assert taken.status is PENDING
            assert taken.scope == heir.scope.union(old.scope)
            assert taken.priority is max(heir.priority, old.priority)
            assert taken.interruptions == max(heir.interruptions, new.interruptions)
    waited = [task for task, _ in step.changes if task.status is PENDING and not task.holds_slot]
    assert {task.id for task in waited} == {heir.id for heir in expected}


@of_steps(EndPending)
def a_shutdown_ends_what_waits(step: Step[EndPending]) -> None:
    """Pending tasks of a queue that is not durable end CANCELLED, SHUTDOWN (section 7)."""
    first = step.before.pending[: step.move.limit]
    news = [step.after.tasks[task.id] for task in first]
    assert step.answer == news
    assert {task.id for task, _ in step.changes} == {task.id for task in first}
    assert all((new.status, new.reason) == (CANCELLED, EndReason.SHUTDOWN) for new in news)
