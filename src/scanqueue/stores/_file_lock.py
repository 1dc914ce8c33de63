"""Locks of the operating system on files: they end with their process, however it ends.

They are `flock` locks: of an open file, not of a process. So two stores of one process see each
other, and a forked child that keeps the descriptor keeps the lock alive.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, TypeAlias

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FileIdentity: TypeAlias = tuple[int, int]

SUPPORTED = sys.platform != "win32"
"""Whether this system has such locks."""

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_MODE = 0o644


class LockFile(FileIO):
    """A file to lock, made if need be, and open as long as somebody knows it.

    One that is still open when the interpreter exits is no mistake, as it is with other files.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "a+")  # not by an opener: its number might get lost to an interrupt
        self.identity = identity(os.fstat(self.fileno()))
        """What tells it from a file that has its name later."""

    def __del__(self) -> None:
        self.close()


def acquire(file: int | LockFile) -> None:
    """Lock an open file.

    Args:
        file: The file.

    Raises:
        BlockingIOError: Another one holds it; it may be for a moment.
    """
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def release(descriptor: int) -> None:
    """Unlock a file, and close it: a child that was forked meanwhile has it open, too.

    Args:
        descriptor: The file.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def create(path: str, like: os.stat_result | None = None) -> LockFile:
    """Make a file, if need be, and lock it.

    Args:
        path: The file.
        like: A file whose users may open it, too, and so tell that it is locked, whatever the umask
            says; None: whoever may read. (As SQLite does it, root gives it to that file's owner.)

    Returns:
        It: the lock ends when it is closed.

    Raises:
        BlockingIOError: Another one holds it, if only to see whether it may be removed.
        OSError: The file cannot be made.
    """
    while True:
        file = LockFile(path)
        try:
            acquire(file)
            if is_at(file.fileno(), path):
                with suppress(OSError):  # somebody else's
                    if like is not None and os.geteuid() == 0:
                        os.fchown(file.fileno(), like.st_uid, like.st_gid)
                    mode = _MODE if like is None else stat.S_IMODE(like.st_mode)
                    os.fchmod(file.fileno(), mode)
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # somebody cleaned up between the two steps


def is_free(path: str) -> bool:
    """Return whether nobody holds the lock: the file is gone, or its process is dead.

    Raises:
        OSError: It cannot be told.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # no wait for a pipe
    except FileNotFoundError:
        return True
    except PermissionError:  # another user's: it cannot be told, and so is not for sure
        return False
    try:
        # Shared, so that two who ask at the same time do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        release(descriptor)


def remove_free(path: str) -> bool:
    """Remove a file whose lock nobody holds, and leave any other.

    Returns:
        Whether it was removed.
    """
    with suppress(OSError):
        return _remove_free(path, os.O_RDONLY | os.O_CLOEXEC)
    return False


def remove_guarded(path: str, remove: Callable[[], None]) -> None:
    """Remove what a lock guards, and its file, be that gone already; nothing if somebody holds it.

    Args:
        path: The file of the lock.
        remove: Removes what it guards; called with the lock held.
    """
    with suppress(OSError):
        _remove_free(path, _FLAGS, remove)


def _remove_free(path: str, flags: int, remove: Callable[[], None] | None = None) -> bool:
    descriptor = os.open(path, flags, _MODE)
    try:
        acquire(descriptor)
        # Still locked, so that whoever makes it anew meanwhile sees that it is gone.
        if is_at(descriptor, path):
            if remove is not None:
                remove()
            os.unlink(path)
            return True
        return False
    finally:
        release(descriptor)


def is_at(descriptor: int, path: str) -> bool:
    """Return whether an open file is the one that a path leads to."""
    try:
        return identity(os.fstat(descriptor)) == identity(os.stat(path))
    except FileNotFoundError:
        return False


def identity(found: os.stat_result) -> FileIdentity:
    """Return what tells a file from all others, as long as it is open somewhere, or not deleted."""
    return found.st_dev, found.st_ino


def beside(path: str, infix: str) -> Iterator[str]:
    """Yield how the names go on of the files beside one that begin with its name.

    Args:
        path: The file.
        infix: What follows its name in theirs.
    """
    prefix = os.path.basename(path) + infix
    with suppress(OSError), os.scandir(os.path.dirname(path)) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                yield entry.name[len(prefix) :]
