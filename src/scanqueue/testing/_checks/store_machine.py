"""Makes the state machine of a store; hypothesis is imported when it is made, and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from scanqueue.protocols import TaskStore
from scanqueue.testing._checks.arguments import MAKES, REOPENS, check_function

if TYPE_CHECKING:
    from hypothesis.stateful import RuleBasedStateMachine

__all__ = ["store_machine"]

S = TypeVar("S", bound=TaskStore)


def store_machine(
    make_store: Callable[[], S], *, reopen: Callable[[S], S] | None = None
) -> type[RuleBasedStateMachine]:
    """Make a hypothesis state machine that looks for a difference between a store and a model.

    It writes whatever can happen to tasks, in any order, with the clock set forward and back, some
    writes broken off, and, where tasks are durable, restarts in between. After each step it asks
    the store everything, and compares the answers with those of a list that is searched from its
    start. `check_store` names the promise that is broken; this finds what nobody has thought of.

    It needs hypothesis, as the extra `scanqueue[testing]` has it, and takes its settings:

    .. code-block:: python

        from scanqueue import MemoryStore
        from scanqueue.testing import store_machine

        TestMyStore = store_machine(MemoryStore).TestCase  # found by pytest and unittest

    Args:
        make_store: Makes the store of a new, empty queue, each time it is called; not open.
        reopen: Makes another store of the same queue as a store that it is given, to be opened when
            that is closed; needed for one that is durable.

    Raises:
        TypeError: `make_store` or `reopen` is not a function.
        ValueError: The store is durable, and there is no `reopen`; raised when the machine runs,
            since it makes the first store.
    """
    check_function("make_store", make_store, MAKES)
    if reopen is not None:
        check_function("reopen", reopen, REOPENS)
    from scanqueue.testing._checks.machine import StoreMachine  # noqa: PLC0415 - hypothesis is an extra

    parts = {
        "make_store": staticmethod(make_store),
        "reopen": None if reopen is None else staticmethod(reopen),
    }
    return type("MachineOfAStore", (StoreMachine,), parts)
