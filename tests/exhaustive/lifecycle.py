"""Which rows of the table of transitions a search used, and which pairs it tried in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs

from scanqueue._lifecycle import TRANSITIONS, Event, State, state_of
from scanqueue.records import TaskRecord
from tests.exhaustive.moments import Step
from tests.exhaustive.moves import (
    Cancel,
    CancelLibrary,
    Claim,
    EndPending,
    Finish,
    Move,
    Recover,
    Report,
    Stop,
    Submit,
)

Pair: TypeAlias = tuple[State, Event]


def events_of(move: Move) -> tuple[Event, ...]:
    """Return the events that a move can be to some task."""
    if isinstance(move, Finish):
        return (Event.FAIL if move.ending.result is None else Event.SUCCEED,)
    return _EVENTS.get(type(move), ())


_EVENTS: dict[type[Move], tuple[Event, ...]] = {
    Submit: (Event.UPGRADE,),
    Claim: (Event.CLAIM,),
    Report: (Event.REPORT,),
    Cancel: (Event.CANCEL,),
    CancelLibrary: (Event.CANCEL,),
    Stop: (Event.SEND_BACK, Event.END, Event.UPGRADE),
    EndPending: (Event.END,),
    Recover: (Event.DIE, Event.GIVE_UP, Event.UPGRADE),
}


def _within_reach(step: Step[Any]) -> Iterator[TaskRecord]:
    """Yield the tasks, as they were, to which a move could have happened; it may name one."""
    move, tasks = step.move, step.before.tasks
    if isinstance(move, Cancel):
        aims = [move.task_id]
    elif isinstance(move, Report | Finish):
        aims = [move.slot.task_id]
    elif isinstance(move, Submit | CancelLibrary):
        aims = [task.id for task in tasks.values() if task.library_id == move.library_id]
    elif isinstance(move, Stop):  # and its heir
        aims = [task.id for task in tasks.values() if task.library_id == move.slot.library_id]
    else:  # it chooses
        aims = list(tasks)
    return (tasks[task_id] for task_id in aims if task_id in tasks)


@attrs.define
class Rows:
    """What a search has used of the table, and what it has tried beside it."""

    used: Counter[Pair] = attrs.field(factory=Counter)
    """How many changes of a task were this row."""
    tried: set[Pair] = attrs.field(factory=set)
    """Pairs of a state and an event that could have happened in it, and did not."""

    def each_change_is_a_row(self, step: Step[Any]) -> None:
        """Each change of a task is one row of the table of transitions, for what was done."""
        events = events_of(step.move)
        changed = {old.id: new for old, new in step.changes}
        for old in _within_reach(step):
            new = changed.pop(old.id, None)
            pairs = {(state_of(old), event) for event in events}
            if new is not None:
                rows = [pair for pair in pairs if TRANSITIONS.get(pair) is state_of(new)]
                assert len(rows) == 1
                self.used[rows[0]] += 1
                pairs.remove(rows[0])
            self.tried |= pairs
        assert not changed
        assert all(state_of(task) is State.PENDING for task in step.made)

    def update(self, other: Rows) -> None:
        """Add what another search has used."""
        self.used.update(other.used)
        self.tried |= other.tried
