"""What a store opens, makes or refuses, and that it leaves alone what it refuses."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scanqueue import EndReason, ScanQueueService, TaskResult
from scanqueue.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
)
from scanqueue.stores import _file_lock, _patience, _sqlite_file, _sqlite_schema
from scanqueue.stores._patience import patiently
from scanqueue.stores._sqlite_file import DatabaseFile
from scanqueue.stores.sqlite import SQLiteStore
from scanqueue.wire import task_to_dict
from tests.faults.after import check_rows
from tests.stores.tools import Call, OpenStore, Waiting, edit, submit, waiting

NEWEST = len(_sqlite_schema.MIGRATIONS)
"""The version of the databases that this library makes."""


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def refused(path: Path, error: type[StoreError], text: str) -> None:
    """Check that a file is refused and nothing is changed beside it.

    Args:
        path: The file.
        error: What is raised.
        text: The whole message; "{}" stands for the file, "..." for what the system says.
    """
    match = re.escape(text).replace(r"\{\}", re.escape(repr(str(path)))).replace(r"\.\.\.", ".*")
    before = contents(path.parent) if path.parent.is_dir() else None
    store = SQLiteStore(path)
    with pytest.raises(error, match=f"^{match}$") as caught:
        store.open("me", 1000)
    assert type(caught.value) is error
    assert before is None or contents(path.parent) == before


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount a file system in memory, where this process may."""
    try:
        subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this process may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


def test_a_folder_without_room_for_another_file_is_full(tmp_path: Path) -> None:
    """However much room there is for what they hold; it works when there is room for it, too."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    with mounted(folder, "-o", "size=4m,nr_inodes=5"):
        names = [folder / f"{number}" for number in range(4)]
        for name in names:
            name.touch()
        store = SQLiteStore(folder / "queue.db")
        for error in (StoreFullError, StoreFullError):
            with pytest.raises(error, match="no room is left on its disk; free some"):
                store.open("me", 1000)
            names.pop().unlink()
        for name in names:
            name.unlink()
        store.open("me", 1000)
        submit(store, "music")
        store.close()


# --- arguments ---


@pytest.mark.parametrize("path", [None, 1, b"queue.db", ["queue.db"]])
def test_a_path_must_be_a_path(path: object) -> None:
    """The error names the argument, what it was and what it should be."""
    text = f"path must be a str or a path of str, not {path!r} ({type(path).__name__})"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        SQLiteStore(path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "the name of a file (a queue in memory has a MemoryStore)"),
        (":memory:", "the name of a file (a queue in memory has a MemoryStore)"),
        ("file:queue.db", "the name of a file, and no URI"),
        ("a\0b", "without NUL characters"),
        ("folder/", "the name of a file, without a slash at its end"),
    ],
)
def test_a_path_must_name_a_file(path: str, expected: str) -> None:
    """What SQLite takes for something else is refused."""
    text = f"path must be {expected}, not {path!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SQLiteStore(path)


def test_a_path_must_be_one_that_the_file_system_can_have() -> None:
    """A lone surrogate stands for no byte."""
    text = r"path must be a name that the file system can have, not 'queue\ud800.db'"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SQLiteStore("queue\ud800.db")


def test_a_relative_path_needs_a_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to do."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    text = "path must be absolute, since the current folder is gone, not 'queue.db'"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SQLiteStore("queue.db")


def test_durability_is_one_of_two() -> None:
    """By name."""
    with pytest.raises(TypeError, match="durability must be a str, not 1"):
        SQLiteStore("queue.db", durability=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="durability must be 'full' or 'normal', not 'off'"):
        SQLiteStore("queue.db", durability="off")  # type: ignore[arg-type]


def test_making_a_store_touches_nothing(path: Path, tmp_path: Path) -> None:
    """The first use does; and the path does not follow the working directory."""
    store = SQLiteStore(os.path.relpath(path))
    assert store.path == str(path)
    assert repr(store) == f"SQLiteStore({str(path)!r}, durability='full')"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_not_open_is_not_written(path: Path) -> None:
    """Nor read."""
    with pytest.raises(StoreError, match="is not open"):
        SQLiteStore(path).write()
    with pytest.raises(StoreError), SQLiteStore(path).read():
        pass
    SQLiteStore(path).close()


def test_an_owner_must_be_a_part_of_a_name(path: Path) -> None:
    """Of a file in the same folder."""
    with pytest.raises(ValueError, match="owner must be made of"):
        SQLiteStore(path).open("../me", 1000)


# --- making one ---


def test_a_new_queue_begins_where_it_is_told(open_store: OpenStore, path: Path) -> None:
    """An old one goes on where it was."""
    store = open_store()
    with store.read() as view:
        assert view.revision() == 1000
    submit(store, "music")
    store.close()
    other = SQLiteStore(path)
    other.open("you", 5)
    with other.read() as view:
        assert view.revision() == 1001
    other.close()


@pytest.mark.parametrize("name", ["a?b#c%d.db", "é.db", " ", "-x", "a'b\"c", os.fsdecode(b"\xff")])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    """Also one that has a meaning in URIs, or is not Unicode."""
    store = SQLiteStore(tmp_path / name)
    store.open("me", 1000)
    submit(store, "music")
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_closed_queue_is_one_file(store: SQLiteStore, path: Path, tmp_path: Path) -> None:
    """Nothing is left beside it."""
    submit(store, "music")
    assert len(list(tmp_path.iterdir())) == 4
    store.close()
    assert list(tmp_path.iterdir()) == [path]
    assert waiting(store) == ["music"]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StoreError, match="is not open"):
        store.write()
    store.close()


def test_links_lead_to_one_queue(store: SQLiteStore, path: Path, tmp_path: Path) -> None:
    """With one set of locks."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    other = SQLiteStore(link)
    other.open("you", 1000)
    submit(store, "music")
    assert waiting(other) == ["music"]
    assert other.dead_owners({"me"}) == set()
    other.close()


