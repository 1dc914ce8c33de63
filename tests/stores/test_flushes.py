"""What goes to disk, and what need not: by the statements that SQLite is given."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanqueue import ScanQueueService, SQLiteStore, TaskPriority
from scanqueue.models import SubmitOutcome
from scanqueue.stores import sqlite
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


def sizes_of_log(queue: ScanQueueService, store: SQLiteStore, count: int) -> list[int]:
    """Submit so many times; return how long the log is after each."""
    sizes: list[int] = []
    for number in range(count):
        queue.submit_task(number)
        sizes.append(len(log_of(store)))
    return sizes


def test_a_log_that_grows_is_given_its_length(queue: ScanQueueService, store: SQLiteStore) -> None:
    """So a flush has no new length to flush, until SQLite begins at its front again."""
    sizes = sizes_of_log(queue, store, 30)
    assert sizes[13] < 100_000
    assert 1_048_000 < sizes[14] < 1_150_000
    assert set(sizes[14:]) == {sizes[14]}
    assert [task.library_id for task in queue.list_pending()] == ["music", *range(30)]


def test_it_keeps_its_length(queue: ScanQueueService, store: SQLiteStore) -> None:
    """Also when SQLite has moved all of it into the database."""
    before = sizes_of_log(queue, store, 16)[-1]
    writing_connection(store).execute("PRAGMA wal_checkpoint(RESTART)")
    assert sizes_of_log(queue, store, 30)[-1] == before


def test_it_is_looked_after_now_and_then(queue: ScanQueueService, store: SQLiteStore) -> None:
    """Somebody may have cut it off; and it is of no use where SQLite does not write next."""
    before = sizes_of_log(queue, store, 16)[-1]
    writing_connection(store).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sizes = sizes_of_log(queue, store, 40)
    assert sizes[10] < 100_000
    assert 1_048_000 < sizes[-1] <= before


def test_pages_of_another_size_make_another_log(tmp_path: Path) -> None:
    """As in a file that somebody has made anew with SQLite's own pages."""
    path = tmp_path / "queue.sqlite3"
    queue = ScanQueueService(None, store=SQLiteStore(path))
    queue.submit_task("films")
    queue.shutdown()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("journal_mode = DELETE", "page_size = 4096"):
            connection.execute(f"PRAGMA {statement}")
        connection.execute("VACUUM")
    store = SQLiteStore(path)
    queue = ScanQueueService(None, store=store)
    assert 4_120_000 < sizes_of_log(queue, store, 16)[-1] < 4_500_000
    queue.shutdown()


def test_a_log_that_is_long_is_left_alone(queue: ScanQueueService, store: SQLiteStore) -> None:
    """Each process that comes finds what the others have written to it."""
    before = sizes_of_log(queue, store, 16)[-1]
    other = ScanQueueService(None, store=SQLiteStore(store.path))
    assert set(sizes_of_log(other, store, 30)) == {before}
    assert queue.pending_count() == 31
    other.shutdown()


def test_where_no_commit_waits_the_log_grows_as_it_must(tmp_path: Path) -> None:
    """Nobody would be faster."""
    store = SQLiteStore(tmp_path / "queue.sqlite3", durability="normal")
    queue = ScanQueueService(None, store=store)
    assert sizes_of_log(queue, store, 40)[-1] < 400_000
    queue.shutdown()


@pytest.mark.parametrize(("free", "size"), [(16_768_000, 1_048_000), (16_767_999, 0)])
def test_sixteen_times_as_much_must_be_free(
    queue: ScanQueueService,
    store: SQLiteStore,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    size: int,
) -> None:
    """Others may need it more."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))
    assert sizes_of_log(queue, store, 20)[-1] // 1_048_000 * 1_048_000 == size


def test_where_nobody_knows_how_long_it_is_the_log_grows_as_it_must(
    queue: ScanQueueService, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody hears of that, either."""
    real_stat = os.stat

    def stat(path: str) -> os.stat_result:
        if path.endswith("-wal"):
            raise OSError(errno.EACCES, "not for you")
        return real_stat(path)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)
    assert sizes_of_log(queue, store, 40)[-1] < 400_000


def test_where_there_is_no_room_the_log_grows_as_it_must(
    queue: ScanQueueService, store: SQLiteStore
) -> None:
    """What was tried is taken back, and nobody hears of it."""
    connection = writing_connection(store)
    (cache,) = connection.execute("PRAGMA cache_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    sizes = sizes_of_log(queue, store, 20)
    assert sizes[13] < 100_000 < sizes[-1] < 300_000
    assert queue.pending_count() == 21
    assert connection.execute("PRAGMA cache_size").fetchone() == (cache,)


def test_while_another_process_writes_the_log_grows_as_it_must(
    queue: ScanQueueService, store: SQLiteStore
) -> None:
    """It is waited for afterwards, as ever."""
    sizes_of_log(queue, store, 14)
    tries: list[str] = []

    def follow(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            tries.append(statement)
            if len(tries) == 3:
                other.execute("ROLLBACK")

    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing_connection(store).set_trace_callback(follow)
        queue.submit_task("films")
    assert len(tries) == 3
    assert len(log_of(store)) < 100_000
    assert queue.pending_count() == 16


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
