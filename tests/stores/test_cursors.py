"""The one cursor of a transaction: nothing is left of it when that is over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scanqueue.protocols import TaskTable, TaskView
from scanqueue.stores.sqlite import SQLiteStore
from tests.interrupts import Interrupt
from tests.stores.tools import Call, put, submit, waiting, writing_connection


def is_read_by_nobody(path: Path) -> bool:
    """Return whether the log can be brought into the database, and cut off."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


@pytest.mark.parametrize("error", [LookupError, Interrupt])
@pytest.mark.parametrize("writes", [True, False])
def test_a_statement_that_was_left_before_its_last_row_ends_with_its_block(
    store: SQLiteStore, path: Path, error: type[BaseException], writes: bool
) -> None:
    """However that was left, and though somebody keeps the exception."""
    for library in ("music", "films"):
        submit(store, library)

    def work() -> None:
        with store.write() if writes else store.read() as view:
            view.pending(1)
            raise error

    with pytest.raises(error) as caught:
        work()
    assert caught.value.__traceback__ is not None
    assert is_read_by_nobody(path)
    submit(store, "books")
    assert waiting(store) == ["music", "films", "books"]


def test_a_connection_that_was_set_up_in_part_is_replaced(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt may come before all is said to it; the next one is told all of it."""

    def interrupted(_: object) -> None:
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr("scanqueue.stores._writer._begin", interrupted)
        with pytest.raises(Interrupt):
            submit(store, "music")
    submit(store, "films")
    assert writing_connection(store).execute("PRAGMA busy_timeout").fetchone() == (3,)
    assert waiting(store) == ["films"]


def test_a_table_that_somebody_keeps_is_of_no_use(store: SQLiteStore) -> None:
    """It does not get into the transactions of others, from whatever thread."""
    kept: list[TaskTable] = []

    def fail() -> None:
        with store.write() as table:
            kept.append(table)
            raise LookupError

    with store.write() as table:
        kept.append(table)
        put(table, "music")
    with pytest.raises(LookupError):
        fail()
    with store.write():
        for one in kept:
            with pytest.raises(RuntimeError, match="is over; begin another one"):
                put(one, "films")
            with pytest.raises(RuntimeError, match="is over"):
                Call(lambda one=one: one.pending(None)).result()  # type: ignore[misc]
    assert waiting(store) == ["music"]


def test_a_view_that_somebody_keeps_is_of_no_use(store: SQLiteStore) -> None:
    """It does not get into the reads of others."""
    kept: list[TaskView] = []
    with store.read() as view:
        kept.append(view)
    with store.read(), pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        kept[0].pending(None)