def test_of_two_who_make_it_one_is_late(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And uses what the other one made."""
    real_publish = _sqlite_file._publish

    def publish(draft: str, target: str) -> None:
        monkeypatch.setattr(_sqlite_file, "_publish", real_publish)
        early = SQLiteStore(path)
        early.open("early", 1)
        submit(early, "music")
        early.close()
        real_publish(draft, target)

    monkeypatch.setattr(_sqlite_file, "_publish", publish)
    late = SQLiteStore(path)
    late.open("late", 2000)
    assert waiting(late) == ["music"]
    late.close()


@pytest.mark.parametrize("is_late", [False, True])
def test_a_file_system_without_links_will_do(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    """The draft is renamed under a lock; never over a queue."""

    def link(source: str, target: str) -> None:
        raise PermissionError(1, "no links here")

    def be_late(draft: str) -> None:
        monkeypatch.setattr(_sqlite_file, "_flush", sync)
        early = SQLiteStore(path)
        early.open("early", 1)
        submit(early, "music")
        early.close()

    sync = _sqlite_file._flush
    monkeypatch.setattr(os, "link", link)
    if is_late:
        monkeypatch.setattr(_sqlite_file, "_flush", be_late)
    store = SQLiteStore(path)
    store.open("me", 2000)
    assert waiting(store) == ["music"] * is_late
    store.close()
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_without_its_database_is_not_taken_over(path: Path) -> None:
    """Who deletes the file of a killed process begins a new queue, and not half of the old one."""
    path.with_name(path.name + "-wal").write_bytes(b"old")
    path.with_name(path.name + "-shm").write_bytes(b"old")
    store = SQLiteStore(path)
    store.open("me", 1)
    submit(store, "music")
    assert waiting(store) == ["music"]
    store.close()


def test_files_of_others_with_such_a_name_are_left_alone(path: Path) -> None:
    """They hold no lock, and are nobody's sign of life."""
    files = [path.with_name(path.name + "-owner-" + name) for name in ("manual.pdf", "a" * 32)]
    for file in files:
        file.write_text("precious")
    store = SQLiteStore(path)
    store.open("me", 1)
    store.close()
    assert [file.read_text() for file in files] == ["precious"] * 2


def test_a_link_that_leads_to_itself_is_refused(path: Path) -> None:
    """Not tried for ever."""
    path.symlink_to(path.name)
    with pytest.raises(StoreError, match="a link that leads nowhere, or to itself; remove it"):
        SQLiteStore(path).open("me", 1)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the locks cannot be seen here")
def test_a_maker_takes_no_lock_from_who_has_the_database_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To close any descriptor of a file would: and then its log might be deleted under way."""
    first, second = SQLiteStore(path), SQLiteStore(path)
    publish = _sqlite_file._publish

    def publish_and_be_late(draft: str, target: str) -> None:
        publish(draft, target)
        monkeypatch.setattr(_sqlite_file, "_publish", publish)
        second.open("second", 1)
        submit(second, "music")

    monkeypatch.setattr(_sqlite_file, "_publish", publish_and_be_late)
    first.open("first", 1)

    inode = f":{path.stat().st_ino} "
    assert any(inode in line for line in Path("/proc/locks").read_text().splitlines())
    first.close()
    second.close()


def test_what_killed_makers_left_is_removed(open_store: OpenStore, tmp_path: Path) -> None:
    """Not what one is at work on, and nothing of others."""
    dead, cut_off, alive, begun = ("queue.db-new-" + digit * 32 for digit in "abcd")
    other = "queue.db-new-year"
    for name in (dead, dead + "-journal", dead + "-lock", cut_off, alive, other, begun + "-lock"):
        (tmp_path / name).touch()
    with _file_lock.create(str(tmp_path / alive) + "-lock"):
        open_store()
    names = {file.name for file in tmp_path.iterdir()}
    assert alive in names
    assert other in names
    assert not names & {dead, dead + "-journal", dead + "-lock", cut_off, begun + "-lock"}


def test_a_maker_that_fails_leaves_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its draft."""

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        refused(
            path,
            StoreFullError,
            "the queue in {} failed: no room is left on its disk; free some (...)",
        )
    assert list(tmp_path.iterdir()) == []
    store = SQLiteStore(path)
    store.open("me", 1000)
    store.close()


# --- refusing one ---


def test_a_connection_makes_no_file(path: Path) -> None:
    """Only what opens a queue does: else a deleted one would come back empty."""
    file = DatabaseFile(str(path))
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        file.connect()
    assert not path.exists()


@pytest.mark.parametrize("content", [b"x", b"garbage", b"x" * 10_000, b"SQLite format 3\0"])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    """And left as it is."""
    path.write_bytes(content)
    text = (
        "the queue in {} failed: it is no SQLite database; choose another path, or delete it to"
        " begin a new queue"
    )
    big = len(content) >= 512  # SQLite has looked at it
    refused(path, StoreCorruptError, f"{text} (file is not a database)" if big else text)


def test_an_empty_file_is_refused(path: Path) -> None:
    """A queue is never empty, not even after a crash while it is made."""
    path.touch()
    refused(
        path, StoreCorruptError, "the file {} is empty, so it is no queue; delete it to begin one"
    )


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_database_of_another_program_is_refused(path: Path, mode: str) -> None:
    """Also one in use, whose log is not in it yet."""
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute(f"PRAGMA journal_mode = {mode}")
        theirs.execute("CREATE TABLE tasks (id)")
        theirs.execute("INSERT INTO tasks VALUES (1)")
        text = (
            "{} is the database of another program (its application_id is 0); choose another path"
        )
        refused(path, StoreVersionError, text)
        assert theirs.execute("SELECT * FROM tasks").fetchall() == [(1,)]


def test_the_smallest_database_of_another_program_is_told_from_garbage(path: Path) -> None:
    """One page of 512 bytes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA page_size = 512")
        theirs.execute("PRAGMA user_version = 1")
    assert path.stat().st_size == 512
    text = "{} is the database of another program (its application_id is 0); choose another path"
    refused(path, StoreVersionError, text)


def test_a_newer_version_is_refused(store: SQLiteStore, path: Path) -> None:
    """With what to do about it."""
    submit(store, "music")
    store.close()
    edit_version(path, NEWEST + 1)
    text = (
        "the queue in {} was made by a newer version of scanqueue (its format is"
        f" {NEWEST + 1}, known are those up to {NEWEST}); install that, or choose another path"
    )
    refused(path, StoreVersionError, text)


def edit_version(path: Path, version: int) -> None:
    """Set the version of a database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def test_a_newer_version_that_takes_over_under_way_is_refused(
    store: SQLiteStore, path: Path
) -> None:
    """What it made of the tables is not for this one to change."""
    submit(store, "music")
    edit_version(path, NEWEST + 1)
    reason = f"the queue in {str(path)!r} was made by a newer version"
    with pytest.raises(StoreVersionError, match=reason):
        submit(store, "films")
    with pytest.raises(StoreVersionError, match=reason), store.read() as view:
        view.revision()
    edit_version(path, NEWEST)
    submit(store, "films")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It is told what to name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(folder, StoreError, "{} is a folder; name a file in it")


def test_what_is_not_a_regular_file_is_refused(path: Path) -> None:
    """To open a pipe would be to wait for ever."""
    os.mkfifo(path)
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match=r"^'.*' is not a regular file; choose another path$"):
        store.open("me", 1000)


