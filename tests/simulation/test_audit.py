"""A run ends where the table is not as it should be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from scanqueue.records import Slot
from tests.simulation.audit import AuditedStore
from tests.simulation.world import World
from tests.stores.tools import claim, submit


@pytest.fixture
def problems() -> list[AssertionError]:
    """Return what the run was ended by."""
    return []


@pytest.fixture
def store(problems: list[AssertionError]) -> AuditedStore:
    """Return a store with a task that runs."""
    world: Any = SimpleNamespace(scheduler=SimpleNamespace(fail=problems.append))
    store = AuditedStore(cast("World", world))
    store.open("me", 1000)
    submit(store, "music")
    return store


def test_a_table_as_it_should_be_is_no_problem(
    store: AuditedStore, problems: list[AssertionError]
) -> None:
    """Whatever has happened to it."""
    claim(store)
    with store.read() as view:
        assert view.slots()
    assert problems == []


def test_a_slot_that_is_free_too_early_ends_the_run(
    store: AuditedStore, problems: list[AssertionError]
) -> None:
    """It is seen when the transaction ends, and in no other."""
    slot: Slot = claim(store)
    with store.write() as table:
        table.free_slot(slot)
        table.next_revision()
        assert problems == []
    assert "slots do not agree" in str(problems[0])
