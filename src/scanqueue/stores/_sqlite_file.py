"""The file of a database: made whole or not at all, looked at before it is touched, watched."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote
from uuid import uuid4

from scanqueue import _sync
from scanqueue.errors import (
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from scanqueue.stores import _file_lock, _patience
from scanqueue.stores._file_lock import beside, identity
from scanqueue.stores._liveness import living
from scanqueue.stores._patience import patiently
from scanqueue.stores._sqlite_errors import explain, may
from scanqueue.stores._sqlite_rows import to_text
from scanqueue.stores._sqlite_schema import APPLICATION_ID, refuse_newer, upgrade

if TYPE_CHECKING:
    from scanqueue.records import OwnerId
    from scanqueue.stores._file_lock import FileIdentity

PAGE_SIZE = 1024
"""Bytes of a page. A task that is added changes four pages, and each is written as a whole: with
the usual 4,096 a submission takes a fifth longer where no flush hides it."""

_PLENTY = 16
"""How many times as much must be free where something is written that only saves time."""

_SMALLEST = 512
"""Bytes of the smallest database of SQLite that is not empty: one page of the smallest size."""

_COMPANIONS = ("-journal", "-wal", "-shm")
_LOCK = "-lock"
_LOOKS = 5
"""How often a log is looked for before it is taken for lost: for a moment it may seem so, while one
process ends and the next one begins."""
_LOOK_AGAIN = 0.01
"""Seconds between two looks."""
_GONE = (-1, -1)
"""The identity of no file."""
_DRAFT = re.compile(r"[0-9a-f]{32}")


class DatabaseFile:
    """The path of a database, and which file was there when it was opened.

    Args:
        path: The absolute path.

    Attributes:
        path: The same, without links once they were resolved.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: FileIdentity | None = None
        self.owner: OwnerId | None = None
        """Who uses it here."""
        self.log: FileIdentity | None = None
        """SQLite's log, as the connection that writes here has it open. If it was missed when that
        was closed, it stays: another connection would take another log for it."""

    def resolve(self) -> None:
        """Follow the links of the path: all names of a file lead to the same locks beside it."""
        self.path = os.path.realpath(self.path)

    def open(self, first_revision: int) -> None:
        """Make the database if there is none; else see whether it is one of ours.

        A file that is refused is not touched.

        Args:
            first_revision: Where the revisions of a queue that is new begin.

        Raises:
            StoreError: It cannot be used.
        """
        try:
            remove_abandoned(self.path)
            while not os.path.exists(self.path):
                self._refuse_to_replace()
                create(self.path, first_revision)
            self._refuse_unusable()
            self._look_inside()
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise explain(error, self.path) from error

    def _look_inside(self) -> None:
        try:
            with closing(self._connect("mode=ro&immutable=1")) as connection:
                self._refuse_foreign(connection)
            self._identity = identity(os.stat(self.path))
            with closing(self.connect()) as connection:
                upgrade(connection, self.path)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                raise
            message = (  # that is a mistake in a statement, and there are none
                f"the queue in {self.path!r} is damaged ({error}); put a backup in its place, or"
                " delete it to begin a new queue"
            )
            raise StoreCorruptError(message) from error

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """Return a connection to the database, which must exist.

        Raises:
            StoreError: Its log is gone, and somebody has that open.
            sqlite3.Error: SQLite refused.
        """
        if self._has_lost_log():
            self.refuse_lost_log()
        connection = self._connect("mode=rw")
        try:
            if read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                _log_writes(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, options: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(self.path))}?{options}",
            uri=True,
            timeout=_patience.BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = to_text
        return connection

    def may_lengthen_log(self, size: int) -> bool:
        """Return whether SQLite's log is shorter than that, and there is plenty of room.

        Args:
            size: Bytes.
        """
        with suppress(OSError):
            if os.stat(f"{self.path}-wal").st_size < size:
                disk = os.statvfs(self.path)
                return disk.f_bavail * disk.f_frsize >= _PLENTY * size
        return False

    def check_identity(self) -> None:
        """See that the file is still the one that was opened.

        Raises:
            StoreError: It was deleted, moved or replaced, or never opened.
        """
        try:
            found = identity(os.stat(self.path))
        except (FileNotFoundError, NotADirectoryError) as error:
            message = (
                f"the queue in {self.path!r} is gone while it is in use ({error}); put the file"
                " back, or end all processes that use it to begin a new queue"
            )
            raise StoreError(message) from error
        except OSError as error:
            raise explain(error, self.path) from error
        if found != self._identity:
            message = (
                f"the queue in {self.path!r} was replaced while it was in use; put the file back,"
                " or end all processes that use it to use the new one"
            )
            raise StoreError(message)

    def log_identity(self) -> FileIdentity | None:
        """Return what tells SQLite's log from all others, while it must be there.

        Returns:
            What no other file has, if it is gone. None: it cannot be told.
        """
        try:
            return identity(os.stat(f"{self.path}-wal"))
        except FileNotFoundError:
            return _GONE
        except OSError:
            return None

    def misses(self, log: FileIdentity | None) -> bool:
        """Return whether a log is gone, or another one is there, for all that can be told."""
        found = None if log is None else self.log_identity()
        return found is not None and (found != log or found == _GONE)

    def refuse_lost_log(self) -> NoReturn:
        """Raise, since somebody has the log open that is gone."""
        message = (
            f"a part of the queue in {self.path!r}, its log {self.path + '-wal'!r}, was deleted or"
            " replaced while it was in use; end all processes that use the queue: the last one"
            " saves what the log held"
        )
        raise StoreError(message)

    def _has_lost_log(self) -> bool:
        """Return whether somebody has a log open that is gone, and not just seems to have one."""
        for _ in range(_LOOKS):
            others_have_log = self._lacks_log() and living(self.path, but=self.owner) is not None
            if not (others_have_log or self.misses(self.log)):
                return False
            _sync.Event().wait(_LOOK_AGAIN)
        return True

    def _lacks_log(self) -> bool:
        """Return whether the log is gone that others who are alive have open.

        SQLite makes it before its `-shm`, and removes it after that: where one is, so is the other,
        unless all were killed. A new connection would make another log, and take the `-shm` for
        that of it.
        """
        with suppress(OSError):
            memory = identity(os.stat(f"{self.path}-shm"))
            lacks_log = not os.path.exists(f"{self.path}-wal")
            return lacks_log and identity(os.stat(f"{self.path}-shm")) == memory  # all the while
        return False

    def _refuse_to_replace(self) -> None:
        """Raise if somebody who is alive uses the file that is gone, after a wait for that to end.

        Raises:
            StoreError: A new queue here would take the names of its log from it.
        """
        try:
            patiently(self._await_the_last)
        except BlockingIOError as error:
            message = (
                f"the queue in {self.path!r} is gone while a service uses it that is alive, as"
                f" {error.filename!r} says, which is locked, or cannot be read; put the file back,"
                " or shut that service down, or end its process, to begin a new queue"
            )
            raise StoreError(message) from error

    def _await_the_last(self) -> None:
        sign = living(self.path)
        if sign is not None and not os.path.exists(self.path):
            raise BlockingIOError(errno.EAGAIN, "in use", sign)

    def _refuse_unusable(self) -> None:
        found = os.stat(self.path)
        if stat.S_ISDIR(found.st_mode):
            raise StoreError(f"{self.path!r} is a folder; name a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{self.path!r} is not a regular file; choose another path")
        if found.st_size == 0:
            message = f"the file {self.path!r} is empty, so it is no queue; delete it to begin one"
            raise StoreCorruptError(message)
        if found.st_size < _SMALLEST:
            message = (
                f"the queue in {self.path!r} failed: it is no SQLite database; choose"
                " another path, or delete it to begin a new queue"
            )
            raise StoreCorruptError(message)
        if os.statvfs(self.path).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        for path, mode in (
            (self.path, os.R_OK | os.W_OK),
            (os.path.dirname(self.path), os.W_OK | os.X_OK),
        ):
            if not may(path, mode):
                message = (
                    f"the queue in {self.path!r} can only be read: this process may not write"
                    f" {path!r}; let it, or choose another path"
                )
                raise StoreReadOnlyError(message)

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        """Look at the header, through SQLite: reading a file by hand drops its locks on it.

        POSIX takes all locks of a process from a file when any descriptor of it is closed.
        `immutable` has SQLite touch nothing, not even the log of another program's database; but
        without its log a database may seem to be cut off, while somebody copies the log into it
        or was killed at that. `writable_schema` has SQLite read the header all the same.
        """
        connection.execute("PRAGMA writable_schema = ON")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            message = (
                f"{self.path!r} is the database of another program (its application_id is"
                f" {application}); choose another path"
            )
            raise StoreVersionError(message)
        if refuse_newer(connection, self.path) < 1:
            message = (
                f"the queue in {self.path!r} is damaged: it does not know its version; put a"
                " backup in its place, or delete it to begin a new queue"
            )
            raise StoreCorruptError(message)


