"""What goes wrong under way: nothing is acknowledged, and all goes on when it is over."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from scanqueue import ScanQueueService
from scanqueue.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)
from scanqueue.records import TaskRecord
from scanqueue.stores import _patience, _sqlite_file, _writer, sqlite
from scanqueue.stores._sqlite_errors import explain, may
from scanqueue.stores.sqlite import SQLiteStore
from tests.interrupts import Interrupt
from tests.stores.crowd import noted_limits
from tests.stores.test_opening import mounted
from tests.stores.tools import (
    PATIENCE,
    Call,
    OpenStore,
    Waiting,
    put,
    submit,
    waiting,
    writing_connection,
)

# --- the file ---


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_gone_acknowledges_nothing(
    store: SQLiteStore, path: Path, tmp_path: Path, is_replaced: bool
) -> None:
    """It says so to writers and readers, and goes on when the file is back."""
    submit(store, "music")
    hidden = tmp_path / "hidden.db"
    path.rename(hidden)
    if is_replaced:
        path.write_bytes(b"something else")
    match = "was replaced" if is_replaced else "is gone"
    with pytest.raises(StoreError, match=match):
        submit(store, "films")
    with pytest.raises(StoreError, match=match):
        waiting(store)
    hidden.rename(path)
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def test_a_file_that_goes_during_a_transaction_acknowledges_nothing(
    store: SQLiteStore, path: Path, tmp_path: Path
) -> None:
    """The commit would be to nowhere."""
    hidden = tmp_path / "hidden.db"

    def work() -> None:
        with store.write() as table:
            put(table, "music")
            path.rename(hidden)

    with pytest.raises(StoreError, match="is gone"):
        work()
    hidden.rename(path)
    assert waiting(store) == []
    submit(store, "films")


def test_who_comes_while_a_file_in_use_is_away_takes_nothing_from_it(
    store: SQLiteStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new queue would take the names of its log: what is in that would be lost."""
    monkeypatch.setattr(_patience, "BUSY_TIMEOUT", 0.0)
    submit(store, "music")
    hidden = tmp_path / "hidden.db"
    path.rename(hidden)
    other = SQLiteStore(path)
    text = (
        f"the queue in {str(path)!r} is gone while a service uses it that is alive, as"
        f" '{path}-owner-me' says, which is locked, or cannot be read; put the file back, or shut"
        " that service down, or end its process, to begin a new queue"
    )
    with pytest.raises(StoreError, match=f"^{re.escape(text)}$"):
        other.open("you", 1000)
    hidden.rename(path)
    other.open("you", 1000)
    submit(store, "films")
    assert waiting(other) == ["music", "films"]
    other.close()


def test_who_comes_waits_for_the_last_user_of_a_file_that_was_deleted(
    store: SQLiteStore, open_store: OpenStore, path: Path
) -> None:
    """Some processes may still be ending when others start."""
    submit(store, "music")
    path.unlink()
    opened: list[SQLiteStore] = []
    opening = Call(lambda: opened.append(open_store("you")))
    assert opening.is_alive()
    store.close()
    opening.result()
    assert waiting(opened[0]) == []


def lose_log(path: Path, *, is_replaced: bool = False) -> None:
    """Delete the log of a database in use, or put another file in its place."""
    log = path.with_name(f"{path.name}-wal")
    log.unlink()
    if is_replaced:
        log.touch()


