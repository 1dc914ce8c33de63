"""Tasks in a file: they outlive the process, and several processes may share them."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from logging import ERROR, Logger, getLogger
from typing import Final, Literal

from scanqueue import _forks, _sync
from scanqueue._clock import SystemClock
from scanqueue._logs import log
from scanqueue._validate import wrong_type, wrong_value
from scanqueue.errors import StoreError
from scanqueue.protocols import TaskTable, TaskView
from scanqueue.records import OwnerId
from scanqueue.stores import _file_lock
from scanqueue.stores._block import Block
from scanqueue.stores._group import Writers
from scanqueue.stores._liveness import Liveness
from scanqueue.stores._readers import Readers, Reading
from scanqueue.stores._sqlite_errors import explain
from scanqueue.stores._sqlite_file import DatabaseFile
from scanqueue.stores._sqlite_table import SQLiteTable
from scanqueue.stores._unreadable import Unreadable
from scanqueue.stores._writer import Writer

__all__ = ["SQLiteStore"]

logger: Logger = getLogger(__name__)

_clock: Final = SystemClock()
"""Not that of the service: files are looked at in real time, whatever a fake clock says."""

_PATIENCE = 1.0
"""Seconds that a fork, or the exit, waits for transactions of other threads."""

_LOOK_INTERVAL = 0.05
"""Seconds between two looks at the sign of life, which cost as much as a submission in memory."""

_left_open: Final[dict[str, list[object]]] = {}
"""What the parent of this process had open when it forked, by file: not to be closed here, since
that would take the parent's locks away, and not to be used."""


class SQLiteStore:
    """Keeps the tasks of one queue in an SQLite database, for all processes of one machine.

    A submission, a cancel and an ending are acknowledged once they are on disk; progress survives
    a crash of the process, not always one of the machine. Writers that meet share one flush to
    disk. When a process dies, an operating system lock says so, and others take its tasks over.

    The file is made, opened or refused at the first use, not before. Beside it live, while it is
    open, SQLite's `-wal` and `-shm`, and one `-owner-...` for each service. It must be on a disk
    of this machine: network file systems break the locks of SQLite, and those of the owners.

    Args:
        path: The file; its folder must exist.
        durability: When a commit is done. `"full"`: it is on disk. `"normal"`: it survives a crash
            of the process, but of the machine (a power cut) only if that comes some seconds
            later; many times faster. Neither can damage the file.

    Raises:
        TypeError: `path` is no path, or `durability` not a str.
        ValueError: `path` is not the name of a file, or `durability` unknown.
        StoreError: This system has no locks that end with their process (Windows).

    Thread-safety: any thread. Writes are serial, reads are not, and do not wait for writes (though
    a service may have progress to write before it reads).
    """

    durable: bool = True
    """Tasks outlive their process."""
    shared: bool = True
    """Other processes may use the same queue."""
    progress_interval: float = 0.5
    """Seconds between two publications of the progress of one scan."""
    poll_interval: float | None = 0.4
    """Seconds between two looks for what other processes did."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Literal["full", "normal"] = "full",
    ) -> None:
        self.path: str = _check_path(path)
        if not isinstance(durability, str):
            wrong_type("durability", durability, "a str")
        if durability not in {"full", "normal"}:
            wrong_value("durability", durability, "'full' or 'normal'")
        if not _file_lock.SUPPORTED:  # pragma: no cover - not on this system
            message = (
                "an SQLiteStore needs the file locks of POSIX, which this system does not have"
            )
            raise StoreError(message)
        self.durability: str = durability
        self._is_held = self._is_quiet = self._opens = True
        self._begin()
        _forks.register_hooks(self)

    def __repr__(self) -> str:
        return f"SQLiteStore({self.path!r}, durability={self.durability!r})"

    def _begin(self) -> None:
        reported = Unreadable()
        self._file = DatabaseFile(self.path)
        self._writer = Writer(self._file, reported, full=self.durability == "full")
        self._writers: Writers[SQLiteTable] = Writers(self._writer)
        self._readers = Readers(self._file, reported)
        self._liveness: Liveness | None = None
        self._opening = _sync.Lock()
        """Held while the sign of life is made: a child forked then would keep its lock."""
        self._is_open = False
        self._next_look = 0.0
        self._saving = weakref.finalize(
            self, _save_lost_log, self._file, self._writers, self._writer, self._readers
        )
        # Nothing else is closed at exit: a daemon thread may be at work; SQLite needs no closing.
        self._signs: list[Liveness] = []
        self._closing = weakref.finalize(self, _close, self._writer, self._readers, self._signs)
        self._closing.atexit = False

    def open(self, owner: OwnerId, first_revision: int) -> None:
        """Make or open the database, and give a sign of life. O(files in its folder).

        Args:
            owner: Who uses it, in ASCII letters and digits, unlike all others that ever did.
            first_revision: Below the revisions of the changes to come.

        Raises:
            StoreReadOnlyError: The file or its folder cannot be written.
            StoreFullError: There is no room for it.
            StoreCorruptError: The file is no database, or damaged, or empty.
            StoreVersionError: Another program made it, or a newer version of this one.
            StoreBusyError: Another process holds it locked.
            StoreError: The path leads to no file that can be used.
        """
        self._file.resolve()
        if self._file.path in _left_open:  # pragma: no cover - in forked children only
            message = (
                f"the queue in {self.path!r} was in use when this process was forked; use it in a"
                " process that is started anew, or fork earlier"
            )
            raise StoreError(message)
        with self._opening:
            if self._liveness is not None:  # an interrupt came before the caller heard of it
                self._liveness.give_up()
            self._file.owner = owner
            self._file.open(first_revision)
            self._writer.first_revision = first_revision
            try:
                self._liveness = sign = Liveness(self._file.path, owner)
            except OSError as error:
                raise explain(error, self._file.path) from error
            try:
                with Reading(self._readers, tells=False) as view:
                    owners = {slot.owner for slot in view.slots()}
                sign.remove_abandoned(owners)
            except BaseException:
                sign.give_up()
                self._readers.close_idle()  # a backup may take the place of what was refused
                raise
            self._signs.append(sign)
            self._is_open = True

    def close(self) -> None:
        """Give up the sign of life, and close the file; reads open it again for a moment each."""
        self._writers.hold(-1)
        try:
            self._is_open = False
            self._writer.close()
        finally:
            self._writers.let_go()
            self._readers.close()
            if self._liveness is not None:
                self._liveness.give_up()

    def read(self) -> AbstractContextManager[TaskView]:
        """Return a context that sees one moment of the queue.

        Raises:
            StoreError: It cannot be read.
        """
        with suppress(StoreError):  # then it is the writers who cannot go on
            self._renew_sign()
        return Reading(self._readers)

    def write(self, *, sync: bool = True) -> AbstractContextManager[TaskTable]:
        """Return a transaction: committed when it is left, rolled back by an exception.

        It waits for its turn, and, where other threads wait too, for the commit that it shares
        with them. A thread must not enter a second one inside.

        Args:
            sync: Whether it must be on disk when it is left; without effect in a store that is
                only `"normal"`.

        Raises:
            StoreBusyError: Another process held the database for more than 5 s.
            StoreError: It cannot be written; nothing was changed.
        """
        if not self._is_open:
            message = f"the queue in {self.path!r} is not open; start a new service on a new store"
            raise StoreError(message)
        self._renew_sign()
        return Block(self._writers, sync=sync)

    def _renew_sign(self) -> None:
        """Now and then, put a sign of life back that was deleted, and have the next write look."""
        if _clock.monotonic() < self._next_look:
            return
        sign = self._liveness
        if self._is_open and sign is not None and sign.is_gone():
            self._file.check_identity()  # if that is gone, too, it is what there is to say
            try:
                with self._opening:
                    was_gone = sign.renew()
            except OSError as error:
                raise explain(error, self._file.path) from error
            if was_gone:
                message = "the owner file of this process was deleted; it was made again"
                log(logger, ERROR, message, path=self._file.path)
        self._writer.is_to_look = True
        self._next_look = _clock.monotonic() + _LOOK_INTERVAL

    def dead_owners(self, owners: Collection[OwnerId]) -> Collection[OwnerId]:
        """Return those of the owners whose process is dead for sure.

        Args:
            owners: The owners asked about.

        Raises:
            StoreError: It cannot be told.
        """
        if self._liveness is None:
            return ()
        try:
            return self._liveness.dead(owners)
        except OSError as error:
            raise explain(error, self._file.path) from error

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Do nothing: what other processes do is found by looking, every `poll_interval`.

        Args:
            on_foreign_change: Never called.
        """

    # --- forks ---
    #
    # SQLite must not have a database open across a fork: the child would take its parent's locks
    # for its own, and lose what it writes when the parent closes the file.

    def before_fork(self) -> None:
        """Close all connections; they are opened again at the next use."""
        self._opens, self._is_held, self._is_quiet = True, False, False
        self._opens = not self._opening.acquire(timeout=_PATIENCE)
        self._is_held = self._writers.hold(_PATIENCE)
        if self._is_held:
            self._writer.close()
        self._is_quiet = self._readers.hold(_PATIENCE) and self._is_held and not self._opens

    def after_fork_in_parent(self) -> None:
        """Let writers and readers in again."""
        self._readers.let_go()
        if self._is_held:
            self._writers.let_go()
        if not self._opens:
            self._opening.release()

    def after_fork(self) -> None:  # pragma: no cover - runs in forked children only
        """Begin anew in a forked child; the locks and open files are the parent's."""
        if not self._is_quiet:  # somebody read or wrote for too long
            left_open = _left_open.setdefault(self._file.path, [])
            left_open += (self._writer.forget(), self._readers.forget())
        if self._liveness is not None:
            self._liveness.forget()
        self._closing.detach()
        self._saving.detach()
        self._begin()


