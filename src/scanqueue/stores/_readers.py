"""The transactions that read: each sees one moment, on a connection of its own while it lasts."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue.stores._sqlite_errors import explain
from scanqueue.stores._sqlite_table import SQLiteView

if TYPE_CHECKING:
    from types import TracebackType

    from scanqueue.stores._sqlite_file import DatabaseFile
    from scanqueue.stores._unreadable import Unreadable

_IDLE_LIMIT = 8
"""The most connections that wait for a reader."""


class Readers:
    """A few connections, used last in, first out.

    Thread-safety: any thread. The lock protects all fields; it is entered by itself, since an
    interrupt inside of `Condition.__enter__` would leave it locked.

    Args:
        file: The database.
        reported: The records that are known to be unreadable.
    """

    def __init__(self, file: DatabaseFile, reported: Unreadable) -> None:
        self.file = file
        self.reported = reported
        self._lock = _sync.Lock()
        self._condition = _sync.Condition(self._lock)
        self._idle: list[sqlite3.Connection] = []
        self._active: set[weakref.ref[Reading]] = set()
        """Who reads, or opens or closes a connection. One that is lost to an interrupt takes itself
        out; a `__del__` could be interrupted, too, and would keep that to itself."""
        self._is_held = False
        self._keeps = True

    def take(self, reader: Reading) -> sqlite3.Connection:
        """Return a connection for one reader.

        Args:
            reader: Who gives it back.

        Raises:
            sqlite3.Error: None can be made.
        """
        with self._lock:
            while self._is_held:
                self._condition.wait()
            self._active.add(weakref.ref(reader, self._active.discard))
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            return connection
        try:
            return self.file.connect(read_only=True)
        except BaseException:
            self.give_back(reader, None)
            raise

    def give_back(self, reader: Reading, connection: sqlite3.Connection | None) -> None:
        """Take a connection back, or None instead of one that is of no use any more."""
        with self._lock:
            if connection is not None and self._keeps and len(self._idle) < _IDLE_LIMIT:
                self._idle.append(connection)
                connection = None
        if connection is not None:  # before it is counted off: a fork must not come in between
            with suppress(sqlite3.Error):
                connection.close()
        self._count_off(reader)

    def _count_off(self, reader: Reading) -> None:
        with self._lock:
            self._active.discard(weakref.ref(reader))
            if self._is_held:
                self._condition.notify_all()

    def hold(self, timeout: float) -> bool:
        """Keep everybody out, with nothing open, until `let_go`.

        Args:
            timeout: Seconds to wait for those who read.

        Returns:
            Whether that worked out; `let_go` must follow in any case.
        """
        with self._lock:
            self._is_held = True
            worked = self._condition.wait_for(lambda: not self._active, timeout)
            idle, self._idle = self._idle, []
        _close_all(idle)
        return worked

    def let_go(self) -> None:
        """Let readers in again, after `hold`."""
        with self._lock:
            self._is_held = False
            self._condition.notify_all()

    def close(self) -> None:
        """Close all connections; whoever reads from now on makes one and closes it at once."""
        with self._lock:
            self._keeps = False
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        closer = Reading(self)
        with self._lock:
            self._active.add(weakref.ref(closer))  # as a reader does: a fork must wait for it
            idle, self._idle = self._idle, []
        try:
            _close_all(idle)
        finally:
            self._count_off(closer)

    def forget(self) -> list[sqlite3.Connection]:  # pragma: no cover - in forked children only
        """Let go of the connections without closing them, and return them."""
        idle, self._idle = self._idle, []
        return idle


def _close_all(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        with suppress(sqlite3.Error):
            connection.close()


class Reading:
    """One read: a context that gives a view of one moment.

    Args:
        readers: Where its connection comes from.
        tells: Whether to log what was found; the caller holds no lock then.
    """

    __slots__ = ("__weakref__", "_connection", "_cursor", "_readers", "_tells")

    def __init__(self, readers: Readers, *, tells: bool = True) -> None:
        self._readers = readers
        self._tells = tells
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None

    def __enter__(self) -> SQLiteView:
        readers = self._readers
        file = readers.file
        file.check_identity()
        try:
            self._connection = connection = readers.take(self)
            self._cursor = cursor = connection.cursor()
            cursor.execute("BEGIN")
        except sqlite3.Error as error:
            self._end()
            raise explain(error, file.path) from error
        except BaseException:
            self._end()
            raise
        return SQLiteView(cursor, file.path, readers.reported)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        if self._tells:
            self._readers.reported.tell()
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._readers.file.path) from error

    def _end(self) -> None:
        """End the transaction; a connection that cannot do that is of no more use."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        reusable = None
        try:
            if self._cursor is not None:
                self._cursor.close()  # with it, a statement that was left before its last row
            connection.execute("ROLLBACK")
            reusable = connection
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.close()
        finally:
            self._readers.give_back(self, reusable)