LOST = "was deleted or replaced while it was in use; end all processes that use the queue"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_log_that_is_deleted_under_way_is_missed(
    store: SQLiteStore,
    open_store: OpenStore,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_replaced: bool,
) -> None:
    """Nothing more is acknowledged, and what was is saved by the last one that ends."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)
    submit(store, "music")
    log = path.with_name(f"{path.name}-wal")
    log.unlink()
    if is_replaced:
        log.touch()
    text = (
        f"a part of the queue in {str(path)!r}, its log {str(log)!r}, was deleted or replaced while"
        " it was in use; end all processes that use the queue: the last one saves what the log held"
    )
    for _ in range(2):
        with pytest.raises(StoreError, match=f"^{re.escape(text)}$"):
            submit(store, "films")
        monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 60.0)
    assert waiting(store) == ["music"]
    store.close()
    assert waiting(open_store("you")) == ["music"]


def test_a_log_that_is_missed_is_saved_at_exit(path: Path) -> None:
    """Also by a process that has shut its service down, with a scan that does not end."""
    script = (
        "import os, sys\n"
        "from threading import Event\n"
        "from scanqueue import ScanQueueService, SQLiteStore\n"
        "begun = Event()\n"
        "def scan(library_id, context):\n"
        "    begun.set()\n"
        "    Event().wait()\n"
        "queue = ScanQueueService(scan, store=SQLiteStore(sys.argv[1]))\n"
        "queue.start()\n"
        "for library_id in ('music', 'films'):\n"
        "    queue.submit_task(library_id)\n"
        "begun.wait()\n"
        "list(queue.list_tasks())\n"
        "os.unlink(sys.argv[1] + '-wal')\n"
        "print(queue.shutdown(0))\n"
    )
    assert run(script, path) == "False\n"
    with closing(sqlite3.connect(path)) as tool:
        found = tool.execute("SELECT library_id FROM tasks ORDER BY seq").fetchall()
    assert found == [("music",), ("films",)]


@pytest.mark.parametrize("is_lost", [False, True])
def test_only_a_log_that_is_missed_is_closed_at_exit(
    store: SQLiteStore, path: Path, is_lost: bool
) -> None:
    """A daemon thread may be at work still."""
    submit(store, "music")
    connection = writing_connection(store)
    if is_lost:
        lose_log(path)
    store._saving()
    if is_lost:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
        with closing(sqlite3.connect(path)) as tool:
            assert tool.execute("SELECT library_id FROM tasks").fetchall() == [("music",)]
    else:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        submit(store, "films")
        assert waiting(store) == ["music", "films"]


def test_a_shm_that_the_dead_left_is_no_sign_of_a_lost_log(store: SQLiteStore, path: Path) -> None:
    """Nobody but its own process is alive, and that has no connection."""
    memory = path.with_name(f"{path.name}-shm")
    submit(store, "music")
    left = memory.read_bytes()
    fork(store)
    assert not memory.exists()
    memory.write_bytes(left)
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def test_a_reader_takes_no_other_log_for_the_one_that_is_lost(
    store: SQLiteStore, open_store: OpenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have that made anew, as long as nobody has noticed."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 60.0)
    submit(store, "music")
    with store.read():  # on the connection that there is
        lose_log(path)
        with pytest.raises(StoreError, match=LOST):
            waiting(store)
    assert waiting(store) == ["music"]
    store.close()
    assert waiting(open_store("you")) == ["music"]


def test_a_log_that_is_missing_for_a_moment_is_not_missed(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if one process ended and another one began while somebody looks."""
    submit(store, "music")
    log = path.with_name(f"{path.name}-wal")
    away = log.rename(path.with_name("away"))
    waiting_for = Waiting(lambda: away.rename(log))
    monkeypatch.setattr("scanqueue._sync.Event", waiting_for)
    late = SQLiteStore(path)
    late.open("late", 1000)
    assert waiting_for.times == 3
    assert waiting(late) == ["music"]
    late.close()