def _log_writes(connection: sqlite3.Connection) -> None:
    """Have SQLite write to a log first, so that readers and a writer do not wait for each other."""
    # Where that has to change the file, as in a copy made by `VACUUM INTO`, SQLite does not wait;
    # so it is not to wait elsewhere, either.
    connection.execute("PRAGMA busy_timeout = 0")
    if patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone()) != ("wal",):
        message = "SQLite cannot keep a write-ahead log on this file system"
        raise sqlite3.OperationalError(message)
    connection.execute(f"PRAGMA busy_timeout = {round(_patience.BUSY_TIMEOUT * 1000)}")


# --- making one ---------------------------------------------------------------------------------


def create(path: str, first_revision: int) -> None:
    """Make an empty queue, unless somebody else does meanwhile.

    It gets its name when it is whole and on disk: a crash leaves nothing, or all of it.

    Args:
        path: The file, which does not exist.
        first_revision: Where its revisions begin.

    Raises:
        OSError: The file cannot be made.
        sqlite3.Error: It cannot be filled.
    """
    draft = f"{path}-new-{uuid4().hex}"
    # The lock says that its maker is alive. It is on a file of its own: once the draft has its
    # name, to close any descriptor of it would take the locks of SQLite from the database.
    with patiently(lambda: _file_lock.create(draft + _LOCK)):
        try:
            with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
                connection.execute("PRAGMA journal_mode = MEMORY")
                connection.execute("PRAGMA synchronous = OFF")  # it is synced as a whole below
                upgrade(connection, path)
                connection.execute(
                    "INSERT INTO queue (one, revision) VALUES (1, ?)", (first_revision,)
                )
                connection.execute("PRAGMA journal_mode = WAL")
            _flush(draft)
            _publish(draft, path)
        finally:
            _remove_draft(draft)
            with suppress(OSError):
                os.unlink(draft + _LOCK)


