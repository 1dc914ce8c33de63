"""The search: every state that can be reached, each once, the nearest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from scanqueue.errors import ScanQueueError
from tests.bare_queue import BareQueue
from tests.exhaustive.folding import Key, copy_of, forget, key_of
from tests.exhaustive.invariants import ALL, Invariants
from tests.exhaustive.lifecycle import Rows
from tests.exhaustive.moments import Moment, Step, is_still, observe, step_between
from tests.exhaustive.moves import Move
from tests.exhaustive.offers import moves, what_follows
from tests.exhaustive.worlds import World

Trail: TypeAlias = tuple["Trail", Move] | None
"""How a state was reached, the last move at the end."""


class ViolationError(Exception):
    """An invariant does not hold.

    Attributes:
        invariant: The name of its function.
        path: The moves that lead there from an empty queue; there is no shorter way.
    """

    def __init__(self, invariant: Callable[..., object], trail: Trail) -> None:
        self.invariant = invariant.__name__
        self.path: list[Move] = []
        while trail is not None:
            trail, move = trail
            self.path.insert(0, move)
        lines = [f"{self.invariant}: {invariant.__doc__}", *map(str, self.path)]
        super().__init__("\n  ".join(lines))


@attrs.define
class Found:
    """What a search found when every invariant held."""

    states: int = 0
    """How many there are of which no two are alike."""
    transitions: int = 0
    """Moves that were made in them, those that the rules refuse or ignore among them."""
    depth: int = 0
    """How many moves it takes to the farthest state."""
    rows: Rows = attrs.field(factory=Rows)


@attrs.frozen(eq=False)
class _Place:
    queue: BareQueue
    moment: Moment
    trail: Trail
    depth: int


class Search:
    """A breadth-first search of one world.

    Args:
        world: What there is, and what can happen.
        invariants: What to check. That rules raise nothing unexpected and that changes are rows
            of the table of transitions is checked in any case.
    """

    def __init__(self, world: World, invariants: Invariants = ALL) -> None:
        self._world = world
        self._invariants = invariants
        self._found = Found()
        self._seen: set[Key] = set()
        self._waiting: deque[_Place] = deque()

    def run(self) -> Found:
        """Visit every state, and make every move in it.

        Raises:
            ViolationError: An invariant does not hold.
        """
        queue = BareQueue()
        self._arrive(queue, observe(queue), None, 0)
        while self._waiting:
            self._leave(self._waiting.popleft())
        self._found.states = len(self._seen)
        return self._found

    def _arrive(self, queue: BareQueue, moment: Moment, trail: Trail, depth: int) -> None:
        key = key_of(moment, self._world)
        if key in self._seen:
            return
        self._seen.add(key)
        self._found.depth = depth
        if forget(queue, moment, self._world):
            moment = observe(queue)
        for check in self._invariants.futures:
            _hold(check, trail, copy_of(queue))
        self._waiting.append(_Place(queue, moment, trail, depth))

    def _leave(self, place: _Place) -> None:
        """Make every move, each in a queue that is as it was."""
        queue = None
        for move in moves(self._world, place.moment):
            self._found.transitions += 1
            queue = queue or copy_of(place.queue)
            next_move: Move | None = move
            moment, trail = place.moment, place.trail
            while next_move is not None:
                trail = (trail, next_move)
                step = self._take(queue, moment, next_move, trail)
                moment = step.after
                next_move = what_follows(self._world, next_move, step.answer)
            if moment is not place.moment:
                self._arrive(queue, moment, trail, place.depth + 1)
                queue = None

    def _take(self, queue: BareQueue, before: Moment, move: Move, trail: Trail) -> Step[Any]:
        """Make a move, and check all that must hold after it."""
        answer = _hold(a_rule_answers_or_refuses, trail, queue, move)
        if is_still(queue, before):
            step: Step[Any] = Step(before, move, answer, before)
        else:
            step = step_between(before, move, answer, observe(queue))
            for look in self._invariants.states:
                _hold(look, trail, queue, step.after)
        for check in self._invariants.steps[type(move)]:
            _hold(check, trail, step)
        _hold(self._found.rows.each_change_is_a_row, trail, step)
        return step


def a_rule_answers_or_refuses(queue: BareQueue, move: Move) -> object:
    """A rule returns, or raises one of the errors that the contract names (section 10)."""
    try:
        return move.make(queue)
    except ScanQueueError as error:
        return error


def _hold(check: Callable[..., Any], trail: Trail, *args: object) -> Any:  # noqa: ANN401 - what the check returns
    try:
        return check(*args)
    except Exception as error:
        raise ViolationError(check, trail) from error