def test_a_folder_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    """It is not made: it may be a drive that is not there."""
    text = "the queue in {} failed: its folder does not exist; make it first (...)"
    refused(tmp_path / "no" / "queue.db", StoreError, text)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Nor is a part of a path."""
    (tmp_path / "file").touch()
    text = "the queue in {} failed: a part of its path is no folder; choose another path (...)"
    refused(tmp_path / "file" / "queue.db", StoreError, text)


@pytest.mark.parametrize("byte", [0x00, 0x41, 0xFF])
def test_a_bad_byte_anywhere_is_found_or_harmless(
    open_store: OpenStore, path: Path, byte: int
) -> None:
    """It never comes out as anything but the one error: SQLite quotes what it cannot decode."""
    open_store().close()
    good = path.read_bytes()
    found = 0
    for offset in range(100, len(good), 41):
        path.write_bytes(good[:offset] + bytes([byte]) + good[offset + 1 :])
        store = SQLiteStore(path)
        try:
            store.open("me", 1000)
        except StoreCorruptError:
            found += 1
        store.close()
    assert found > 10


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("DROP TABLE queue", "column queue.cancelled, column queue.completed, .*, table queue"),
        ("ALTER TABLE slots RENAME COLUMN owner TO owned_by", "column slots.owner"),
        ("DROP INDEX by_revision", "index by_revision"),
    ],
)
def test_a_queue_that_lacks_a_part_is_refused(
    store: SQLiteStore, path: Path, statement: str, missing: str
) -> None:
    """Somebody dropped one, or its name was damaged."""
    store.close()
    edit(path, statement)
    text = (
        f"^the queue in {re.escape(repr(str(path)))} is damaged: it lacks {missing}; put a backup"
        " in its place, or delete it to begin a new queue$"
    )
    with pytest.raises(StoreCorruptError, match=text):
        SQLiteStore(path).open("you", 1000)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM queue", "UPDATE queue SET pending = 'many' WHERE one = 1"]
)
def test_a_queue_that_does_not_know_itself_is_damaged(
    store: SQLiteStore, path: Path, statement: str
) -> None:
    """It says so, in reads and writes."""
    edit(path, statement)
    text = (
        f"^the queue in {re.escape(repr(str(path)))} is damaged: it does not know its own state;"
        " put a backup in its place, or delete it to begin a new queue$"
    )
    with pytest.raises(StoreCorruptError, match=text):
        submit(store, "music")
    with pytest.raises(StoreCorruptError), store.read() as view:
        view.revision()


@pytest.mark.parametrize(
    ("denied", "right"),
    [("file", os.R_OK), ("file", os.W_OK), ("folder", os.W_OK), ("folder", os.X_OK)],
)
def test_what_may_not_be_written_is_refused(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch, denied: str, right: int
) -> None:
    """The error names it."""
    store.close()
    target = path if denied == "file" else path.parent
    access = os.access

    def deny(name: str, mode: int, **options: bool) -> bool:
        return access(name, mode, **options) and not (Path(name) == target and mode & right)

    monkeypatch.setattr(os, "access", deny)
    text = (
        f"the queue in {{}} can only be read: this process may not write {str(target)!r}; let it,"
        " or choose another path"
    )
    refused(path, StoreReadOnlyError, text)


def test_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    """Whether there is a queue on it or not."""
    folder = tmp_path / "mount"
    folder.mkdir()
    with mounted(folder):
        store = SQLiteStore(folder / "queue.db")
        store.open("me", 1000)
        submit(store, "music")
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)  # noqa: S607
        text = (
            "the queue in {} failed: its disk is mounted read-only; have it mounted to be written,"
            " or choose another path (Read-only file system)"
        )
        refused(folder / "queue.db", StoreReadOnlyError, text)
        refused(folder / "new.db", StoreReadOnlyError, text)


def test_a_queue_that_does_not_know_its_version_is_damaged(store: SQLiteStore, path: Path) -> None:
    """It would be taken for one that is to be made."""
    store.close()
    edit(path, "PRAGMA user_version = 0")
    text = (
        "the queue in {} is damaged: it does not know its version; put a backup in its place, or"
        " delete it to begin a new queue"
    )
    refused(path, StoreCorruptError, text)


def test_a_file_system_without_shared_memory_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a write-ahead log, readers and a writer would wait for each other."""

    class WithoutLog(sqlite3.Connection):
        def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:  # type: ignore[override]
            refuses = statement == "PRAGMA journal_mode = WAL" and path.exists()
            return super().execute("PRAGMA journal_mode = DELETE" if refuses else statement, values)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=WithoutLog))
    text = r"\(SQLite cannot keep a write-ahead log on this file system\)$"
    with pytest.raises(StoreError, match=text):
        SQLiteStore(path).open("me", 1000)


