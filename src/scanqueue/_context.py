"""What a scanner is given: its task, its way to report, its ear for a cancel."""

from __future__ import annotations

from collections.abc import Sized
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from scanqueue import _sync
from scanqueue._validate import (
    MAX_INT,
    check_int,
    check_optional_int,
    check_seconds,
    wrong_type,
)
from scanqueue.errors import ScanCancelled
from scanqueue.models import NO_PROGRESS, TaskProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scanqueue._rules import Ending
    from scanqueue.models import LibraryId, ScanScope, ScanTask
    from scanqueue.records import Slot, TaskRecord

T = TypeVar("T")


class Desk(Protocol):
    """What a context needs of the service that runs its scan."""

    def touched(self, context: LiveContext) -> None:
        """See that what the context reports becomes visible, soon."""

    def wait_in_scan(self, done: Callable[[], bool], seconds: float | None) -> None:
        """Wait until `done()`, at most so long by the clock of the queue."""

    def wake(self) -> None:
        """Have everybody who waits in a scan look again."""


class LiveContext:
    """The `ScanContext` of one scan.

    Reporting is made for the loop over every file. Each thread that calls `advance`, and each
    `track`, adds to a number of its own, which nobody else writes: so no lock is needed and no
    count is lost. A reader pulls the sum. The first report after a publication tells the desk,
    the others find `_dirty` set and are done.

    Args:
        task: The task as it was claimed.
        slot: The right to scan, with the fencing token of this attempt.
        desk: Who publishes.
        on_worker: Whether a worker runs the scan, and is occupied by it.
    """

    __slots__ = (
        "_closed",
        "_counts",
        "_desk",
        "_dirty",
        "_latest",
        "_lock",
        "_message",
        "_offset",
        "_record",
        "_retired",
        "_stopped",
        "_task",
        "_total",
        "claimed_at",
        "due",
        "ending",
        "is_shut_down",
        "on_worker",
        "slot",
        "thread",
    )

    def __init__(self, task: TaskRecord, slot: Slot, desk: Desk, *, on_worker: bool) -> None:
        self.slot: Slot = slot
        self.on_worker: bool = on_worker
        self.thread: int = _sync.get_ident()
        """Who claimed it, and runs it."""
        self.due: float = float("-inf")
        """When, by the monotonic clock, the next report may be published."""
        self.claimed_at: int = task.revision
        """The revision of its claim."""
        self.ending: Ending | None = None
        """How the scanner returned."""
        self.is_shut_down: bool = False
        """Whether a shutdown asked it to stop, so that it must not complete any more."""
        self._record = task
        self._task: ScanTask | None = None
        self._desk = desk
        self._lock = _sync.Lock()
        """Protects the keys of `_counts`, and `_offset`, `_total` and `_message` together; and has
        `_latest` kept in the order in which it was summed up."""
        self._counts: dict[object, int] = {}
        self._retired: list[object] = []
        self._offset = 0
        self._total: int | None = None
        self._message: str | None = None
        self._dirty = False
        self._latest = NO_PROGRESS
        self._stopped = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<ScanContext of library {self.library_id!r}, task {self.slot.task_id}>"

    # --- for the scanner ---

    @property
    def task(self) -> ScanTask:
        """The task as it was claimed."""
        if self._task is None:
            self._task = self._record.snapshot()
        return self._task

    @property
    def library_id(self) -> LibraryId:
        """The library to scan."""
        return self._record.library_id

    @property
    def scope(self) -> ScanScope:
        """What to scan of it."""
        return self._record.scope

    @property
    def cancelled(self) -> bool:
        """Whether the scan should stop: it was cancelled, the queue shuts down, or it is over."""
        return self._stopped

    def raise_if_cancelled(self) -> None:
        """Raise `ScanCancelled` if the scan should stop."""
        if self._stopped:
            message = f"the scan of library {self.library_id!r} was asked to stop"
            raise ScanCancelled(message)

    def report(
        self, scanned_paths: int, total_paths: int | None = None, message: str | None = None
    ) -> None:
        """Say how far the scan has come, in absolute numbers."""
        scanned_paths = check_int("scanned_paths", scanned_paths)
        total_paths = check_optional_int("total_paths", total_paths)
        message = _check_message(message)
        with self._lock:
            if self._closed:
                return
            scanned = self._scanned()  # first, since it changes the offset
            self._offset += scanned_paths - scanned
            self._total = total_paths
            self._message = message
        self._touch()

    def advance(self, paths: int = 1, message: str | None = None) -> None:
        """Say that some more items are done."""
        if type(paths) is not int or paths < 0:
            paths = check_int("paths", paths)
        if message is not None:
            self._message = _check_message(message)
        thread = _sync.get_ident()
        try:
            self._counts[thread] += paths
        except KeyError:
            with self._lock:
                self._counts[thread] = paths
        if not self._dirty:
            self._touch()

    def track(self, iterable: Iterable[T], total: int | None = None) -> Iterator[T]:
        """Yield the items, count each when the next one is asked for, and stop on a cancel."""
        total = check_optional_int("total", total)
        try:
            items = iter(iterable)
        except TypeError:
            wrong_type("iterable", iterable, "an iterable")
        if total is None and isinstance(iterable, Sized):
            with suppress(Exception):  # a length that cannot be had is not known
                total = len(iterable)
        return self._track(items, total)

    def _track(self, items: Iterator[T], total: int | None) -> Iterator[T]:
        # Only this generator writes under its key, and a generator runs in one thread at a time.
        key = object()
        counts = self._counts
        with self._lock:
            scanned = self._scanned()
            if total is not None:
                self._total = max(self._total or 0, scanned + total)
            counts[key] = 0
        try:
            self._touch()
            for item in items:
                if self._stopped:
                    self.raise_if_cancelled()
                yield item
                counts[key] += 1
                if not self._dirty:
                    self._touch()
            self.raise_if_cancelled()
        finally:
            # No lock here: the garbage collector may close an abandoned generator at any moment,
            # also while its thread holds one.
            self._retired.append(key)

    def sleep(self, seconds: float) -> None:
        """Wait, by the clock of the queue; raise `ScanCancelled` once the scan should stop."""
        seconds = check_seconds("seconds", seconds)
        self.raise_if_cancelled()
        self._desk.wait_in_scan(lambda: self._stopped, seconds)
        self.raise_if_cancelled()

    # --- for the service ---

    def progress(self) -> TaskProgress:
        """Return what was reported so far; what comes later is reported anew."""
        with self._lock:  # until it is kept: a sum must not take the place of a later one
            if self._dirty:
                self._dirty = False
                total = self._total
                self._latest = TaskProgress(
                    scanned_paths=min(self._scanned(), MAX_INT),
                    total_paths=None if total is None else min(total, MAX_INT),
                    message=self._message,
                )
            return self._latest

    def shut_down(self) -> None:
        """Ask the scan to stop because of a shutdown, which keeps the task from completing."""
        self.is_shut_down = True
        self._stopped = True

    def stop(self) -> None:
        """Ask the scan to stop."""
        self._stopped = True

    def close(self) -> None:
        """Let whatever the scanner says from now on change nothing."""
        with self._lock:
            self._stopped = True
            self._closed = True
        self.progress()  # the last that counts

    def wait(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait until `done()`, at most so long by the clock; whoever makes it so calls `wake`."""
        self._desk.wait_in_scan(done, seconds)

    def wake(self) -> None:
        """Have `wait` look again."""
        self._desk.wake()

    def _scanned(self) -> int:
        """Return the sum of all counts, folding those that are over. Requires the lock."""
        assert self._lock.locked()
        while self._retired:
            self._offset += self._counts.pop(self._retired.pop())
        return self._offset + sum(self._counts.values())

    def _touch(self) -> None:
        if not self._closed:
            self._dirty = True
            self._desk.touched(self)


def _check_message(message: object) -> str | None:
    """Return the message as a plain `str`: what a subclass does must not run under a lock."""
    if message is None or type(message) is str:
        return message
    if not isinstance(message, str):
        wrong_type("message", message, "a str or None")
    return str.__str__(message)
