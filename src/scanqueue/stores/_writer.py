"""The transactions that write, on the one connection that does."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from scanqueue.errors import StoreError
from scanqueue.stores._patience import BUSY_TIMEOUT
from scanqueue.stores._sqlite_errors import explain
from scanqueue.stores._sqlite_state import load
from scanqueue.stores._sqlite_table import SQLiteTable

if TYPE_CHECKING:
    from scanqueue.stores._sqlite_file import DatabaseFile
    from scanqueue.stores._sqlite_state import QueueState
    from scanqueue.stores._unreadable import Unreadable

_WRITE_NOTHING = "DELETE FROM queue WHERE 0"
"""Fails on a connection that can only read. SQLite makes one, without a word, if the file cannot
be opened for writing at the moment, and even begins transactions on it."""

_PATIENCE = 3
"""Milliseconds that SQLite waits for a writer of another process: after 1, and after 2 more, it
asks again. If it may wait for longer it asks every 100 ms, and never meets the moment between two
transactions of a process that writes all the time."""
_TRIES = round(BUSY_TIMEOUT * 1000 / _PATIENCE)

_LOG_PAGES = 1_000
"""Pages of the log at which SQLite moves them to the database, and begins at its front again."""
_LAZY_LOG_PAGES = 4_000
"""The same, where no commit waits for the disk, but this does."""

_LENGTHEN_EVERY = 16
"""Each so many transactions of a connection, it looks whether the log is to be made longer: who
writes a few times and goes is not to pay for it."""
_LONG_ROW = (
    "INSERT INTO slots (library_id, task_id, attempt, owner) VALUES (x'', x'', 0, zeroblob(?))"
)
"""No library has that id. It is never committed."""


def _begin(cursor: sqlite3.Cursor) -> None:
    for _ in range(_TRIES - 1):
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        else:
            return
    cursor.execute("BEGIN IMMEDIATE")


class Writer:
    """Begins and ends what writes to a database. Opens its connection when it needs one.

    Thread-safety: one thread at a time.

    Args:
        file: The database.
        full: Whether a commit may be asked to reach the disk.
        reported: The records that are known to be unreadable.
    """

    def __init__(self, file: DatabaseFile, reported: Unreadable, *, full: bool) -> None:
        self._file = file
        self._full = full
        self._reported = reported
        self.tell = reported.tell
        """Log what was found; the caller has no turn."""
        self.first_revision = 0
        """Below what it makes next. What was published, but not flushed, is gone after a power cut,
        though somebody may have seen its revision; another change must not have the same."""
        self._cursor: sqlite3.Cursor | None = None
        """Of its one connection; all statements are run on this one."""
        self.is_to_look = True
        """Whether the next transaction is to see that all is well with the files."""
        self._synchronous = ""
        self._begun = 0
        """How many transactions its connection has begun."""
        self._others: object = None
        """What SQLite changes when another connection writes."""
        self._saved: QueueState | None = None
        """The queue as a whole, as it was last committed; None: not known, or about to change."""
        self._kept: QueueState | None = None
        """The same, after the blocks that ended well."""
        self._table: SQLiteTable | None = None
        self._is_marked = False
        self.is_lost = False
        """Whether a commit has failed: nothing of its transaction was kept."""

    def begin(self, *, sync: bool) -> SQLiteTable:
        """Begin a transaction, and return the table of its first block.

        Args:
            sync: Whether its commit must be on disk when it is done.

        Raises:
            StoreError: The database cannot be written.
        """
        try:
            cursor = self._cursor
            if cursor is None:
                cursor = self._open()
            synchronous = "FULL" if sync and self._full else "NORMAL"
            if synchronous != self._synchronous:
                cursor.execute(f"PRAGMA synchronous = {synchronous}")
                self._synchronous = synchronous
            self._begun += 1
            if not self._begun % _LENGTHEN_EVERY and self._full:
                self._lengthen_log(cursor)
            _begin(cursor)
            if self.is_to_look:
                self._look(cursor)
            (others,) = cursor.execute("PRAGMA data_version").fetchone()
            state, self._saved = self._saved, None
            if state is None or others != self._others:  # somebody else has written since
                state = load(cursor, self._file.path)
                state.floor = self.first_revision
                self._others = others
            self._kept = state
            self.is_lost = False
            self._table = table = SQLiteTable(cursor, self._file.path, self._reported, state)
        except sqlite3.Error as error:
            self.close()  # it may be one that can only read
            raise explain(error, self._file.path) from error
        except StoreError:
            self.rollback()
            raise
        except BaseException:  # an interrupt: the connection may be set up in part
            self.close()
            raise
        return table

    def _open(self) -> sqlite3.Cursor:
        """Open the connection, and keep it, so that `close` finds it even if this fails."""
        self._file.check_identity()  # later, the commit sees to that
        self._synchronous, self._begun, self.is_to_look = "", 0, True
        self._cursor = cursor = self._file.connect().cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        pages = _LOG_PAGES if self._full else _LAZY_LOG_PAGES
        cursor.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        cursor.execute("PRAGMA journal_size_limit = -1")  # where it begins again, it stays as long
        return cursor

    def _look(self, cursor: sqlite3.Cursor) -> None:
        """See, in a transaction, that it can write, and to the log that others find by its name.

        Raises:
            StoreError: It cannot. What is written to another log is lost if the process is killed.
            sqlite3.Error: SQLite refused.
        """
        if self._file.log is None:
            cursor.execute(_WRITE_NOTHING)
            self._file.log = self._file.log_identity()
        self._file.check_identity()  # if that is gone, too, it is what there is to say
        if self._file.misses(self._file.log):
            self._file.refuse_lost_log()
        self.is_to_look = False  # else again, as long as that raises

    def _lengthen_log(self, cursor: sqlite3.Cursor) -> None:
        """Give the log the length that it will have, if there is room for that.

        What is written over is flushed up to twice as fast as what is added to the end of a file,
        whose length must be flushed with it. So this adds a row that is as long, and takes it
        back: what does not fit into the cache, which is made one page small, is logged before the
        commit, and the log does not become shorter. To write zeros there would be faster, but who
        knows whose log has that name by now?
        """
        (page_size,) = cursor.execute("PRAGMA page_size").fetchone()
        size = _LOG_PAGES * (page_size + 24)  # bytes; each page has a header
        if not self._file.may_lengthen_log(size):
            return
        (cache_size,) = cursor.execute("PRAGMA cache_size").fetchone()
        try:
            cursor.execute("PRAGMA cache_size = 1")
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(_LONG_ROW, (size,))
        except sqlite3.Error:  # another process writes; of anything worse the next one hears
            pass
        finally:
            if cursor.connection.in_transaction:
                cursor.execute("ROLLBACK")
            cursor.execute(f"PRAGMA cache_size = {cache_size}")

    def enter(self) -> SQLiteTable:
        """Begin another block in the transaction, and return its table.

        Raises:
            StoreError: The database cannot be written.
        """
        assert self._cursor is not None
        assert self._kept is not None
        try:
            self._cursor.execute("SAVEPOINT block")
        except sqlite3.Error as error:
            raise explain(error, self._file.path) from error
        self._is_marked = True
        state = self._kept.copy()
        self._table = SQLiteTable(self._cursor, self._file.path, self._reported, state)
        return self._table

    def keep(self) -> None:
        """End the block, and keep what it did.

        Raises:
            StoreError: Nothing is open any more: SQLite took all of it back.
        """
        table = self._table
        assert table is not None
        if not self.is_open():
            self._refuse_lost()
        state = table.state  # an interrupt may come here, but not between the next two
        self._is_marked = False  # it stays in the database: the commit takes all marks away
        self._kept = state
        self._table = None
        table.end()

    def undo(self) -> None:
        """End the block, and take back what it did, and nothing else.

        Raises:
            StoreError: All was taken back.
        """
        assert self._cursor is not None
        self._end_table()
        try:
            if not self.is_open():
                self._refuse_lost()
            if self._is_marked:  # else `enter` failed, or was interrupted
                self._cursor.execute("ROLLBACK TO block")
                self._cursor.execute("RELEASE block")
                self._is_marked = False
        except sqlite3.Error as error:
            self.rollback()
            raise explain(error, self._file.path) from error

    def _end_table(self) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.end()

    def _refuse_lost(self) -> NoReturn:
        """Say that SQLite has rolled back by itself, as it does when the disk is full."""
        self.rollback()
        message = f"the queue in {self._file.path!r} failed: its changes were rolled back"
        raise StoreError(message)

    def commit(self) -> None:
        """End the transaction, and the block if one is open, and keep all of it.

        Raises:
            StoreError: All was taken back.
        """
        if self._table is not None:
            self.keep()
        cursor, state = self._cursor, self._kept
        assert cursor is not None
        assert state is not None
        try:
            if not state.is_found:
                state.save(cursor)
            self._file.check_identity()
            cursor.execute("COMMIT")
            self._saved = state
        except sqlite3.Error as error:
            self.is_lost = True  # first: what comes next may be interrupted
            self.rollback()
            raise explain(error, self._file.path) from error
        except StoreError:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Take all back, if a transaction is open; the connection is good for the next one."""
        self._end_table()
        self._is_marked = False
        cursor = self._cursor
        if cursor is not None:
            try:
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()

    def is_open(self) -> bool:
        """Return whether a transaction is open."""
        try:
            return self._cursor is not None and self._cursor.connection.in_transaction
        except sqlite3.Error:  # somebody has closed it
            return False

    def explain(self, error: BaseException) -> BaseException:
        """Return what a caller is to see in the place of an error of SQLite."""
        return explain(error, self._file.path) if isinstance(error, sqlite3.Error) else error

    def close(self) -> None:
        """Close the connection; the next `begin` opens another one."""
        cursor, self._cursor = self._cursor, None
        log, self._file.log = self._file.log, None
        self._saved = None
        if cursor is not None:
            try:
                if self._file.misses(log):  # now, since the next one cannot tell
                    self._file.log = log
                with suppress(sqlite3.Error):
                    cursor.close()  # the file stays open as long as a cursor has a statement
            finally:
                cursor.connection.close()

    def forget(self) -> sqlite3.Cursor | None:  # pragma: no cover - in forked children only
        """Let go of the connection without closing it, and return what keeps it open."""
        cursor, self._cursor = self._cursor, None
        return cursor