def _flush(draft: str) -> None:
    """See that a draft is on disk; nobody else has it open, and it has no other name."""
    descriptor = os.open(draft, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(draft: str, path: str) -> None:
    """Give a draft its name, unless that is taken, and make the name durable."""
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        patiently(lambda: _file_lock.acquire(folder))  # one maker at a time
        if os.path.exists(path):
            return
        for suffix in _COMPANIONS:  # of a database that was deleted: SQLite would take them over
            with suppress(FileNotFoundError):
                os.unlink(path + suffix)
        try:
            os.link(draft, path)
        except FileExistsError:  # something that leads nowhere
            raise
        except OSError:  # a file system without links
            os.rename(draft, path)
        os.fsync(folder)
    finally:
        _file_lock.release(folder)


def _remove_draft(draft: str) -> None:
    for suffix in (*_COMPANIONS, ""):
        with suppress(OSError):
            os.unlink(draft + suffix)


def remove_abandoned(path: str) -> None:
    """Remove the drafts of makers that were killed, which may be second names of the database."""
    for name in beside(path, "-new-"):
        number = name.removesuffix(_LOCK)
        draft = f"{path}-new-{number}"
        if _DRAFT.fullmatch(number):
            _file_lock.remove_guarded(draft + _LOCK, partial(_remove_draft, draft))
