"""Stores beside a plain table, through any sequence of calls."""

from __future__ import annotations

import atexit
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from scanqueue import MemoryStore, SQLiteStore
from scanqueue._lifecycle import TRANSITIONS, Event
from scanqueue.testing import store_machine
from scanqueue.testing._checks.tasks import NOON, end, minutes, submit
from tests.service.shared_store import DurableStore, SharedQueue
from tests.testing.broken_stores import broken_durable_stores
from tests.testing.broken_tables import broken_tables, store_of

# A failure takes a while to shrink.
pytestmark = pytest.mark.timeout(600)

_folder = TemporaryDirectory()
atexit.register(_folder.cleanup)


def new_file() -> SQLiteStore:
    """Return the store of a new queue."""
    return SQLiteStore(Path(_folder.name, f"{uuid4()}.db"), durability="normal")


def same_file(store: SQLiteStore) -> SQLiteStore:
    """Return another one of its queue."""
    return SQLiteStore(store.path, durability="normal")


TestMemoryStore = store_machine(MemoryStore).TestCase
TestSQLiteStore = store_machine(new_file, reopen=same_file).TestCase
# It takes many steps to end a task, let alone to delete one. In a file they take their time.
TestMemoryStore.settings = settings(stateful_step_count=2 * settings().stateful_step_count)
TestSQLiteStore.settings = settings(
    TestMemoryStore.settings, max_examples=settings().max_examples // 3
)

QUICK = settings(
    TestMemoryStore.settings,
    max_examples=2_000,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
)
"""How hard it tries to find what is broken; the same each time."""


SEEN = [
    *("urgent-first", "upgraded-moves-forward", "counts-since"),
    *("ended-in-order-of-ending", "ended-keeps-its-place", "pauses"),
    *("changed-has-the-latest-state", "replace-compares"),
    *("take-slot-compares", "free-slot-compares"),
]
"""Promises whose breach shows in few steps."""

DELETES = "deletes-earliest-first"
"""One whose breach shows in many."""


def run(make_store: Callable[[], Any], reopen: Callable[[Any], Any] | None = None) -> None:
    """Run the machine of a store."""
    run_state_machine_as_test(store_machine(make_store, reopen=reopen), settings=QUICK)


@pytest.mark.parametrize("promise", SEEN)
def test_what_is_broken_is_seen(promise: str) -> None:
    """It differs from the plain table sooner or later."""
    (table,) = [broken.what for broken in broken_tables if broken.promise == promise]
    with pytest.raises(AssertionError):
        run(store_of(table))


@pytest.mark.parametrize("promise", ["keeps-tasks-over-restarts", "leaves-all-or-nothing"])
def test_what_is_lost_is_seen(promise: str) -> None:
    """In a restart, or in spite of an exception."""
    (kind,) = [broken.what for broken in broken_durable_stores if broken.promise == promise]
    with pytest.raises(AssertionError):
        run(lambda: SharedQueue().store(kind), reopen=lambda store: store.queue.store(kind))


def test_what_is_deleted_too_early_is_seen() -> None:
    """Of two tasks one is deleted, and it is the one that ended later, by the clock."""
    (table,) = [broken.what for broken in broken_tables if broken.promise == DELETES]
    for make_store, is_broken in ((MemoryStore, False), (store_of(table), True)):
        machine: Any = store_machine(make_store)()
        with machine.store.write() as rows:
            for moment in (-1, -2):
                machine.plain.put(end(rows, submit(rows, moment), NOON + minutes(moment)))
        if is_broken:
            with pytest.raises(AssertionError, match="left an earlier end than it deleted"):
                machine.delete(minutes=0, limit=1)
        else:
            machine.delete(minutes=0, limit=1)
            assert [task.library_id for task in machine.plain.ended()] == [-1]
        machine.teardown()


def test_a_durable_store_without_a_way_to_open_it_again_is_refused() -> None:
    """Before anything is written to it."""
    with pytest.raises(ValueError, match="reopen must be given for a store that is durable"):
        run(lambda: SharedQueue().store(DurableStore))


def test_a_store_that_is_opened_again_must_be_another_one() -> None:
    """What one object remembers is no proof that its queue outlives it."""
    with pytest.raises(AssertionError, match="`reopen` gave back the store that it was given"):
        run(lambda: SharedQueue().store(DurableStore), reopen=lambda store: store)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"make_store": MemoryStore()}, "make_store must be a function that makes a store"),
        (
            {"make_store": MemoryStore, "reopen": 5},
            "reopen must be a function that makes another store",
        ),
    ],
)
def test_what_is_no_function_is_refused(arguments: dict[str, Any], message: str) -> None:
    """When the machine is made."""
    with pytest.raises(TypeError, match=message):
        store_machine(**arguments)


def test_hypothesis_is_imported_when_it_is_needed() -> None:
    """The rest of the test kit works without."""
    script = (
        "import sys, scanqueue.testing; print(sorted({'hypothesis', 'pytest'} & {*sys.modules}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert output == "[]\n"


def test_every_event_is_one_that_the_machine_can_make() -> None:
    """So that no kind of change of a task goes untested."""
    assert {event for _, event in TRANSITIONS} == set(Event)
