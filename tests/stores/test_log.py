"""The log of a queue that is written to often is made as long as it may become."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scanqueue.stores import _writer
from scanqueue.stores._sqlite_file import PAGE_SIZE
from scanqueue.stores._writer import _LOG_PAGES, _MANY_TRANSACTIONS
from scanqueue.stores.sqlite import SQLiteStore
from tests.stores.tools import OpenStore, submit, waiting

LONG = _LOG_PAGES * PAGE_SIZE


def submit_many(store: SQLiteStore, count: int, prefix: str = "library") -> list[str]:
    """Submit so many tasks, one commit each, and return their libraries."""
    libraries = [f"{prefix}-{number}" for number in range(count)]
    for library in libraries:
        submit(store, library)
    return libraries


def log_size(path: Path) -> int:
    """Return how many bytes the log has."""
    return path.with_name(f"{path.name}-wal").stat().st_size


def test_it_is_made_long_once(store: SQLiteStore, path: Path) -> None:
    """Then it is written over, and the database is no longer for it."""
    few = submit_many(store, _MANY_TRANSACTIONS - 1, "few")
    short, database = log_size(path), path.stat().st_size
    assert short < LONG / 4
    more = submit_many(store, 1, "more")
    long = log_size(path)
    assert LONG <= long <= LONG + 2 * short + 64 * PAGE_SIZE
    more += submit_many(store, 40, "many")
    assert log_size(path) == long
    assert path.stat().st_size == database
    assert waiting(store) == few + more
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    with store.read() as view:
        counts = view.counts()
    assert (counts.pending, counts.slots) == (len(few + more), 0)


def test_it_stays_that_long(store: SQLiteStore, path: Path) -> None:
    """SQLite moves its pages to the database before it is full, and begins anew in it."""
    submit_many(store, _MANY_TRANSACTIONS)
    long, database = log_size(path), path.stat().st_size
    submit_many(store, 200, "more")
    assert path.stat().st_size > database
    assert log_size(path) == long


def test_a_second_connection_finds_it_long(
    open_store: OpenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another service, or another process."""
    submit_many(open_store("one"), _MANY_TRANSACTIONS)
    calls: list[object] = []
    monkeypatch.setattr(_writer, "_lengthen_log", calls.append)
    submit_many(open_store("two"), _MANY_TRANSACTIONS, "other")
    assert calls == []
    assert log_size(path) >= LONG


def test_it_is_left_alone_where_nothing_waits_for_the_disk(
    open_store: OpenStore, path: Path
) -> None:
    """A flush that does not happen takes no time."""
    submit_many(open_store(durability="normal"), 2 * _MANY_TRANSACTIONS)
    assert log_size(path) < LONG / 2


def test_where_the_log_is_gone_nothing_is_made_of_it(store: SQLiteStore, path: Path) -> None:
    """Whoever has deleted it: the commit will say so, or SQLite goes on with the open file."""
    submit_many(store, _MANY_TRANSACTIONS - 1)
    path.with_name(f"{path.name}-wal").unlink()
    submit_many(store, 2, "more")
    assert len(waiting(store)) == _MANY_TRANSACTIONS + 1


def test_another_process_that_writes_just_now_is_not_waited_for(
    store: SQLiteStore,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next transaction tries it."""
    submit_many(store, _MANY_TRANSACTIONS - 1)
    real = _writer._lengthen_log
    other = sqlite3.connect(path, isolation_level=None)

    def lengthen(connection: sqlite3.Connection) -> None:
        other.execute("BEGIN IMMEDIATE")
        try:
            real(connection)
        finally:
            other.execute("ROLLBACK")

    with closing(other):
        monkeypatch.setattr(_writer, "_lengthen_log", lengthen)
        submit(store, "another")
        assert log_size(path) < LONG / 4
        monkeypatch.setattr(_writer, "_lengthen_log", real)
        submit(store, "and another")
    assert log_size(path) >= LONG
    assert caplog.messages == []


def test_a_disk_without_room_for_it_is_told_of_and_the_queue_goes_on(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for a connection, and when its transaction is over."""
    submit_many(store, _MANY_TRANSACTIONS - 1)
    connection = store._writer._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 50}")
    is_open: list[bool] = []

    class Handler(logging.Handler):
        """Uses the queue."""

        def emit(self, record: logging.LogRecord) -> None:
            """Submit."""
            assert connection is not None
            is_open.append(connection.in_transaction)
            submit(store, "from a handler")

    handler = Handler()
    logging.getLogger("scanqueue").addHandler(handler)
    try:
        submit_many(store, 20, "more")
    finally:
        logging.getLogger("scanqueue").removeHandler(handler)
    assert caplog.messages == ["the log could not be made longer; submissions take longer for it"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.scanqueue_path == str(path)  # type: ignore[attr-defined]
    assert record.exc_info is not None
    assert type(record.exc_info[1]).__name__ == "StoreFullError"
    assert is_open == [False]
    assert len(waiting(store)) == _MANY_TRANSACTIONS + 20
    assert connection.execute("PRAGMA cache_size").fetchone() == (-2000,)
