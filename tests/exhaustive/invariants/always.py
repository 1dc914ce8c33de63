"""What holds of every step, whatever was done."""

from __future__ import annotations

from typing import Any

import attrs

from scanqueue.models import TaskStatus
from tests.exhaustive.invariants.registry import of_steps
from tests.exhaustive.moments import Step
from tests.exhaustive.moves import (
    Cancel,
    CancelLibrary,
    Claim,
    EndPending,
    Finish,
    PassTime,
    Prune,
    Recover,
    Report,
    SetPaused,
    Stop,
    Submit,
)

PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = TaskStatus


@of_steps()
def a_refusal_changes_nothing(step: Step[Any]) -> None:
    """When a rule raises, nothing has happened (sections 4 and 6)."""
    assert step.is_still or not isinstance(step.answer, Exception)


@of_steps()
def each_change_has_a_revision_of_its_own(step: Step[Any]) -> None:
    """Each change gives its task a revision above all before it, and the queue the highest."""
    touched = [*step.made, *(new for _, new in step.changes)]
    revisions = {task.revision for task in touched}
    assert len(revisions) == len(touched)
    assert all(revision > step.before.revision for revision in revisions)
    assert step.after.revision == max(revisions, default=step.before.revision)


@of_steps()
def an_ended_task_stays_as_it_is(step: Step[Any]) -> None:
    """Of a task that has ended only the slot, and the result that it brings, change (section 1)."""
    for old, new in step.changes:
        if old.status.is_ended:
            assert old.holds_slot
            fields = attrs.fields_dict(type(new)).keys() - {"holds_slot", "result", "revision"}
            assert all(getattr(old, name) == getattr(new, name) for name in fields)


@of_steps()
def priority_never_falls(step: Step[Any]) -> None:
    """Only the priority of a pending task changes, and it rises (section 4)."""
    for old, new in step.changes:
        assert new.priority == old.priority or (
            new.priority > old.priority and old.status is new.status is PENDING
        )


@of_steps()
def a_task_stays_itself(step: Step[Any]) -> None:
    """Id, library and submission stay; the rank too, until it is that of the end (section 4)."""
    for old, new in step.changes:
        assert (new.id, new.library_id, new.created_at) == (old.id, old.library_id, old.created_at)
        ends = new.status.is_ended and not old.status.is_ended
        assert new.rank == (new.revision if ends else old.rank)
        assert new.completed_at == (step.before.now if ends else old.completed_at)


@of_steps()
def slots_come_back_by_an_end_or_a_death(step: Step[Any]) -> None:
    """A slot is freed when its scanner has returned or its process is dead (section 1)."""
    move = step.move
    for slot in step.before.slots:
        if slot not in step.after.slots:
            returned = isinstance(move, Finish) and move.slot == slot
            assert returned or (isinstance(move, Recover) and slot.owner in move.dead)
    taken = [slot for slot in step.after.slots if slot not in step.before.slots]
    assert not taken or isinstance(move, Claim)


@of_steps()
def attempts_count_the_scans_begun(step: Step[Any]) -> None:
    """The attempt of a task grows by one when it is claimed, and at no other time (section 2)."""
    assert all(task.attempt == 0 for task in step.made)
    for old, new in step.changes:
        assert new.attempt == old.attempt + isinstance(step.move, Claim)


@of_steps()
def starts_are_those_of_claims(step: Step[Any]) -> None:
    """A task starts when it is claimed, and has not started once it waits again (section 7)."""
    assert all(task.started_at is None for task in step.made)
    for old, new in step.changes:
        if isinstance(step.move, Claim):
            assert new.started_at == step.before.now
        else:
            assert new.started_at == (None if new.status is PENDING else old.started_at)


@of_steps()
def interruptions_count_deaths_while_running(step: Step[Any]) -> None:
    """A task counts the deaths of its process while it ran; an heir takes over (section 2)."""
    assert all(task.interruptions == 0 for task in step.made)
    if not isinstance(step.move, Recover | Stop):
        assert all(new.interruptions == old.interruptions for old, new in step.changes)


@of_steps()
def what_waits_is_not_lost(step: Step[Any]) -> None:
    """A pending task waits on, as wide as before, until it is claimed or ended on request."""
    for old, new in step.changes:
        if old.status is PENDING:
            if new.status is RUNNING:
                assert isinstance(step.move, Claim)
            elif new.status is not PENDING:
                assert isinstance(step.move, Cancel | CancelLibrary | EndPending)
            assert new.scope.covers(old.scope)
            assert new.scope == old.scope or new.status is PENDING


@of_steps()
def what_runs_is_not_lost(step: Step[Any]) -> None:
    """A scan ends by its scanner, a cancel, a shutdown or a death, with the scope that it had."""
    for old, new in step.changes:
        if old.status is RUNNING:
            assert new.scope == old.scope
            if new.status is COMPLETED:
                assert isinstance(step.move, Finish)
            if new.status is FAILED:
                assert isinstance(step.move, Finish | Recover)
            if new.status is CANCELLED:
                assert isinstance(step.move, Cancel | CancelLibrary | Stop)
            if new.status is PENDING:
                assert isinstance(step.move, Stop | Recover)


@of_steps()
def only_pruning_forgets(step: Step[Any]) -> None:
    """A task is there until it is pruned (section 3)."""
    assert isinstance(step.move, Prune) or not step.gone


@of_steps()
def only_submissions_make_tasks(step: Step[Any]) -> None:
    """A task is made for a submission (section 1)."""
    assert isinstance(step.move, Submit) or not step.made


@of_steps(Submit, CancelLibrary, Report, Finish, Stop)
def other_libraries_do_not_notice(step: Step[Any]) -> None:
    """What is done to a library, or by its scan, changes no task of another (section 5)."""
    move = step.move
    mine = move.library_id if isinstance(move, Submit | CancelLibrary) else move.slot.library_id
    touched = [*step.made, *(new for _, new in step.changes)]
    assert {task.library_id for task in touched} <= {mine}


@of_steps()
def pausing_and_the_clock_change_no_task(step: Step[Any]) -> None:
    """To pause holds new scans back, and time passes: neither is a change of a task (section 3)."""
    if isinstance(step.move, SetPaused | PassTime):
        assert step.after.changed == step.before.changed
        assert step.after.slots == step.before.slots
    expected = step.move.is_paused if isinstance(step.move, SetPaused) else step.before.is_paused
    assert step.after.is_paused == expected
