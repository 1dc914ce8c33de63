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
from tests.stores.tools import claim, submit, waiting

QUERIES = {
    name: getattr(_sqlite_table, name)
    for name in (
        *("GET", "PENDING_OF", "SLOT_OF", "FIRST_CLAIMABLE", "OLDEST_PENDING", "PENDING"),
        *("ENDED", "ENDED_OF", "CHANGED", "LATEST_END", "EXPIRED", "COUNT_EXPIRED"),
        "HAS",
    )
}


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_scans_or_sorts(name: str) -> None:
    """By SQLite's own plan."""
    query = QUERIES[name]
    connection = table_in_memory(0)._connection
    values = (0,) * query.count("?")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    connection.close()
    assert any("INDEX" in step for step in plan)
    for step in plan:
        if step in {"COMPOUND QUERY", "LEFT-MOST SUBQUERY", "UNION ALL"}:
            continue
        assert "TEMP B-TREE" not in step
        assert "INDEX" in step or "CORRELATED" in step
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
        view._connection.set_progress_handler(step, 100)  # type: ignore[attr-defined]
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
