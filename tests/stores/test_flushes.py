"""What goes to disk, and what need not: by the statements that SQLite is given."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scanqueue import ScanQueueService, SQLiteStore, TaskPriority
from scanqueue.models import SubmitOutcome
from tests.stores.tools import writing_connection


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    """A store that nobody has opened."""
    return SQLiteStore(tmp_path / "queue.sqlite3")


@pytest.fixture
def queue(store: SQLiteStore) -> Iterator[ScanQueueService]:
    """A queue with one pending task; its workers are not started."""
    queue = ScanQueueService(None, store=store)
    queue.submit_task("music")
    yield queue
    queue.shutdown()


@pytest.mark.parametrize(("durability", "pages"), [("full", 1000), ("normal", 4000)])
def test_how_long_the_log_becomes(tmp_path: Path, durability: str, pages: int) -> None:
    """Where each commit waits for the disk it comes round soon; where none does, it is long."""
    store = SQLiteStore(tmp_path / "queue.sqlite3", durability=durability)  # type: ignore[arg-type]
    with ScanQueueService(None, store=store) as queue:
        queue.submit_task("music")
        connection = writing_connection(store)
        assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (pages,)


def lengths_of_log(path: Path, durability: str) -> tuple[int, int]:
    """Submit to a new queue, twice; return how long its log is after each."""
    store = SQLiteStore(path, durability=durability)  # type: ignore[arg-type]
    queue = ScanQueueService(None, store=store)
    queue.submit_task("music")
    first = len(log_of(store))
    queue.submit_task("films")
    second = len(log_of(store))
    queue.shutdown()
    return first, second


def test_the_log_has_its_length_from_the_first_commit_on(tmp_path: Path) -> None:
    """So a flush has no new length to flush; where none is waited for, there is no need."""
    first, second = lengths_of_log(tmp_path / "full.sqlite3", "full")
    assert first == second
    assert 1000 * 1048 < first < 1_100_000
    first, second = lengths_of_log(tmp_path / "normal.sqlite3", "normal")
    assert first < second < 100_000


def test_a_log_that_is_long_is_left_alone(queue: ScanQueueService, store: SQLiteStore) -> None:
    """Each process that comes finds what the others have written to it."""
    before = log_of(store)
    other = ScanQueueService(None, store=SQLiteStore(store.path))
    assert other.submit("music").outcome is SubmitOutcome.JOINED
    assert log_of(store) == before
    other.submit_task("films")
    assert len(log_of(store)) == len(before)
    assert queue.pending_count() == 2
    other.shutdown()


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_where_there_is_no_room_the_log_grows_as_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """What there is may be needed for something else; SQLite does not ask Python to write."""
    real_pwrite = os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        written = real_pwrite(descriptor, data[: max(0, room - offset)], offset)
        if not written:
            raise OSError(errno.ENOSPC, "no room")
        return written

    monkeypatch.setattr(os, "pwrite", pwrite)
    first, second = lengths_of_log(tmp_path / "queue.sqlite3", "full")
    assert first < second < 100_000


@contextmanager
def statements(store: SQLiteStore) -> Iterator[list[str]]:
    """Collect what the one connection that writes is given."""
    connection = writing_connection(store)
    given: list[str] = []
    connection.set_trace_callback(given.append)
    yield given
    connection.set_trace_callback(None)


def log_of(store: SQLiteStore) -> bytes:
    """Return all that SQLite has written since the file was opened."""
    return Path(f"{store.path}-wal").read_bytes()


def test_a_join_that_changes_nothing_writes_nothing(
    queue: ScanQueueService, store: SQLiteStore
) -> None:
    """So it waits for no disk: the log stays as it is."""
    before = log_of(store)
    with statements(store) as given:
        for _ in range(3):
            assert queue.submit("music").outcome is SubmitOutcome.JOINED
    assert not [text for text in given if text.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert log_of(store) == before


def test_each_submission_and_upgrade_is_one_commit(
    queue: ScanQueueService, store: SQLiteStore
) -> None:
    """And its commit is flushed: `synchronous` is FULL."""
    for outcome in (SubmitOutcome.UPGRADED, SubmitOutcome.CREATED):
        library = "music" if outcome is SubmitOutcome.UPGRADED else "films"
        with statements(store) as given:
            assert queue.submit(library, TaskPriority.HIGH).outcome is outcome
        assert given.count("COMMIT") == 1
        assert store._writer._synchronous == "FULL"
