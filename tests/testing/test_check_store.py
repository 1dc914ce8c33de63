"""The checks of stores find what is broken, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest

from docs._promises import promises_of
from json_store import JSONStore
from scanqueue import MemoryStore, SQLiteStore
from scanqueue.stores import sqlite
from scanqueue.stores._table import MemoryTable
from scanqueue.testing import ConformanceError, check_store
from scanqueue.testing._checks import store_sharing, store_transactions
from scanqueue.testing._checks.running import run_checks
from scanqueue.testing._checks.store_bench import StoreBench
from scanqueue.testing._clock import PATIENCE
from tests.service.failing_store import FailingStore
from tests.service.shared_store import DurableStore, SharedQueue, SharedStore
from tests.testing.broken import Broken, assert_found
from tests.testing.broken_stores import (
    KeepsTheParentsLock,
    broken_durable_stores,
    broken_files,
    broken_shared_files,
    broken_shared_stores,
    broken_stores,
)
from tests.testing.broken_tables import broken_tables, store_of
from tests.testing.broken_writers import broken_writers
from tests.testing.shared_file import SharedFileStore

pytestmark = pytest.mark.slow

HASTE = 2.0
"""Seconds that a broken store may hang."""


def check_shared(kind: type[SharedStore], *, tells: bool = False) -> None:
    """Check a kind of store whose file is an object of this process."""
    poll_interval = None if tells else 0.5
    check_store(
        lambda: SharedQueue().store(kind, tells=tells, poll_interval=poll_interval),
        reopen=lambda store: store.queue.store(kind, tells=tells, poll_interval=poll_interval),
        processes=False,
        patience=HASTE,
    )


def check_file(kind: Callable[[Path], Any], folder: Path, *, patience: float = PATIENCE) -> None:
    """Check a kind of store that is made with a path."""
    check_store(
        lambda: kind(folder / f"{uuid4()}"),
        reopen=lambda store: kind(store.path),
        patience=patience,
    )


# --- ours ---


def test_the_store_in_memory_keeps_all_promises() -> None:
    """It is what the checks were thought out for."""
    check_store(MemoryStore)


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_the_store_in_a_file_keeps_all_promises(
    durability: Literal["full", "normal"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However sure it is of the disk."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.1)  # for a write that lasts all the while
    check_file(partial(SQLiteStore, durability=durability), tmp_path)


@pytest.mark.parametrize("tells", [False, True])
def test_the_stores_of_the_tests_keep_all_promises(tells: bool) -> None:
    """So that what is tested with them holds with others."""
    check_shared(SharedStore, tells=tells)


def test_the_durable_store_of_the_tests_keeps_all_promises() -> None:
    """So does the one that is not shared."""
    check_shared(DurableStore)


def test_a_shared_store_that_waits_for_its_lock_keeps_all_promises(tmp_path: Path) -> None:
    """However long another process has it: a child of one that writes waits for its parent."""
    check_file(SharedFileStore, tmp_path)


def test_a_store_that_can_fail_keeps_all_promises_until_it_does() -> None:
    """It does what the one that it wraps does."""
    check_store(lambda: FailingStore(MemoryStore()))


# --- broken ones ---


@pytest.mark.parametrize("broken", broken_tables.params())
def test_a_broken_table_is_found(
    broken: Broken[type[MemoryTable]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of what it breaks, and by nearly no other."""
    monkeypatch.setattr(store_transactions, "MOMENT", 0.0)  # its threads are in order
    assert_found(broken, lambda: check_store(store_of(broken.what), processes=False))


@pytest.mark.parametrize("broken", broken_stores.params())
def test_a_broken_store_is_found(broken: Broken[Callable[[], Any]]) -> None:
    """By the name of what it breaks, and by nearly no other."""
    assert_found(broken, lambda: check_store(broken.what, patience=HASTE))


@pytest.mark.parametrize(
    "broken", [*broken_durable_stores.params(), *broken_shared_stores.params()]
)
def test_a_store_that_is_broken_for_others_is_found(broken: Broken[type[SharedStore]]) -> None:
    """For those that come after it, or have the same queue."""
    assert_found(broken, lambda: check_shared(broken.what))


