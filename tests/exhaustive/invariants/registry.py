"""Where the invariants are kept: each a function of one sentence, under its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import attrs

from tests.bare_queue import BareQueue
from tests.exhaustive.moments import Moment, Step
from tests.exhaustive.moves import Move

StateCheck: TypeAlias = Callable[[BareQueue, Moment], None]
StepCheck: TypeAlias = Callable[[Step[Any]], None]
FutureCheck: TypeAlias = Callable[[BareQueue], None]
Check: TypeAlias = StateCheck | StepCheck | FutureCheck

S = TypeVar("S", bound=StateCheck)
F = TypeVar("F", bound=FutureCheck)
C = TypeVar("C", bound=StepCheck)


@attrs.frozen(eq=False)
class Invariants:
    """What a search checks, in this order."""

    states: list[StateCheck] = attrs.field(factory=list)
    """What holds at the end of every step."""
    steps: dict[type[Move], list[StepCheck]] = attrs.field(
        factory=lambda: {kind: [] for kind in Move.__subclasses__()}
    )
    """What holds of every step, by the kind of its move."""
    futures: list[FutureCheck] = attrs.field(factory=list)
    """What every state must lead to; it is given a queue to do with what it likes."""

    def names(self) -> set[str]:
        """Return what they are called."""
        of_steps = (check for checks in self.steps.values() for check in checks)
        return {check.__name__ for check in (*self.states, *of_steps, *self.futures)}

    def only(self, name: str) -> Invariants:
        """Return one of them, without the others."""
        return Invariants(
            [check for check in self.states if check.__name__ == name],
            {
                kind: [check for check in checks if check.__name__ == name]
                for kind, checks in self.steps.items()
            },
            [check for check in self.futures if check.__name__ == name],
        )


ALL = Invariants()


def of_states(check: S) -> S:
    """Have something checked in every state."""
    ALL.states.append(check)
    return check


def of_futures(check: F) -> F:
    """Have something checked in a copy of every state."""
    ALL.futures.append(check)
    return check


def of_steps(*kinds: type[Move]) -> Callable[[C], C]:
    """Have something checked at every step of some kinds; none named: of all."""

    def register(check: C) -> C:
        for kind in kinds or ALL.steps:
            ALL.steps[kind].append(check)
        return check

    return register