def test_a_log_that_is_deleted_before_the_first_look_is_missed(
    open_store: OpenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to it nobody would find."""
    store = open_store("me")
    begin = _writer._begin

    def begin_late(cursor: sqlite3.Cursor) -> None:
        begin(cursor)
        lose_log(path)

    with monkeypatch.context() as patch:
        patch.setattr(_writer, "_begin", begin_late)
        with pytest.raises(StoreError, match=LOST):
            submit(store, "music")
    with pytest.raises(StoreError, match=LOST):
        submit(store, "music")
    store.close()


def test_a_log_that_is_lost_while_nobody_here_writes_is_missed(
    store: SQLiteStore, open_store: OpenStore, path: Path
) -> None:
    """Another process has it open: what is at its name is not what that writes to."""
    other = open_store("you")
    submit(other, "music")
    assert waiting(other) == ["music"]
    with closing(sqlite3.connect(path)) as tool:
        tool.execute("PRAGMA wal_checkpoint")
        fork(store)
        path.with_name(f"{path.name}-wal").unlink()
        late = SQLiteStore(path)
        for call in (
            lambda: submit(store, "films"),
            lambda: waiting(store),
            lambda: late.open("they", 1000),
        ):
            with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
                call()
    store.close()
    other.close()
    assert waiting(open_store("we")) == ["music"]


def test_an_interrupt_while_the_log_is_looked_for_closes_the_connection(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one does not take the log of the last one for its own."""
    submit(store, "music")
    connection = writing_connection(store)

    def hit(self: object, log: object) -> bool:
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr(_sqlite_file.DatabaseFile, "misses", hit)
        with pytest.raises(Interrupt):
            store._writer.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def test_a_log_that_cannot_be_looked_at_is_not_missed(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows that it is gone."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)
    submit(store, "music")
    real_stat = os.stat

    def fail(path: str, **options: bool) -> os.stat_result:
        if str(path).endswith("-wal"):
            raise OSError(errno.EIO, "Input/output error")
        return real_stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        submit(store, "films")
        fork(store)
        submit(store, "books")
    submit(store, "photos")
    assert waiting(store) == ["music", "films", "books", "photos"]


def test_a_log_that_is_put_back_is_gone_on_with(
    store: SQLiteStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing came in between, since nothing was taken."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)
    submit(store, "music")
    log = path.with_name(f"{path.name}-wal")
    log.rename(tmp_path / "log")
    with pytest.raises(StoreError, match="was deleted or replaced"):
        submit(store, "films")
    (tmp_path / "log").rename(log)
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def fork(store: SQLiteStore) -> None:
    """Fork."""
    store.before_fork()
    store.after_fork_in_parent()


def break_down(store: SQLiteStore) -> None:
    """Have the connection fail, so that another one is opened."""
    writing_connection(store).close()
    with pytest.raises(StoreError):
        submit(store, "books")


@pytest.mark.parametrize("is_seen", [False, True])
@pytest.mark.parametrize("is_replaced", [False, True])
@pytest.mark.parametrize("reopen", [fork, break_down])
def test_a_log_that_was_lost_is_missed_by_later_connections(
    store: SQLiteStore,
    open_store: OpenStore,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    reopen: Callable[[SQLiteStore], None],
    is_replaced: bool,
    is_seen: bool,
) -> None:
    """Another log would be taken for it, while others still use the first: the end of the file."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0 if is_seen else 60.0)
    other = open_store("you")
    submit(store, "music")
    assert waiting(other) == ["music"]
    with closing(sqlite3.connect(path)) as tool:
        tool.execute("PRAGMA wal_checkpoint")
        lose_log(path, is_replaced=is_replaced)
        if is_seen:
            with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
                submit(store, "films")
        reopen(store)
        for _ in range(2):
            with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
                submit(store, "films")
    store.close()
    other.close()
    assert waiting(open_store("they")) == ["music"]
    with closing(sqlite3.connect(path)) as tool:
        assert tool.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(
    ("error", "kind", "match"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            StoreReadOnlyError,
            r"the queue in {} failed: it can only be read; .* \(Permission denied\)$",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory"),
            StoreError,
            "the queue in {} is gone while it is",
        ),
    ],
)
def test_a_folder_that_cannot_be_looked_into_is_a_typed_error(
    store: SQLiteStore,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: OSError,
    kind: type[StoreError],
    match: str,
) -> None:
    """Whoever asks for what in it; and all goes on when it can be."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)
    submit(store, "music")

    real_stat = os.stat

    def fail(path: str, **options: bool) -> os.stat_result:
        if str(path).startswith(store.path):
            raise error
        return real_stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        for call in (lambda: submit(store, "films"), lambda: waiting(store)):
            text = match.format(re.escape(repr(store.path)))
            with pytest.raises(StoreError, match=f"^{text}") as caught:
                call()
            assert type(caught.value) is kind
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def fill(file: Path) -> None:
    """Write until there is no room left."""
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))


def test_a_queue_on_a_full_disk_is_refused_until_there_is_room(tmp_path: Path) -> None:
    """One that was there before: nothing of it is lost."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    with mounted(folder, "-o", "size=1m"):
        path = folder / "queue.db"
        with ScanQueueService(None, store=SQLiteStore(path)) as queue:
            queue.submit_task("music")
        fill(folder / "ballast")
        store = SQLiteStore(path)
        with pytest.raises(StoreFullError, match="no room is left on its disk; free some"):
            store.open("me", 1000)
        (folder / "ballast").unlink()
        store.open("me", 1000)
        assert waiting(store) == ["music"]
        store.close()


def test_a_full_disk_acknowledges_nothing(tmp_path: Path) -> None:
    """Reads still answer, and all goes on when there is room again."""
    folder = tmp_path / "mount"
    folder.mkdir()
    with mounted(folder, "-o", "size=1m"):
        store = SQLiteStore(folder / "queue.db")
        store.open("me", 1000)
        ballast = folder / "ballast"
        kept = [submit(store, "music").library_id]
        fill(ballast)

        def submit_many() -> None:
            for number in range(10_000):
                submit(store, number)
                kept.append(number)

        with pytest.raises(StoreFullError, match="no room is left on its disk; free some"):
            submit_many()
        assert waiting(store) == kept
        with pytest.raises(StoreFullError):
            submit(store, "x" * 200)
        refused = SQLiteStore(folder / "new.db")
        with pytest.raises(StoreFullError):
            refused.open("me", 1000)
        ballast.unlink()
        submit(store, "films")
        assert waiting(store) == [*kept, "films"]
        store.close()


def test_a_corrupt_page_is_reported(store: SQLiteStore, path: Path) -> None:
    """As what it is; there is no repairing it from here."""
    for number in range(500):
        submit(store, number)
    store.close()
    page = 4096
    with path.open("r+b") as file:
        file.seek(page)
        file.write(b"\xff" * (path.stat().st_size - page))
    damaged = SQLiteStore(path)

    def use() -> None:
        damaged.open("me", 1000)
        waiting(damaged)

    with pytest.raises(StoreCorruptError, match="it is damaged; put a backup in its place"):
        use()


def test_a_database_that_others_hold_is_busy(
    open_store: OpenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of those that write at the same time hear it; reads go on."""
    monkeypatch.setattr(_writer, "_TRIES", 1)
    store = open_store()
    submit(store, "music")
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN IMMEDIATE")
        calls = [Call(lambda n=number: submit(store, n)) for number in range(4)]  # type: ignore[misc]
        for call in calls:
            with pytest.raises(StoreBusyError, match="find out which"):
                call.result()
        assert waiting(store) == ["music"]
        theirs.execute("ROLLBACK")
    submit(store, "films")


@pytest.mark.parametrize("patience", [2, 3, 4])
def test_a_database_that_others_let_go_is_written(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    """If they do within its patience; here, it is asked for twice in vain."""
    monkeypatch.setattr(_writer, "_TRIES", patience)
    submit(store, "music")
    connection = writing_connection(store)
    asked: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as theirs:

        def note(statement: str) -> None:
            if statement == "BEGIN IMMEDIATE":
                asked.append(statement)
                if len(asked) == 3:
                    theirs.execute("ROLLBACK")

        theirs.execute("BEGIN IMMEDIATE")
        connection.set_trace_callback(note)
        if patience < 3:
            with pytest.raises(StoreBusyError):
                submit(store, "films")
        else:
            submit(store, "films")
    assert len(asked) == min(patience, 3)


# --- transactions ---


def test_an_exception_rolls_back(store: SQLiteStore) -> None:
    """All of it: tasks, revision and counts."""

    def work() -> None:
        with store.write() as table:
            put(table, "music")
            table.set_paused(True)
            raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        work()
    with store.read() as view:
        assert view.revision() == 1000
        assert view.counts().pending == 0
        assert not view.paused()
    assert submit(store, "films").revision == 1001


def test_the_exception_of_one_leaves_the_others_in_the_group(store: SQLiteStore) -> None:
    """It meets them in one transaction, and only what it did is taken back."""
    inside, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with store.write() as table:
            put(table, "first")
            inside.set()
            assert go_on.wait(PATIENCE)

    def fail() -> None:
        with store.write() as table:
            assert table.pending_of("first") is not None  # so they do share it
            put(table, "failed")
            table.set_paused(True)
            raise KeyError("no")

    calls = [Call(first)]
    assert inside.wait(PATIENCE)
    for work in (fail, lambda: submit(store, "last")):
        before = len(store._writers._waiting[True])
        calls.append(Call(work))
        while len(store._writers._waiting[True]) == before:
            assert calls[-1].is_alive()
    with store.read() as view:
        assert view.revision() == 1000  # nobody sees what is not committed
    go_on.set()
    calls[0].result()
    with pytest.raises(KeyError):
        calls[1].result()
    task = calls[2].result()
    assert isinstance(task, TaskRecord)
    assert task.revision == 1002
    assert waiting(store) == ["first", "last"]
    with store.read() as view:
        assert view.counts().pending == 2
        assert not view.paused()


def test_an_error_of_sqlite_is_explained_and_rolled_back(store: SQLiteStore) -> None:
    """The second line behind the rules: one pending task a library."""

    def work() -> None:
        with store.write() as table:
            task = put(table, "music")
            other = task.successor(table.next_revision())
            table.insert(other)

    text = f"^the queue in {store.path!r} failed: .*UNIQUE constraint failed"
    with pytest.raises(StoreError, match=text) as caught:
        work()
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    assert waiting(store) == []


def test_a_rollback_of_sqlite_itself_is_noticed(store: SQLiteStore) -> None:
    """As it happens on a full disk: the block believes that all is well."""

    def work() -> None:
        with store.write() as table:
            put(table, "music")
            table._cursor.execute("ROLLBACK")  # type: ignore[attr-defined]

    text = f"the queue in {store.path!r} failed: its changes were rolled back"
    with pytest.raises(StoreError, match=text):
        work()
    assert waiting(store) == []
    submit(store, "films")


def test_a_transaction_that_cannot_begin_is_explained(store: SQLiteStore) -> None:
    """At once: only a busy database is asked again."""
    submit(store, "music")
    connection = writing_connection(store)
    connection.execute("BEGIN")
    with pytest.raises(StoreError, match=r"SQLite refused .*within a transaction"):
        submit(store, "films")
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def test_a_connection_that_is_of_no_use_is_replaced(store: SQLiteStore) -> None:
    """For writing and for reading."""

    def write() -> None:
        with store.write() as table:
            put(table, "music")
            table._cursor.connection.close()  # type: ignore[attr-defined]

    def read() -> None:
        with store.read() as view:
            view._cursor.connection.close()  # type: ignore[attr-defined]
            view.revision()

    for work in (write, read):
        with pytest.raises((StoreError, sqlite3.ProgrammingError)):
            work()
        submit(store, work.__name__)
    assert waiting(store) == ["write", "read"]


def test_a_connection_that_can_only_read_is_replaced(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens a file so, without a word, where it may not be written at the moment."""
    store._writer.close()
    with monkeypatch.context() as patch:
        patch.setattr(store._file, "connect", lambda: store._file._connect("mode=ro"))
        for _ in range(2):
            with pytest.raises(StoreReadOnlyError, match="must be allowed to write the file"):
                submit(store, "music")
    submit(store, "music")
    assert waiting(store) == ["music"]


@pytest.mark.parametrize("refused", ["BEGIN", "ROLLBACK"])
def test_a_group_survives_what_one_of_it_does_to_the_connection(
    store: SQLiteStore, refused: str
) -> None:
    """Or hears that it did not; here marks cannot be made, ended or gone back to any more."""
    inside, go_on = threading.Event(), threading.Event()

    def authorize(action: int, name: str | None, *others: object) -> int:
        is_refused = action == sqlite3.SQLITE_SAVEPOINT and name == refused
        return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK

    def first() -> None:
        with store.write() as table:
            put(table, "first")
            table._cursor.connection.set_authorizer(authorize)  # type: ignore[attr-defined]
            inside.set()
            assert go_on.wait(PATIENCE)

    def second() -> None:
        with store.write() as table:
            put(table, "second")
            if refused == "ROLLBACK":
                raise KeyError("no")

    calls = [Call(first)]
    assert inside.wait(PATIENCE)
    calls.append(Call(second))
    while not store._writers._waiting[True]:
        assert calls[-1].is_alive()
    go_on.set()
    text = f"^the queue in {store.path!r} failed: .*not authorized"
    with pytest.raises(StoreError, match=text):
        calls[1].result()
    if refused == "BEGIN":
        calls[0].result()
    else:
        with pytest.raises(StoreError, match=text):
            calls[0].result()
    assert waiting(store) == ["first"] * (refused == "BEGIN")
    submit(store, "later")


def test_a_store_is_closed_when_nobody_is_inside(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: what it was left with is kept."""
    waits = noted_limits(monkeypatch)
    with store.write() as table:
        closing_it = Call(store.close)
        while not waits:
            assert closing_it.is_alive()
        put(table, "music")
    closing_it.result()
    assert waits == [-1]
    assert waiting(store) == ["music"]


def test_a_commit_that_fails_is_lost(store: SQLiteStore) -> None:
    """Whoever is interrupted after it must be able to tell."""
    submit(store, "music")
    writer = store._writer
    assert writer._cursor is not None

    def authorize(_action: int, name: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if name == "COMMIT" else sqlite3.SQLITE_OK

    writer._cursor.connection.set_authorizer(authorize)
    for _ in range(2):
        table = writer.begin(sync=True)
        assert writer.is_lost is False
        put(table, "films")
        with pytest.raises(StoreError, match=f"^the queue in {store.path!r} .*not authorized"):
            writer.commit()
        assert (writer.is_lost, writer.is_open()) == (True, False)
    assert waiting(store) == ["music"]


def test_what_is_gone_cannot_be_taken_back_alone(store: SQLiteStore) -> None:
    """SQLite has rolled back by itself: what those before had done is gone, too."""
    writer = store._writer
    put(writer.begin(sync=True), "films")
    writer.keep()
    writer.enter()
    assert writer._cursor is not None
    writer._cursor.execute("ROLLBACK")
    with pytest.raises(StoreError, match=r"its changes were rolled back$"):
        writer.undo()
    assert waiting(store) == []


def test_a_reader_that_gets_no_connection_is_told(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not counted as one that reads."""

    def fail(self: object, *, read_only: bool = False) -> sqlite3.Connection:
        raise failing(sqlite3.SQLITE_CANTOPEN)

    with store.read() as view:
        idle = view._cursor.connection  # type: ignore[attr-defined]
    idle.close()
    with pytest.raises(StoreError), store.read():
        pass
    with monkeypatch.context() as patch:
        patch.setattr(_sqlite_file.DatabaseFile, "connect", fail)
        with pytest.raises(StoreError), store.read():
            pass
        with pytest.raises(StoreError), store.write():
            pass
    assert not store._readers._active
    assert waiting(store) == []


def test_a_crowd_of_readers_leaves_a_few_connections(store: SQLiteStore) -> None:
    """The rest is closed."""
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(store.read())
    assert len(store._readers._idle) == 8


def test_changes_of_others_are_seen_at_once(open_store: OpenStore) -> None:
    """Within the state that a store keeps from its last transaction, too."""
    mine, theirs = open_store("me"), open_store("you")
    assert submit(mine, 1).revision == 1001
    assert submit(theirs, 2).revision == 1002
    assert submit(theirs, 3).revision == 1003
    assert submit(mine, 4).revision == 1004
    with theirs.read() as view:
        assert view.counts().pending == 4
        assert view.revision() == 1004


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_progress_is_not_flushed_and_endings_are(open_store: OpenStore, durability: str) -> None:
    """By the setting of the connection at each commit."""
    store = open_store(durability=durability)
    full, normal = 2, 1
    for sync in (True, False, True):
        with store.write(sync=sync) as table:
            (level,) = table._cursor.execute("PRAGMA synchronous").fetchone()  # type: ignore[attr-defined]
        assert level == (full if sync and durability == "full" else normal)


# --- errors ---


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            OSError(errno.EROFS, "x"),
            StoreReadOnlyError,
            "its disk is mounted read-only; have it mounted to be written, or choose another path",
        ),
        (
            OSError(errno.EACCES, "x"),
            StoreReadOnlyError,
            "it can only be read; this process must be allowed to write the file and its folder",
        ),
        (
            OSError(errno.EMFILE, "x"),
            StoreError,
            "too many files are open; close some, or let the process have more (`ulimit -n`)",
        ),
        (OSError(errno.EDQUOT, "x"), StoreFullError, "no room is left on its disk; free some"),
        (OSError(errno.EIO, "x"), StoreError, "the system refused"),
        (OSError("x"), StoreError, "the system refused"),
        (sqlite3.ProgrammingError("x"), StoreError, "SQLite refused"),
    ],
)
def test_errors_are_told_apart(error: OSError, kind: type[StoreError], text: str) -> None:
    """Each is what the host can act on, names the file, and says what the system said."""
    explained = explain(error, "/queue.db")
    assert type(explained) is kind
    said = getattr(error, "strerror", "x")
    assert str(explained) == f"the queue in '/queue.db' failed: {text} ({said})"


def failing(code: int) -> sqlite3.Error:
    """Return an error of SQLite with a code."""
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CANTOPEN])
def test_why_a_file_cannot_be_used_is_found_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """SQLite says little; the file system says more."""

    def found(**patches: object) -> tuple[type[StoreError], str]:
        with monkeypatch.context() as patch:
            for name, function in patches.items():
                patch.setattr(os, name, function)
            explained = explain(failing(code), str(path))
        text = str(explained).removeprefix(f"the queue in {str(path)!r} failed: ")
        return type(explained), text.removesuffix(" (x)")

    assert found() == (StoreError, "the file is gone")
    path.touch()
    unknown = (StoreError, "its disk could not be read or written")
    assert found() == unknown

    def gone(name: str) -> os.statvfs_result:
        raise FileNotFoundError(2, "No such file or directory", name)

    assert found(statvfs=gone) == unknown
    for denied, kind in (
        *((path, os.R_OK), (path, os.W_OK)),
        *((path.parent, os.W_OK), (path.parent, os.X_OK)),
    ):
        access = found(access=lambda n, m, d=str(denied), k=kind, **_: not (n == d and m & k))
        assert access[0] is StoreReadOnlyError
    block, free, files, free_files, flags = 1, 4, 5, 7, 8
    for values, kind_of_error in (
        ({block: 4096, free: 0}, StoreFullError),
        ({block: 4096, free: 15}, StoreFullError),
        ({block: 4096, free: 16}, StoreError),  # 64 KiB will do
        ({files: 100, free_files: 7}, StoreFullError),
        ({files: 100, free_files: 8}, StoreError),
        ({files: 0, free_files: 0}, StoreError),  # it has no such limit
        ({flags: os.ST_RDONLY}, StoreReadOnlyError),
    ):
        fields = list(os.statvfs(path))
        for field, value in values.items():
            fields[field] = value
        system = os.statvfs_result(fields)
        assert found(statvfs=lambda name, system=system: system)[0] is kind_of_error
    for number in (errno.EMFILE, errno.ENFILE):
        assert found(open=refuse(number))[1].startswith("too many files are open; close some")
    assert found(open=refuse(errno.EACCES)) == unknown


def refuse(number: int) -> Callable[..., int]:
    """Return what opens nothing."""

    def fail(path: str, flags: int) -> int:
        raise OSError(number, "refused", path)

    return fail


def run(script: str, path: Path) -> str:
    """Run a script in a process of its own, with a path; return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        timeout=60,
        text=True,
    )
    return ended.stdout


def test_a_process_that_has_too_many_files_open_hears_so(path: Path) -> None:
    """What it has open already is of no use, since a read takes a connection of its own."""
    script = (
        "import os, resource, sys\n"
        "from scanqueue.errors import StoreError\n"
        "from scanqueue.stores import SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1])\n"
        "store.open('me', 1000)\n"
        "with store.read():  # on the connection that there is\n"
        "    lowest = os.open('/dev/null', os.O_RDONLY)\n"
        "    os.close(lowest)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, lowest))\n"
        "    try:\n"
        "        with store.read():\n"
        "            pass\n"
        "    except StoreError as error:\n"
        "        print(error)\n"
    )
    assert "too many files are open; close some" in run(script, path)


def test_what_this_process_may_is_asked_for_the_user_that_it_acts_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system can tell."""
    asked: list[dict[str, bool]] = []
    can_tell = os.access in os.supports_effective_ids

    def access(path: str, mode: int, **options: bool) -> bool:
        asked.append(options)
        return True

    monkeypatch.setattr(os, "access", access)
    assert may(str(path), os.R_OK)
    assert asked == [{"effective_ids": can_tell}]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_who_may_write_is_whom_the_process_acts_for(path: Path) -> None:
    """And not who started it: SQLite can write, so it is not refused."""
    script = (
        "import os, sys\n"
        "os.setreuid(65534, 0)\n"
        "from scanqueue.stores import SQLiteStore\n"
        "for number in range(2):\n"
        "    store = SQLiteStore(sys.argv[1])\n"
        "    store.open(f'me{number}', 1000)\n"
        "    store.close()\n"
    )
    path.parent.chmod(0o700)
    run(script, path)
