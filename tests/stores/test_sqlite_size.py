"""A large queue is as quick as a small one: every question is answered from an index."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from scanqueue.models import TaskPriority
from scanqueue.stores import _sqlite_table
from scanqueue.stores.sqlite import SQLiteStore
from tests.stores.tables import table_in_memory
from tests.stores.tools import claim, put, submit, waiting

QUERIES = {
    name: getattr(_sqlite_table, name)
    for name in (
        *("GET", "PENDING_OF", "SLOT_OF", "FIRST_CLAIMABLE", "OLDEST_PENDING", "PENDING"),
        *("ENDED", "ENDED_OF", "CHANGED", "UNCHANGED", "LATEST_END", "EXPIRED", "COUNT_EXPIRED"),
        "HAS",
    )
}


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_scans_or_sorts(name: str) -> None:
    """By SQLite's own plan."""
    query = QUERIES[name]
    connection = table_in_memory(0)._cursor.connection
    values = (0,) * query.count("?")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    connection.close()
    found_by = ("INDEX", "INTEGER PRIMARY KEY")
    assert any(name in step for step in plan for name in found_by)
    for step in plan:
        if step in {"COMPOUND QUERY", "LEFT-MOST SUBQUERY", "UNION ALL"}:
            continue
        assert "TEMP B-TREE" not in step
        assert any(name in step for name in (*found_by, "CORRELATED"))
        # To go along an index of what is asked for is to read the answer.
        assert not step.startswith("SCAN") or "by_claim" in step or "by_end" in step


def test_a_hundred_thousand_pending_tasks_are_there_at_once(store: SQLiteStore, path: Path) -> None:
    """After opening: counted, first in line, and each by its library."""
    first = submit(store, "first", TaskPriority.HIGH)
    store.close()
    count = 100_000
    columns = (
        "id, library_id, created_at, revision, rank, priority, status, deep, scanned_paths,"
        " attempt, interruptions, holds_slot"
    )
    rows = (
        (UUID(int=number).bytes, number, 0, number + 2000, number + 2000, number % 2 - 1, "pending")
        for number in range(count)
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            f"INSERT INTO tasks ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0)",  # noqa: S608
            rows,
        )
        connection.execute("UPDATE queue SET pending = ?, revision = 200000", (count + 1,))
        connection.commit()
    large = SQLiteStore(path)
    large.open("me", 1000)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    with large.read() as view:
        view._cursor.connection.set_progress_handler(step, 100)  # type: ignore[attr-defined]
        assert view.counts().pending == count + 1
        claimable = view.first_claimable()
        assert claimable is not None
        assert claimable.id == first.id
        oldest = view.oldest_pending()
        assert oldest is not None
        assert oldest.library_id == "first"
        assert [task.library_id for task in view.pending(3)] == ["first", 1, 3]
        assert len(view.changed(200_000 - 1, None)) == 0
        assert view.pending_of(99_999) is not None
    assert steps < 100
    assert claim(large).task_id == first.id
    assert claim(large).library_id == 1
    assert len(waiting(large)) == count - 1
    large.close()


def test_to_read_all_changes_in_pages_takes_as_long_as_there_are_changes() -> None:
    """Also where tasks came and changed all the time, and hardly one is as it was added."""
    table = table_in_memory(0)
    tasks = []
    for number in range(2000):
        tasks.append(put(table, number))
        if number % 100:
            table.replace(tasks[-1], tasks[-1].successor(table.next_revision()))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    table._cursor.connection.set_progress_handler(step, 10)
    found: list[int] = []
    while page := table.changed(found[-1] if found else 0, 50):
        found += [task.revision for task in page]
    table._cursor.connection.set_progress_handler(None, 0)
    assert len(found) == len(tasks)
    assert found == sorted(found)
    assert steps < 6 * len(tasks)
    assert table.changed(0, 0) == []
    table._cursor.connection.close()
