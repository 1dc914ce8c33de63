"""The life of one task: every pair of state and event has the answer that is written here."""

import inspect
import re
from itertools import product

import pytest

from scanqueue import _lifecycle
from scanqueue._lifecycle import (
    HOLDING_SLOT,
    STATUS_OF,
    TRANSITIONS,
    Event,
    IllegalTransitionError,
    State,
    apply,
    can,
    state_of,
)
from scanqueue.models import TaskStatus
from scanqueue.records import TaskRecord
from tests.bare_queue import BareQueue

# Written out by hand, from the contract: rows are states, columns events, "-" is illegal.
EXPECTED = """
               upgrade    claim      cancel     end        send back  report     succeed    fail       die        give up
    pending    pending    running    cancelled  cancelled  -          -          -          -          -          -
    running    -          -          stopping   stopping   returning  running    completed  failed     pending    failed
    stopping   -          -          -          -          -          -          cancelled  cancelled  cancelled  -
    returning  returning  -          stopping   -          -          -          pending    pending    pending    -
    completed  -          -          -          -          -          -          -          -          -          -
    failed     -          -          -          -          -          -          -          -          -          -
    cancelled  -          -          -          -          -          -          -          -          -          -
"""  # noqa: E501 - a table is read as a table

STATUS_AND_SLOT = {
    State.PENDING: (TaskStatus.PENDING, False),
    State.RUNNING: (TaskStatus.RUNNING, True),
    State.STOPPING: (TaskStatus.CANCELLED, True),
    State.RETURNING: (TaskStatus.PENDING, True),
    State.COMPLETED: (TaskStatus.COMPLETED, False),
    State.FAILED: (TaskStatus.FAILED, False),
    State.CANCELLED: (TaskStatus.CANCELLED, False),
}


def _read_expected() -> dict[tuple[State, Event], State | None]:
    heading, *rows = (re.split(r"\s{2,}", line.strip()) for line in EXPECTED.strip().splitlines())
    answers: dict[tuple[State, Event], State | None] = {}
    for row in rows:
        state, *targets = row
        for event, target in zip(heading, targets, strict=True):
            answers[State(state), Event(event)] = None if target == "-" else State(target)
    return answers


ANSWERS = _read_expected()

each_pair = pytest.mark.parametrize(
    ("state", "event"),
    [
        pytest.param(state, event, id=f"{state.value}-{event.value}".replace(" ", "-"))
        for state, event in product(State, Event)
    ],
)


def task_in(state: State) -> TaskRecord:
    """Return a task in a state."""
    task, _ = BareQueue().submit("music")
    task.status, task.holds_slot = STATUS_AND_SLOT[state]
    return task


def test_every_pair_has_an_answer_here() -> None:
    """Seven states and ten events; none is left out."""
    assert set(ANSWERS) == set(product(State, Event))


@each_pair
def test_an_event_leads_where_it_should(state: State, event: Event) -> None:
    """A legal one makes a successor in its target state; an illegal one is a typed error."""
    old, target = task_in(state), ANSWERS[state, event]
    assert can(old, event) == (target is not None)
    if target is None:
        with pytest.raises(IllegalTransitionError) as caught:
            apply(old, event, 2000)
        assert (caught.value.state, caught.value.event) == (state, event)
        assert caught.value.args == (state, event)
        assert str(caught.value) == f"a task that is {state.value} cannot {event.value}"
    else:
        new = apply(old, event, 2000)
        assert state_of(new) is target
        assert (new.status, new.holds_slot) == STATUS_AND_SLOT[target]


@each_pair
def test_an_event_changes_nothing_but_the_state_and_the_revision(
    state: State, event: Event
) -> None:
    """The old record stays as it was, whether the event is legal or not."""
    old = task_in(state)
    before = old.snapshot()
    if ANSWERS[state, event] is not None:
        new = apply(old, event, 2000)
        assert new is not old
        assert new.revision == 2000
        assert new.rank == old.rank
        new.status, new.holds_slot, new.revision = old.status, old.holds_slot, old.revision
        assert new.snapshot() == before
    assert old.snapshot() == before


@pytest.mark.parametrize("state", State)
def test_a_state_is_a_status_and_a_slot(state: State) -> None:
    """Both tables say the same as the one here."""
    assert (STATUS_OF[state], state in HOLDING_SLOT) == STATUS_AND_SLOT[state]
    assert state_of(task_in(state)) is state


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.CANCELLED])
def test_an_ended_task_never_changes_again(state: State) -> None:
    """No event can happen to it."""
    assert not any(can(task_in(state), event) for event in Event)


def test_no_ended_task_becomes_active_again() -> None:
    """Not in one step, and so in none."""
    for (state, _), target in TRANSITIONS.items():
        if STATUS_OF[state].is_ended:
            assert STATUS_OF[target].is_ended


def test_the_table_and_this_page_agree() -> None:
    """The table, from which the docs draw the diagram, has exactly the legal pairs."""
    assert {pair: target for pair, target in ANSWERS.items() if target} == dict(TRANSITIONS)


def test_the_theory_and_the_table_agree() -> None:
    """The docstring's list of states says of each its status and slot."""
    theory = inspect.getdoc(_lifecycle) or ""
    rows = re.findall(r"^ +([A-Z]+) +([A-Z]+) +(held|-) ", theory, re.MULTILINE)
    said = {State[name]: (TaskStatus[status], slot == "held") for name, status, slot in rows}
    assert said == STATUS_AND_SLOT
    for event in Event:
        assert event.name in theory, "the theory leaves an event out"
