"""What both tables do beyond what every table promises, which `check_store` sees to."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import attrs
import pytest

from scanqueue.protocols import TaskTable
from scanqueue.records import Slot
from scanqueue.stores._table import MemoryTable
from tests.stores.tables import table_in_memory
from tests.stores.tools import put

SLOT = Slot("a", UUID(int=1), 2, "me")


@pytest.fixture(params=["memory", "sqlite"])
def table(request: pytest.FixtureRequest) -> Iterator[TaskTable]:
    """Return an empty table."""
    if request.param == "memory":
        yield MemoryTable(5)
    else:
        in_database = table_in_memory(5)
        yield in_database
        in_database._connection.close()


def test_each_revision_is_one_more_than_the_last(table: TaskTable) -> None:
    """From the one on that the table was made with."""
    assert table.revision() == 5
    assert [table.next_revision() for _ in range(2)] == [6, 7]


def test_a_record_that_is_not_current_is_named(table: TaskTable) -> None:
    """With the id of its task."""
    old = put(table, "a")
    table.replace(old, old.successor(table.next_revision()))
    with pytest.raises(ValueError, match=f"^task {old.id} has changed since it was read$"):
        table.replace(old, old.successor(table.next_revision()))


def test_a_slot_that_is_held_is_named(table: TaskTable) -> None:
    """With its library."""
    table.take_slot(SLOT)
    with pytest.raises(ValueError, match=r"^the slot of library 'a' is held$"):
        table.take_slot(SLOT)


def test_a_slot_that_is_not_held_is_named(table: TaskTable) -> None:
    """With its library, be it that another attempt holds it."""
    table.take_slot(attrs.evolve(SLOT, attempt=1))
    with pytest.raises(ValueError, match=r"^this slot of library 'a' is not held$"):
        table.free_slot(SLOT)