def test_a_file_system_that_becomes_read_only_is_reported(tmp_path: Path) -> None:
    """And the queue goes on when it can be written again."""
    folder = tmp_path / "mount"
    folder.mkdir()
    with mounted(folder):
        store = SQLiteStore(folder / "queue.db")
        store.open("me", 1000)
        submit(store, "music")
        store.before_fork()  # closes what would keep it from being remounted
        store.after_fork_in_parent()
        store._liveness.forget()  # type: ignore[union-attr]
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)  # noqa: S607
        with pytest.raises(StoreReadOnlyError):
            submit(store, "films")
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)  # noqa: S607
        submit(store, "films")
        assert waiting(store) == ["music", "films"]
        store.close()


def test_a_locked_database_is_busy(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program holds it for longer than it is worth to wait; then all goes on."""
    store.close()
    monkeypatch.setattr(_patience, "BUSY_TIMEOUT", 0.2)  # 20 tries
    waiting_for = Waiting(lambda: None)
    late = SQLiteStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA locking_mode = EXCLUSIVE")
        theirs.execute("BEGIN EXCLUSIVE")
        with monkeypatch.context() as patch:
            patch.setattr("scanqueue._sync.Event", waiting_for)
            with pytest.raises(StoreBusyError, match="held it locked for too long"):
                late.open("me", 1000)
    assert waiting_for.times == 20, "nobody else waits in between"
    late.open("me", 1000)
    submit(late, "music")
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN IMMEDIATE")
    late.close()


@pytest.mark.parametrize("is_in_time", [True, False])
def test_a_backup_is_taken_into_use_as_soon_as_others_let_it(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch, is_in_time: bool
) -> None:
    """A copy made by `VACUUM INTO` has no log; SQLite does not wait when it makes one."""
    submit(store, "music")
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    late = SQLiteStore(copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM queue").fetchall()
        waiting_for = Waiting(lambda: other.execute("COMMIT"))
        monkeypatch.setattr("scanqueue._sync.Event", waiting_for)
        if is_in_time:
            late.open("me", 1000)
        else:
            monkeypatch.setattr(_patience, "BUSY_TIMEOUT", 0.0)
            with pytest.raises(StoreBusyError, match="held it locked for too long"):
                late.open("me", 1000)
    assert waiting_for.times == (3 if is_in_time else 0)
    late.open("me", 1000)
    assert waiting(late) == ["music"]
    late.close()


def test_a_statement_that_fails_otherwise_is_not_tried_again() -> None:
    """Waiting would not help."""
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("SELECT * FROM nothing")

    with pytest.raises(sqlite3.OperationalError, match="nothing"):
        patiently(fail)
    assert len(tries) == 1


@pytest.mark.parametrize("is_in_time", [True, False])
def test_a_folder_that_somebody_has_locked_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_in_time: bool
) -> None:
    """As `flock` does it, or another maker; not for ever."""
    store = SQLiteStore(path)
    folder = os.open(path.parent, os.O_RDONLY)
    _file_lock.acquire(folder)
    waiting_for = Waiting(lambda: os.close(folder))
    monkeypatch.setattr("scanqueue._sync.Event", waiting_for)
    if not is_in_time:
        monkeypatch.setattr(_patience, "BUSY_TIMEOUT", 0.0)
        with pytest.raises(StoreBusyError, match="keeps its folder, or a file there, locked"):
            store.open("me", 1000)
        assert list(path.parent.iterdir()) == []
        os.close(folder)
    store.open("me", 1000)
    assert waiting_for.times == (3 if is_in_time else 0)
    submit(store, "music")
    store.close()


def test_a_connection_waits_for_five_seconds(store: SQLiteStore, path: Path) -> None:
    """In all else than in making a log."""
    file = DatabaseFile(str(path))
    with closing(file.connect()) as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)


# --- links ---


def test_a_step_back_is_taken_from_where_a_link_leads(path: Path) -> None:
    """As the system does it, and not as the text looks."""
    folder = path.with_name("disk") / "media"
    folder.mkdir(parents=True)
    path.with_name("link").symlink_to(folder)
    store = SQLiteStore(path.with_name("link") / ".." / "queue.db")
    store.open("me", 1000)
    store.close()
    assert folder.with_name("queue.db").exists()
    assert not path.exists()


def test_a_path_is_called_what_its_user_calls_it(path: Path) -> None:
    """Also where it is a link."""
    (path.parent / "real").mkdir()
    path.with_name("link").symlink_to("real")
    assert (
        SQLiteStore(path.with_name("link") / "queue.db").path
        == f"{path.with_name('link')}/queue.db"
    )


def test_a_link_that_is_made_before_the_first_use_is_followed(path: Path) -> None:
    """All names of a file lead to the same locks."""
    early = SQLiteStore(path)
    (path.parent / "real").mkdir()
    path.symlink_to(path.parent / "real" / "queue.db")
    early.open("early", 1000)
    late = SQLiteStore(path.parent / "real" / "queue.db")
    late.open("late", 1000)
    assert late.dead_owners({"early"}) == set()
    early.close()
    late.close()


# --- revisions ---


def test_a_later_opening_goes_on_above_what_anybody_has_seen(path: Path) -> None:
    """After a power cut revisions are missing that were published, but not flushed."""
    early = SQLiteStore(path)
    early.open("early", 1000)
    assert submit(early, "music").revision == 1001
    late = SQLiteStore(path)
    late.open("late", 5000)
    with late.read() as view:
        assert view.revision() == 1001
    with late.write() as table:
        assert table.next_revision() == 5001
    assert submit(early, "films").revision == 5002
    behind = SQLiteStore(path)
    behind.open("behind", 2000)
    assert submit(behind, "books").revision == 5003
    for store in (early, late, behind):
        store.close()


# --- migrations ---


NEXT_VERSION = ("ALTER TABLE tasks ADD COLUMN colour TEXT", "UPDATE tasks SET colour = 'red'")


def test_an_older_version_is_brought_forward(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that is in it, once."""
    submit(store, "music")
    store.close()
    migrations = (*_sqlite_schema.MIGRATIONS, NEXT_VERSION)
    monkeypatch.setattr(_sqlite_schema, "MIGRATIONS", migrations)
    for _ in range(2):
        newer = SQLiteStore(path)
        newer.open("me", 1000)
        assert waiting(newer) == ["music"]
        newer.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (NEWEST + 1,)
        assert connection.execute("SELECT colour FROM tasks").fetchall() == [("red",)]


@pytest.fixture
def first_version(path: Path) -> dict[str, Any]:
    """Make the file that a process of version 1 left when it was killed; return what it told."""
    folder = Path(__file__).parent / "version_1"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((folder / "queue.sql").read_text("utf-8"))
    told: dict[str, Any] = json.loads((folder / "told.json").read_text("utf-8"))
    return told


def test_a_file_of_the_first_version_goes_on(path: Path, first_version: dict[str, Any]) -> None:
    """It has all that was told of it, and what was being scanned runs again."""
    queue = ScanQueueService(
        lambda library_id, context: TaskResult(),
        store=SQLiteStore(path),
        workers=0,
        history_retention=timedelta(days=365_000),  # the file is as old as it is
    )
    tasks = [task_to_dict(task) for task in queue.list_tasks(100)]
    assert (queue.revision, tasks) == (first_version["revision"], first_version["tasks"])
    assert queue.is_paused
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (NEWEST,)
        query = "SELECT sql FROM sqlite_master WHERE name = 'by_revision'"
        assert "revision <> seq" in connection.execute(query).fetchone()[0]
    after = queue.submit("after").task
    assert after.revision == queue.revision > first_version["revision"]
    queue.start()  # its process is dead: a follow-up takes the place of the scan, one is over
    changed = queue.list_changes(after.revision)
    assert [(task.library_id, task.status.value, task.reason) for task in changed] == [
        ("hold", "failed", EndReason.INTERRUPTED),
        ("hold", "pending", None),
        ("stop", "cancelled", EndReason.REQUESTED),
    ]
    queue.resume()
    assert queue.run_pending() == 9
    stats = queue.stats()
    assert (stats.pending, stats.running, stats.stopping) == (0, 0, 0)
    assert (stats.completed, stats.failed, stats.cancelled) == (13, 2, 2)
    queue.shutdown()
    check_rows(path)


@pytest.mark.usefixtures("first_version")
@pytest.mark.parametrize(
    "statement", ["DROP INDEX by_revision", "ALTER TABLE tasks RENAME COLUMN revision TO number"]
)
def test_a_file_of_the_first_version_that_lacks_a_part_is_refused(
    path: Path, statement: str
) -> None:
    """It is not brought forward."""
    edit(path, statement)
    with pytest.raises(StoreCorruptError, match="is damaged"):
        SQLiteStore(path).open("me", 1000)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_what_others_keep_in_the_file_is_left_alone(store: SQLiteStore, path: Path) -> None:
    """Also what takes a module of SQLite that this process does not have."""
    submit(store, "music")
    store.close()
    edit(path, "CREATE TABLE notes (text)")
    edit(path, "CREATE INDEX notes_by_text ON tasks (library_id)")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        text = "CREATE VIRTUAL TABLE places USING unknown_module(x)"
        connection.execute(
            "INSERT INTO sqlite_master VALUES ('table', 'places', 'places', 0, ?)", (text,)
        )
    another = SQLiteStore(path)
    another.open("you", 1000)
    assert waiting(another) == ["music"]
    another.close()


def test_a_pipe_that_is_called_as_an_owner_file_is_none(path: Path) -> None:
    """Nobody waits for somebody who writes to it."""
    os.mkfifo(f"{path}-owner-me")
    store = SQLiteStore(path)
    Call(partial(store.open, "you", 1000)).result()
    store.close()


def test_a_file_of_the_first_version_is_shared(
    path: Path, open_store: OpenStore, first_version: dict[str, Any]
) -> None:
    """Its tasks have numbers that count, and the row of the queue counts all of them."""
    first, second = open_store("first"), open_store("second")
    for count, (one, library) in enumerate([(first, "photos"), (second, "comics")], 1):
        assert submit(one, library).revision == first_version["revision"] + count
    for one in (first, second):
        assert waiting(one)[-2:] == ["photos", "comics"]
        with one.read() as view:
            counts = view.counts()
            assert (counts.pending, counts.running, counts.slots) == (10, 1, 2)


def test_a_migration_that_fails_changes_nothing(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older version still works with it."""
    submit(store, "music")
    store.close()
    with monkeypatch.context() as patch:
        migrations = (*_sqlite_schema.MIGRATIONS, (*NEXT_VERSION, "nonsense"))
        patch.setattr(_sqlite_schema, "MIGRATIONS", migrations)
        text = (
            f'the queue in {str(path)!r} is damaged (near "nonsense": syntax error); put a backup'
            " in its place, or delete it to begin a new queue"
        )
        with pytest.raises(StoreCorruptError, match=f"^{re.escape(text)}$"):
            SQLiteStore(path).open("me", 1000)
    older = SQLiteStore(path)
    older.open("me", 1000)
    assert waiting(older) == ["music"]
    older.close()


def test_two_that_migrate_at_once_do_it_once(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one looks again when it has the lock."""
    store.close()
    monkeypatch.setattr(_sqlite_schema, "MIGRATIONS", (*_sqlite_schema.MIGRATIONS, NEXT_VERSION))
    stores = [SQLiteStore(path) for _ in range(4)]
    calls = [Call(partial(one.open, f"owner{n}", 1)) for n, one in enumerate(stores)]
    for call in calls:
        call.result()
    for one in stores:
        one.close()


# --- importing ---


def test_the_library_does_not_load_sqlite_until_it_is_used() -> None:
    """Who keeps tasks in memory pays nothing for it."""
    script = (
        "import sys, scanqueue, scanqueue.stores\n"
        "assert 'sqlite3' not in sys.modules\n"
        "assert 'SQLiteStore' in scanqueue.__all__ and 'SQLiteStore' in scanqueue.stores.__all__\n"
        "assert scanqueue.SQLiteStore is scanqueue.stores.SQLiteStore\n"
        "assert 'sqlite3' in sys.modules\n"
        "for module in (scanqueue, scanqueue.stores):\n"
        "    assert not hasattr(module, 'NoStore')\n"
    )
    # Whoever measures coverage loads it into every process.
    environment = {name: os.environ[name] for name in os.environ if "COV" not in name}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_a_store_that_is_forgotten_lets_go(path: Path) -> None:
    """Its files are closed, and its owner is dead."""
    forgotten = SQLiteStore(path)
    forgotten.open("me", 1000)
    submit(forgotten, "music")
    assert waiting(forgotten) == ["music"]
    del forgotten
    assert list(path.parent.iterdir()) == [path]
