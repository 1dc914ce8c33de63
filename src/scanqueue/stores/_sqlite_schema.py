"""What is in a database of tasks, and how an older one becomes a newer one.

`seq` is the revision of the task's submission (in records of version 1: a number that counts). A
transaction that does nothing but add tasks leaves the row of the queue as it is: the tasks whose
`seq` is above its revision are all that has happened since, one of each revision, and all pending.
Texts are compared byte by byte, moments are microseconds since 1970 (UTC). `library_id` has no
type, so that SQLite keeps 1 and '1' apart. `scope` is a JSON list of paths, NULL for the whole
library. `ended_by` is the latest end up to that of this task: it never falls along `rank`, even
if the wall clock was set back, so one index answers in order of ending what ended since a moment.
It is NULL while a task is active, and in a record that was set aside as unreadable.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from scanqueue.errors import StoreCorruptError, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

APPLICATION_ID = 0x53635175
"""`ScQu`: what marks a file as ours."""

UNREADABLE = "unreadable"
"""The status of a record that was set aside."""

_VERSION_1 = (
    """
    CREATE TABLE queue (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        revision INTEGER NOT NULL,
        paused INTEGER NOT NULL DEFAULT 0,
        pending INTEGER NOT NULL DEFAULT 0,
        running INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        cancelled INTEGER NOT NULL DEFAULT 0,
        stopping INTEGER NOT NULL DEFAULT 0,
        slots INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE tasks (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        library_id NOT NULL,
        created_at INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        status TEXT NOT NULL,
        scope TEXT,
        deep INTEGER NOT NULL,
        started_at INTEGER,
        completed_at INTEGER,
        scanned_paths INTEGER NOT NULL,
        total_paths INTEGER,
        message TEXT,
        added_count INTEGER,
        updated_count INTEGER,
        removed_count INTEGER,
        failed_count INTEGER,
        error TEXT,
        reason TEXT,
        attempt INTEGER NOT NULL,
        interruptions INTEGER NOT NULL,
        holds_slot INTEGER NOT NULL,
        ended_by INTEGER
    )
    """,
    """
    CREATE TABLE slots (
        seq INTEGER PRIMARY KEY,
        library_id NOT NULL UNIQUE,
        task_id BLOB NOT NULL,
        attempt INTEGER NOT NULL,
        owner TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX one_pending ON tasks (library_id) WHERE status = 'pending'",
    "CREATE UNIQUE INDEX one_running ON tasks (library_id) WHERE status = 'running'",
    "CREATE INDEX by_claim ON tasks (priority DESC, rank) WHERE status = 'pending'",
    "CREATE INDEX by_revision ON tasks (revision) WHERE status <> 'unreadable'",
    "CREATE INDEX by_end ON tasks (ended_by, rank) WHERE ended_by IS NOT NULL",
    "CREATE INDEX by_library ON tasks (library_id, ended_by, rank) WHERE ended_by IS NOT NULL",
    """
    CREATE INDEX by_expiry ON tasks (completed_at, status)
    WHERE ended_by IS NOT NULL AND holds_slot = 0
    """,
)

_VERSION_2 = (
    "DROP INDEX by_revision",
    """
    CREATE INDEX by_revision ON tasks (revision)
    WHERE revision <> seq AND status <> 'unreadable'
    """,
)
"""A task is added without a change of `queue`, and is found by its `seq` until it changes."""

MIGRATIONS: tuple[Sequence[str], ...] = (_VERSION_1, _VERSION_2)
"""At n, the statements that make version n + 1 of version n; version 0 is an empty file."""


def upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Bring a database to the current version; one transaction, or nothing.

    Args:
        connection: To a database of ours, or an empty one.
        path: Its file, for errors.

    Raises:
        StoreVersionError: A newer version of the library made it.
        StoreCorruptError: A part of it is missing.
        sqlite3.Error: SQLite refused.
    """
    if refuse_newer(connection, path) < len(MIGRATIONS):
        connection.execute("BEGIN EXCLUSIVE")
        try:
            # Again: another process may have been first.
            version = refuse_newer(connection, path)
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    missing = sorted(_parts() - _parts_of(connection))
    if missing:
        message = (
            f"the queue in {path!r} is damaged: it lacks {', '.join(missing)}; put a backup in its"
            " place, or delete it to begin a new queue"
        )
        raise StoreCorruptError(message)


@cache
def _parts() -> AbstractSet[str]:
    """Return the names of all that a database of the current version has."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in chain.from_iterable(MIGRATIONS):
            connection.execute(statement)
        return _parts_of(connection)


def _parts_of(connection: sqlite3.Connection) -> AbstractSet[str]:
    """Return the names of what is in a database, and of the columns of our tables."""
    query = (
        "SELECT type || ' ' || name FROM sqlite_master UNION ALL"
        " SELECT 'column ' || tables.name || '.' || columns.name"
        " FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
        " WHERE tables.name IN ('queue', 'tasks', 'slots')"  # those of others may need modules
    )
    return {part for (part,) in connection.execute(query)}


def refuse_newer(database: sqlite3.Connection | sqlite3.Cursor, path: str) -> int:
    """Return the version of a database.

    Args:
        database: What executes statements on it.
        path: Its file, for errors.

    Raises:
        StoreVersionError: It is newer than what this library knows.
        sqlite3.Error: SQLite refused.
    """
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        message = (
            f"the queue in {path!r} was made by a newer version of scanqueue (its format is"
            f" {version}, known are those up to {len(MIGRATIONS)}); install that, or choose"
            " another path"
        )
        raise StoreVersionError(message)
    return version
