"""Records survive their way through a database, whatever is in them."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanqueue.models import ScanScope, ScanTask, TaskStatus
from scanqueue.records import TaskRecord
from scanqueue.testing.strategies import ODD_LIBRARY_IDS, tasks
from tests.stores.tables import table_in_memory, values_of
from tests.stores.tools import put


def to_record(task: ScanTask, rank: int) -> TaskRecord:
    """Return the record of a task."""
    return TaskRecord(**attrs.asdict(task, recurse=False), rank=rank)


@given(one=tasks(), two=tasks(), rank=st.integers(0, 2**63 - 1))
def test_every_field_comes_back(one: ScanTask, two: ScanTask, rank: int) -> None:
    """As it was inserted, and as it was replaced, twice."""
    table = table_in_memory(0)
    task = TaskRecord(
        one.id, one.library_id, one.priority, TaskStatus.PENDING, one.scope, one.created_at, 1, rank
    )
    table.insert(task)
    for values in (one, two):
        found = table.get(one.id)
        assert found is not None
        assert values_of(found) == values_of(task)
        successor = to_record(values, rank)
        successor.id, successor.library_id = one.id, one.library_id
        successor.created_at = one.created_at
        table.replace(task, successor)
        task = successor
    found = table.get(one.id)
    assert found is not None
    assert values_of(found) == values_of(task)
    assert type(found.library_id) is type(one.library_id)
    table._cursor.connection.close()


@pytest.mark.parametrize(
    "scope", [ScanScope(), ScanScope(deep=True), ScanScope(paths=["a"])], ids=str
)
def test_every_kind_of_scope_comes_back(scope: ScanScope) -> None:
    """The whole library or a part of it, deep or not."""
    table = table_in_memory(0)
    task = put(table, "music")
    changed = task.successor(table.next_revision())
    changed.scope = scope
    table.replace(task, changed)
    found = table.get(task.id)
    assert found is not None
    assert found.scope == scope
    table._cursor.connection.close()


def test_libraries_that_look_alike_are_kept_apart() -> None:
    """By their type and every character."""
    table = table_in_memory(0)
    tasks = [put(table, library_id) for library_id in ODD_LIBRARY_IDS]
    for library_id, task in zip(ODD_LIBRARY_IDS, tasks, strict=True):
        found = table.pending_of(library_id)
        assert found is not None
        assert found.id == task.id
        assert found.library_id == library_id
    table._cursor.connection.close()
