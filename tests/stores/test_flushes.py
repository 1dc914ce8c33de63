"""What goes to disk, and what need not: by the statements that SQLite is given."""

from __future__ import annotations

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
