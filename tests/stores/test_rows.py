"""Records survive their way through a database, whatever is in them."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from scanqueue._text import ERROR_LIMIT, storable
from scanqueue.models import ScanTask
from scanqueue.records import TaskRecord
from tests.stores.tables import table_in_memory, values_of
from tests.stores.tools import put
from tests.strategies import ODD_LIBRARY_IDS, scan_tasks


def to_record(task: ScanTask, rank: int) -> TaskRecord:
    """Return a record of a task that might be."""
    values = attrs.asdict(task, recurse=False)
    if values["error"] is not None:
        values["error"] = storable(values["error"], ERROR_LIMIT)
    if task.is_ended and task.completed_at is None:
        values["completed_at"] = task.created_at
    return TaskRecord(**values, rank=rank)


@given(one=scan_tasks(), two=scan_tasks(), rank=st.integers(0, 2**63 - 1))
def test_every_field_comes_back(one: ScanTask, two: ScanTask, rank: int) -> None:
    """As it was inserted, and as it was replaced."""
    table = table_in_memory(0)
    inserted = to_record(one, rank)
    table.insert(inserted)
    found = table.get(one.id)
    assert found is not None
    assert values_of(found) == values_of(inserted)
    replaced = to_record(two, rank)
    replaced.id, replaced.library_id = one.id, one.library_id
    replaced.created_at = one.created_at
    table.replace(inserted, replaced)
    found = table.get(one.id)
    assert found is not None
    assert values_of(found) == values_of(replaced)
    assert type(found.library_id) is type(one.library_id)
    table._connection.close()


def test_libraries_that_look_alike_are_kept_apart() -> None:
    """By their type and every character."""
    table = table_in_memory(0)
    tasks = [put(table, library_id) for library_id in ODD_LIBRARY_IDS]
    for library_id, task in zip(ODD_LIBRARY_IDS, tasks, strict=True):
        found = table.pending_of(library_id)
        assert found is not None
        assert found.id == task.id
        assert found.library_id == library_id
    table._connection.close()
