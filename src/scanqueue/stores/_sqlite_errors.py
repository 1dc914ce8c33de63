"""What SQLite and the file system say went wrong, as the errors of the library."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from typing import Final

from scanqueue.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

_LITTLE_ROOM = 1 << 16
"""Bytes: with less than this left, a failed write is taken for a full disk."""

_FEW_FILES = 8
"""The same, where no more than that can be made."""

_ASKS_FOR_EFFECTIVE = os.access in os.supports_effective_ids
"""Whether this system can tell what a process may, though another user started it."""

_NO_ROOM: Final = (StoreFullError, "no room is left on its disk; free some")
_READ_ONLY: Final = (
    StoreReadOnlyError,
    "it can only be read; this process must be allowed to write the file and its folder",
)
_READ_ONLY_DISK: Final = (
    StoreReadOnlyError,
    "its disk is mounted read-only; have it mounted to be written, or choose another path",
)
_TOO_MANY_OPEN: Final = (
    StoreError,
    "too many files are open; close some, or let the process have more (`ulimit -n`)",
)
_CORRUPT: Final = (
    StoreCorruptError,
    "it is damaged; put a backup in its place, or delete it to begin a new queue",
)

_BY_CODE: Final = {
    sqlite3.SQLITE_BUSY: (
        StoreBusyError,
        "another connection has held it locked for too long; find out which, with `fuser`",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "another connection holds it locked; try again"),
    sqlite3.SQLITE_PROTOCOL: (StoreBusyError, "too many others open it right now; try again"),
    sqlite3.SQLITE_FULL: _NO_ROOM,
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: (
        StoreCorruptError,
        "it is no SQLite database; choose another path, or delete it to begin a new queue",
    ),
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
}

_BY_ERRNO: Final = {
    errno.EAGAIN: (
        StoreBusyError,
        "another process keeps its folder, or a file there, locked; find out which, with `fuser`",
    ),
    errno.EROFS: _READ_ONLY_DISK,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EMFILE: _TOO_MANY_OPEN,
    errno.ENFILE: _TOO_MANY_OPEN,
    errno.ENOENT: (StoreError, "its folder does not exist; make it first"),
    errno.EEXIST: (
        StoreError,
        "it is a link that leads nowhere, or to itself; remove it, or choose another path",
    ),
    errno.ENOTDIR: (StoreError, "a part of its path is no folder; choose another path"),
}


def explain(error: sqlite3.Error | OSError | UnicodeDecodeError, path: str) -> StoreError:
    """Return the error that says what happened to a store, and what to do.

    Args:
        error: What was raised. The caller raises the answer from it. What cannot be decoded is a
            message of SQLite that quotes what was damaged.
        path: The file of the store.
    """
    if isinstance(error, OSError):
        kind, advice = _BY_ERRNO.get(error.errno or 0, (StoreError, "the system refused"))
        said = error.strerror  # not the whole: it names files that nobody knows
    else:
        is_text = isinstance(error, UnicodeDecodeError)
        kind, advice = _CORRUPT if is_text else _of_sqlite(error, path)
        said = str(error)
    return kind(f"the queue in {path!r} failed: {advice} ({said})")


def _of_sqlite(error: Exception, path: str) -> tuple[type[StoreError], str]:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without its variant
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return _of_file_system(path)
    return _BY_CODE.get(code, (StoreError, "SQLite refused"))


def _of_file_system(path: str) -> tuple[type[StoreError], str]:
    """Return why a file could not be read, written or opened, as far as it can be told."""
    folder = os.path.dirname(path)
    with suppress(OSError):
        system = os.statvfs(folder)
        if system.f_flag & os.ST_RDONLY:
            return _READ_ONLY_DISK
        has_few_files = system.f_files and system.f_favail < _FEW_FILES  # 0 of 0: no such limit
        if has_few_files or system.f_bavail * system.f_frsize < _LITTLE_ROOM:
            return _NO_ROOM
        if not os.path.exists(path):
            return StoreError, "the file is gone"
        if not (may(path, os.R_OK | os.W_OK) and may(folder, os.W_OK | os.X_OK)):
            return _READ_ONLY
    try:
        os.close(os.open(folder, os.O_RDONLY))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return _TOO_MANY_OPEN
    return StoreError, "its disk could not be read or written"


def may(path: str, mode: int) -> bool:
    """Return whether this process may do something with a file, as the system will see it.

    Args:
        path: The file.
        mode: What, as for `os.access`, which asks for the user who started the process.
    """
    return os.access(path, mode, effective_ids=_ASKS_FOR_EFFECTIVE)