def _save_lost_log(
    file: DatabaseFile, writers: Writers[SQLiteTable], writer: Writer, readers: Readers
) -> None:
    """Close a log that is gone: the last process that has it open saves what it held.

    A service whose scans do not end has not closed it, and a process that ends saves nothing.
    """
    if file.misses(file.log) and writers.hold(_PATIENCE):
        try:
            readers.hold(_PATIENCE)
            writer.close()
        finally:  # no other connection is made any more
            readers.let_go()
            writers.let_go()


def _close(writer: Writer, readers: Readers, signs: list[Liveness]) -> None:
    """Give up what a forgotten store holds."""
    writer.close()
    readers.close()
    for sign in signs:
        sign.give_up()


def _check_path(path: object) -> str:
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str):
        wrong_type("path", path, "a str or a path of str")
    if not path or path == ":memory:":
        wrong_value("path", path, "the name of a file (a queue in memory has a MemoryStore)")
    if path.startswith("file:"):
        wrong_value("path", path, "the name of a file, and no URI")
    if "\0" in path:
        wrong_value("path", path, "without NUL characters")
    if path.endswith(os.sep):
        wrong_value("path", path, "the name of a file, without a slash at its end")
    try:
        os.fsencode(path)
        # What `..` means behind a link only the file system knows; other links are followed later.
        steps_back = os.pardir in path.split(os.sep)
        return os.path.realpath(path) if steps_back else os.path.abspath(path)
    except UnicodeEncodeError:
        wrong_value("path", path, "a name that the file system can have")
    except OSError:
        wrong_value("path", path, "absolute, since the current folder is gone")
