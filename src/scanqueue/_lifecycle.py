"""The life of one task.

# The theory

A task has a *status*, which is what its users were told, and it may hold the *slot* of its
library, which is what is physically true: a scanner is at work for it. The two do not move
together. A cancel changes the status at once, since that is a decision; the slot comes back when
the scanner returns, or when its process is dead, since Python cannot end a thread.

So a task is in one of seven states, each a pair of status and slot:

    state       status     slot    meaning
    PENDING     PENDING    -       it waits for its turn
    RUNNING     RUNNING    held    its scanner is at work
    STOPPING    CANCELLED  held    it was cancelled, its scanner has not returned yet
    RETURNING   PENDING    held    a shutdown sent it back, its scanner has not returned yet
    COMPLETED   COMPLETED  -       its scanner returned a result
    FAILED      FAILED     -       its scanner raised, or its process died for good
    CANCELLED   CANCELLED  -       it was cancelled, and no scanner is at work

There is no state (COMPLETED, held) and none (FAILED, held): these are recorded in the very
transaction that frees the slot.

What can happen to it is an *event*. Two kinds of them decide its status: its users (UPGRADE,
CANCEL), the queue (CLAIM, END, SEND_BACK). The others say what became of its scanner: REPORT,
SUCCEED and FAIL come from a scanner that is alive; DIE and GIVE_UP from recovery, when its process
is dead.

Cancel against completion needs no arbiter: both are a transition from RUNNING, transactions are
serial, and the second one finds another row of the table. SUCCEED from STOPPING does not complete
the task; it only frees the slot.

A pair that is not in the table is illegal. The rules answer it with one typed error, or, where it
comes from a scan that lost its claim to the task, with nothing; either way, nothing has happened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from scanqueue.models import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanqueue.records import TaskRecord


class State(StrEnum):
    """A status, and whether the slot is held."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    RETURNING = "returning"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What can happen to a task."""

    UPGRADE = "upgrade"
    """A submission raised its priority or widened its scope."""
    CLAIM = "claim"
    """A worker takes it, and the slot of its library."""
    CANCEL = "cancel"
    """A user cancelled it."""
    END = "end"
    """A shutdown ends it, for good."""
    SEND_BACK = "send back"
    """A shutdown asks its scan to stop, so that it runs again at the next start."""
    REPORT = "report"
    """Its scanner says how far it is."""
    SUCCEED = "succeed"
    """Its scanner returned a result."""
    FAIL = "fail"
    """Its scanner raised, or returned something else."""
    DIE = "die"
    """Its process died, and it may run again."""
    GIVE_UP = "give up"
    """Its process died too often, or a replacement waits."""


class IllegalTransitionError(Exception):
    """The event cannot happen in this state; nothing has happened.

    Attributes:
        state: The state that the task is in.
        event: The event that came.
    """

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"a task that is {self.state.value} cannot {self.event.value}"


_S, _E = State, Event

TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    # It waits.
    (_S.PENDING, _E.UPGRADE): _S.PENDING,
    (_S.PENDING, _E.CLAIM): _S.RUNNING,
    (_S.PENDING, _E.CANCEL): _S.CANCELLED,
    (_S.PENDING, _E.END): _S.CANCELLED,
    # Its scanner is at work.
    (_S.RUNNING, _E.REPORT): _S.RUNNING,
    (_S.RUNNING, _E.SUCCEED): _S.COMPLETED,
    (_S.RUNNING, _E.FAIL): _S.FAILED,
    (_S.RUNNING, _E.CANCEL): _S.STOPPING,
    (_S.RUNNING, _E.END): _S.STOPPING,
    (_S.RUNNING, _E.SEND_BACK): _S.RETURNING,
    (_S.RUNNING, _E.DIE): _S.PENDING,
    (_S.RUNNING, _E.GIVE_UP): _S.FAILED,
    # It was told to stop: however its scanner goes, only the slot comes back.
    (_S.STOPPING, _E.SUCCEED): _S.CANCELLED,
    (_S.STOPPING, _E.FAIL): _S.CANCELLED,
    (_S.STOPPING, _E.DIE): _S.CANCELLED,
    (_S.RETURNING, _E.SUCCEED): _S.PENDING,
    (_S.RETURNING, _E.FAIL): _S.PENDING,
    (_S.RETURNING, _E.DIE): _S.PENDING,
    # It waits again already, so what a pending task can do it can do, but for a claim.
    (_S.RETURNING, _E.UPGRADE): _S.RETURNING,
    (_S.RETURNING, _E.CANCEL): _S.STOPPING,
}
"""Every legal transition. COMPLETED, FAILED and CANCELLED have none: an ended task stays so."""

STATUS_OF: Final[Mapping[State, TaskStatus]] = {
    _S.PENDING: TaskStatus.PENDING,
    _S.RUNNING: TaskStatus.RUNNING,
    _S.STOPPING: TaskStatus.CANCELLED,
    _S.RETURNING: TaskStatus.PENDING,
    _S.COMPLETED: TaskStatus.COMPLETED,
    _S.FAILED: TaskStatus.FAILED,
    _S.CANCELLED: TaskStatus.CANCELLED,
}
"""What the users of a task are told."""

HOLDING_SLOT: Final[frozenset[State]] = frozenset({_S.RUNNING, _S.STOPPING, _S.RETURNING})
"""The states in which a scanner is at work."""

_STATE_OF: Final[Mapping[tuple[TaskStatus, bool], State]] = {
    (status, state in HOLDING_SLOT): state for state, status in STATUS_OF.items()
}


_STEPS: Final[Mapping[tuple[TaskStatus, bool, Event], tuple[TaskStatus, bool]]] = {
    (STATUS_OF[state], state in HOLDING_SLOT, event): (STATUS_OF[target], target in HOLDING_SLOT)
    for (state, event), target in TRANSITIONS.items()
}
"""The same table by what a record says, so that a step is one look-up."""


def state_of(task: TaskRecord) -> State:
    """Return the state that a task is in."""
    return _STATE_OF[task.status, task.holds_slot]


def can(task: TaskRecord, event: Event) -> bool:
    """Return whether the event can happen to a task now."""
    return (task.status, task.holds_slot, event) in _STEPS


def apply(old: TaskRecord, event: Event, revision: int) -> TaskRecord:
    """Return the successor of a task that an event made; the record itself is not changed.

    Args:
        old: The task.
        event: What happens to it.
        revision: The revision of the change.

    Raises:
        IllegalTransitionError: It cannot happen in the state that the task is in.
    """
    target = _STEPS.get((old.status, old.holds_slot, event))
    if target is None:
        raise IllegalTransitionError(state_of(old), event)
    new = old.successor(revision)
    new.status, new.holds_slot = target
    return new
