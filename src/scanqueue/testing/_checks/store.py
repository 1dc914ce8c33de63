"""The checks of a store, all in one call."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from math import inf
from typing import Any, Final, TypeVar

from scanqueue._validate import check_bool, wrong_value
from scanqueue.protocols import TaskStore, TaskTable, TaskView
from scanqueue.testing._checks import (
    store_forks,
    store_history,
    store_order,
    store_restarts,
    store_sharing,
    store_slots,
    store_tasks,
    store_transactions,
    store_values,
)
from scanqueue.testing._checks.arguments import (
    MAKES,
    REOPENS,
    check_function,
    check_patience,
)
from scanqueue.testing._checks.processes import CAN_FORK
from scanqueue.testing._checks.running import Check, Checks, Unkept, expect, run_checks
from scanqueue.testing._checks.store_bench import StoreBench
from scanqueue.testing._clock import PATIENCE

__all__ = ["check_store"]

S = TypeVar("S", bound=TaskStore)

prerequisites: Final[Checks[StoreBench[Any]]] = Checks()
openings: Final[Checks[StoreBench[Any]]] = Checks()
"""What must hold, one after the other, for anything else to be asked."""


@prerequisites.add
def has_the_methods(bench: StoreBench[Any]) -> None:
    """The store has the attributes and methods of a `TaskStore`, and can be weakly referenced."""
    store = bench.unopened()
    names = ("durable", "shared", "progress_interval", "poll_interval")
    methods = ("open", "close", "after_fork", "read", "write", "dead_owners", "attach")
    missing = [name for name in names + methods if not hasattr(store, name)]
    expect(not missing, f"it lacks {', '.join(missing)}")
    try:
        weakref.ref(store)
    except TypeError as error:
        raise Unkept("it cannot be weakly referenced: in `__slots__`, add '__weakref__'") from error
    for name in ("durable", "shared"):
        value = getattr(store, name)
        expect(isinstance(value, bool), f"`{name}` is {value!r}, which is no bool")
    for name in ("progress_interval", "poll_interval"):
        value = getattr(store, name)
        is_none = value is None and name == "poll_interval"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_seconds = is_number and 0 <= value < inf
        expect(is_none or is_seconds, f"`{name}` is {value!r}, which are no seconds")


@openings.add
def opens(bench: StoreBench[Any]) -> None:
    """A new queue can be opened, read and written, by what has all methods of view and table."""
    store = bench.store()
    with store.read() as view:
        _expect_methods(view, TaskView, "what `read` gives")
    with store.write() as table:
        _expect_methods(table, TaskView, "what `write` gives")
        _expect_methods(table, TaskTable, "what `write` gives")


def _expect_methods(found: object, protocol: type, what: str) -> None:
    names = [name for name in vars(protocol) if not name.startswith("_")]
    missing = [name for name in names if not callable(getattr(found, name, None))]
    expect(not missing, f"{what} lacks {', '.join(missing)}")


def check_store(
    make_store: Callable[[], S],
    *,
    reopen: Callable[[S], S] | None = None,
    processes: bool = True,
    patience: float = PATIENCE,
) -> None:
    """Check that a store keeps every promise of `TaskStore`, `TaskTable` and `TaskView`.

    >>> from scanqueue import MemoryStore
    >>> check_store(MemoryStore)

    A store whose tasks outlive it, or that several services share, is also asked for by `reopen`.

    Each promise is checked on stores of its own, which are closed afterwards, on a thread of its
    own. Where the system can fork, some checks fork the process, and kill the child.

    Args:
        make_store: Makes the store of a new, empty queue, each time it is called; not open.
        reopen: Makes another store of the same queue as a store that it is given, which may be
            open, or have been closed.
        processes: Whether forked children are to be tried. False is for a fake whose "file" is a
            dict of this process.
        patience: Real seconds that one check may take; a day at most.

    Raises:
        ConformanceError: It breaks some promises; all of them are named.
        TypeError: `make_store` or `reopen` is no function, `processes` no bool, or `patience` no
            number.
        ValueError: The store is durable or shared, and there is no `reopen`; or `patience` is 0,
            negative or NaN.
    """
    check_function("make_store", make_store, MAKES)
    if reopen is not None:
        check_function("reopen", reopen, REOPENS)
    processes = check_bool("processes", processes)
    patience = check_patience(patience)
    samples: list[S] = []

    def make_bench() -> StoreBench[S]:
        return StoreBench(make_store, reopen, patience)

    def make_sample() -> S:
        samples.append(make_store())
        return samples[-1]

    run_checks(
        "the store", prerequisites, lambda: StoreBench(make_sample, None, patience), patience
    )
    (store,) = samples
    if (store.durable or store.shared) and reopen is None:
        wrong_value("reopen", reopen, "given for a store that is durable or shared")
    name = type(store).__name__
    run_checks(name, openings, make_bench, patience)
    forks = processes and CAN_FORK
    run_checks(name, _that_apply(store, forks=forks), make_bench, patience)


def _that_apply(store: TaskStore, *, forks: bool) -> list[Check[StoreBench[Any]]]:
    """Return the checks of such a store."""
    groups = [
        *(store_tasks.checks, store_values.checks, store_slots.checks, store_order.checks),
        *(store_history.checks, store_transactions.checks),
    ]
    if store.durable:
        groups += [store_restarts.checks, *((store_restarts.kills,) if forks else ())]
    if store.shared:
        groups += [store_sharing.checks, *((store_sharing.kills,) if forks else ())]
    if forks:
        groups.append(store_forks.checks)
    return [check for group in groups for check in group]