@pytest.mark.parametrize("broken", broken_files.params())
def test_a_store_that_is_broken_by_a_kill_is_found(
    broken: Broken[type[JSONStore]], tmp_path: Path
) -> None:
    """In a forked child, which is killed."""
    assert_found(broken, lambda: check_file(broken.what, tmp_path))


@pytest.mark.parametrize("broken", broken_shared_files.params())
def test_a_shared_store_that_is_broken_by_a_kill_is_found(
    broken: Broken[type[SQLiteStore]], tmp_path: Path
) -> None:
    """In a forked child, which is killed."""

    def make_bench() -> StoreBench[SQLiteStore]:
        kind = broken.what
        return StoreBench(
            lambda: kind(tmp_path / f"{uuid4()}"), lambda store: kind(store.path), PATIENCE
        )

    assert_found(broken, lambda: run_checks("it", store_sharing.kills, make_bench, PATIENCE))


@pytest.mark.parametrize("broken", broken_writers.params())
def test_a_shared_store_that_is_broken_between_processes_is_found(
    broken: Broken[type[SharedFileStore]], tmp_path: Path
) -> None:
    """Where one of them writes while another one does."""
    assert_found(broken, lambda: check_file(broken.what, tmp_path, patience=2 * HASTE))


def test_every_promise_is_broken_once() -> None:
    """So that no check is one that cannot fail."""
    names = [
        *(*broken_tables.promises(), *broken_stores.promises()),
        *(*broken_durable_stores.promises(), *broken_shared_stores.promises()),
        *(*broken_files.promises(), *broken_shared_files.promises()),
        *broken_writers.promises(),
    ]
    assert set(names) == set(promises_of("store"))


def test_a_child_that_hangs_is_told_from_a_check_that_does() -> None:
    """It has less time than the check."""
    with pytest.raises(ConformanceError, match="a forked child was not done after"):
        check_store(KeepsTheParentsLock, patience=HASTE)


# --- the call ---


def test_what_can_be_opened_again_must_say_how() -> None:
    """A durable or shared store needs another one of its queue."""
    with pytest.raises(ValueError, match="reopen must be given for a store that is durable"):
        check_store(lambda: SharedQueue().store())


def test_a_store_that_is_opened_again_must_be_another_one() -> None:
    """What one object remembers is no proof that its queue outlives it."""
    with pytest.raises(ConformanceError, match="`reopen` gave back the store that it was given"):
        check_store(
            lambda: SharedQueue().store(DurableStore), reopen=lambda store: store, processes=False
        )


def test_patience_may_be_endless(tmp_path: Path) -> None:
    """Also that for forked children."""
    check_file(SharedFileStore, tmp_path, patience=inf)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"make_store": MemoryStore()}, TypeError, "make_store must be a function"),
        ({"make_store": None}, TypeError, "make_store must be a function"),
        ({"make_store": MemoryStore, "reopen": 5}, TypeError, "reopen must be a function"),
        ({"make_store": MemoryStore, "patience": "10"}, TypeError, "patience must be a number"),
        ({"make_store": MemoryStore, "processes": 0}, TypeError, "processes must be a bool"),
        ({"make_store": MemoryStore, "patience": -1}, ValueError, "patience must be a number"),
        ({"make_store": MemoryStore, "patience": 0}, ValueError, "seconds above 0"),
    ],
)
def test_arguments_are_checked(
    arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """A mistake in the call is no promise that the store breaks."""
    with pytest.raises(kind, match=message):
        check_store(**arguments)


def test_a_factory_that_fails_is_the_first_promise_that_is_broken() -> None:
    """And nothing else is asked."""

    def fail() -> MemoryStore:
        raise LookupError("no store")

    with pytest.raises(ConformanceError, match="it raised LookupError: no store") as caught:
        check_store(fail)
    assert [one.name for one in caught.value.broken] == ["has-the-methods"]
