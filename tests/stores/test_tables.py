"""What both tables do beyond what every table promises, which `check_store` sees to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from scanqueue import _rules
from scanqueue.models import NO_PROGRESS
from scanqueue.protocols import TaskTable
from scanqueue.records import Counts, Slot
from scanqueue.stores._table import MemoryTable
from tests.bare_queue import DONE, NOON
from tests.stores.tables import table_in_memory
from tests.stores.tools import put

HOUR = timedelta(hours=1)
SLOT = Slot("a", UUID(int=1), 2, "me")


@pytest.fixture(params=["memory", "sqlite"])
def table(request: pytest.FixtureRequest) -> Iterator[TaskTable]:
    """Return an empty table."""
    if request.param == "memory":
        yield MemoryTable(5)
    else:
        in_database = table_in_memory(5)
        yield in_database
        in_database._cursor.connection.close()


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


def test_every_step_of_a_task_is_counted(table: TaskTable) -> None:
    """Also what has ended, and is stopping."""

    def claim() -> Slot:
        claimed = _rules.claim(table, "me", now=NOON, max_running=None)
        assert claimed is not None
        return claimed[1]

    tasks = [put(table, library_id) for library_id in ("a", "b", "c")]
    assert table.counts() == Counts(pending=3)
    slots = [claim() for _ in range(3)]
    assert table.counts() == Counts(running=3, slots=3)
    for task in tasks[:2]:
        _rules.cancel(table, task.id, now=NOON)
    assert table.counts() == Counts(running=1, cancelled=2, stopping=2, slots=3)
    _rules.finish(table, slots[0], DONE, NO_PROGRESS, now=NOON)
    assert table.counts() == Counts(running=1, cancelled=2, stopping=1, slots=2)
    _rules.finish(table, slots[2], DONE, NO_PROGRESS, now=NOON)
    assert table.counts() == Counts(completed=1, cancelled=2, stopping=1, slots=1)
    assert _rules.prune(table, NOON + HOUR) == 2
    assert table.counts() == Counts(cancelled=1, stopping=1, slots=1)


def test_what_has_expired_is_counted_at_any_moment(table: TaskTable) -> None:
    """Whatever was asked before: a clock may be set back."""
    for hour in range(5):
        _rules.cancel(table, put(table, hour).id, now=NOON + hour * HOUR)
    for hour in (2, 4, 1, 5, 3, 0, 5, 2):
        assert table.counts(NOON + hour * HOUR) == Counts(cancelled=5 - hour)
