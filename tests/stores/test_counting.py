"""How many tasks there are: what the row of the queue says, and what was added since."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from scanqueue import _rules
from scanqueue.errors import StoreError
from scanqueue.models import NO_PROGRESS, TaskPriority
from scanqueue.stores.sqlite import SQLiteStore
from tests.bare_queue import DONE, NOON
from tests.stores.tools import OpenStore, claim, put, submit


def row(path: Path) -> tuple[int, int]:
    """Return the revision and the pending tasks that the row of the queue has."""
    with closing(sqlite3.connect(path)) as connection:
        revision, pending = connection.execute("SELECT revision, pending FROM queue").fetchone()
        return revision, pending


def known(store: SQLiteStore) -> tuple[int, int]:
    """Return the revision and the pending tasks that a store has."""
    with store.read() as view:
        return view.revision(), view.counts().pending


def test_a_submission_leaves_the_row_of_the_queue_alone(
    store: SQLiteStore, path: Path, open_store: OpenStore
) -> None:
    """It is one page less to write; whoever opens the file counts what was added."""
    for library in ("music", "films"):
        submit(store, library)
    with store.write() as table:
        put(table, "books")
        put(table, "photos")
    assert row(path) == (1000, 0)
    other = open_store("other")
    assert known(store) == known(other) == (1004, 4)
    assert submit(other, "comics").revision == 1005
    assert submit(store, "games").revision == 1006
    assert row(path) == (1000, 0)
    assert known(store) == known(other) == (1006, 6)


def test_what_is_more_than_a_submission_is_written(
    store: SQLiteStore, path: Path, open_store: OpenStore
) -> None:
    """All of it, and what was added before."""
    other = open_store("other")
    submit(store, "music")
    submit(other, "films")
    submit(store, "music", TaskPriority.HIGH)
    assert row(path) == (1003, 2)
    submit(other, "books")
    assert row(path) == (1003, 2)
    claim(store)
    assert row(path) == (1005, 2)
    with other.write() as table:
        table.set_paused(True)
        put(table, "photos")
    assert row(path) == (1006, 3)
    with store.write() as table:
        put(table, "games")
    assert row(path) == (1006, 3)  # paused as before
    with store.write() as table:
        put(table, "comics")
        table.next_revision()
    assert row(path) == (1009, 5)
    submit(other, "plays")
    assert known(store) == known(other) == (1010, 6)


def test_what_was_taken_back_is_not_counted(
    store: SQLiteStore, path: Path, open_store: OpenStore
) -> None:
    """Its revision is used again."""

    def fail() -> None:
        with store.write() as table:
            put(table, "films")
            raise LookupError

    submit(store, "music")
    with pytest.raises(LookupError):
        fail()
    assert submit(store, "books").revision == 1002
    assert row(path) == (1000, 0)
    assert known(store) == known(open_store("other")) == (1002, 2)


def test_revisions_that_were_left_out_are_no_tasks(
    store: SQLiteStore, path: Path, tmp_path: Path, open_store: OpenStore
) -> None:
    """A store that goes on above them says so with its first change, even at the second try."""
    submit(store, "music")
    late = SQLiteStore(path)
    late.open("late", 5000)
    with late.write():
        pass
    assert row(path) == (1000, 0)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        submit(late, "films")
    (tmp_path / "elsewhere").rename(path)
    for library in ("films", "books"):
        submit(late, library)
    assert row(path) == (5001, 2)
    assert known(late) == known(store) == known(open_store("other")) == (5002, 3)
    late.close()


def test_a_store_goes_on_above_what_it_was_told_in_any_block_of_a_group(
    store: SQLiteStore, path: Path
) -> None:
    """Also if the first block changed nothing."""
    assert submit(store, "music").revision == 1001
    late = SQLiteStore(path)
    late.open("late", 5000)
    writer = late._writer
    writer.begin(sync=True)
    writer.keep()
    late_revision = put(writer.enter(), "films").revision
    writer.keep()
    writer.commit()
    assert late_revision == 5001
    assert known(late) == (5001, 2)
    late.close()


def test_the_revision_of_a_task_that_was_deleted_is_not_used_again(
    store: SQLiteStore, path: Path, open_store: OpenStore
) -> None:
    """Nor is a task counted in its place."""
    submit(store, "music")
    slot = claim(store)
    with store.write() as table:
        assert _rules.finish(table, slot, DONE, NO_PROGRESS, now=NOON) is not None
        assert table.delete_ended(NOON + timedelta(seconds=1), 1) == 1
    assert row(path) == known(store) == (1003, 0)
    assert submit(store, "films").revision == 1004
    assert row(path) == (1003, 0)
    assert known(store) == known(open_store("other")) == (1004, 1)
