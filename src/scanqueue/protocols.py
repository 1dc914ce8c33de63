"""The seams: what a host hands in (`Scanner`, `Clock`, `TaskStore`) and what its scanner gets.

A store is dumb on purpose: rows, indexes and atomic transactions. Every rule of the queue stands
once, above it, as a function of a `TaskTable`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable
from uuid import UUID

from scanqueue._sync import Condition
from scanqueue.models import LibraryId, ScanScope, ScanTask, TaskResult
from scanqueue.records import Counts, OwnerId, Slot, TaskRecord

__all__ = ["Clock", "ScanContext", "Scanner", "TaskStore", "TaskTable", "TaskView"]

T = TypeVar("T")


@runtime_checkable
class Scanner(Protocol):
    """Scans a library. The host writes it; the queue calls it on a background thread."""

    def scan(self, library_id: LibraryId, context: ScanContext, /) -> TaskResult:
        """Scan the library and return what was found.

        Args:
            library_id: The library, by the host's own id.
            context: What to scan, where to report, and whether to stop.

        Returns:
            What was found.

        Raises:
            LibraryUnavailable: The library cannot be reached: the task ends FAILED, UNAVAILABLE.
            ScanCancelled: It stops because it was asked to.
            BaseException: Anything else: the task ends FAILED with its message.
        """


class ScanContext(Protocol):
    """What a scanner is given: its task, its way to report, its ear for a cancel.

    Thread-safety: it may be used from several threads of one scan. Used after its scan has ended,
    it changes nothing and says `cancelled`.
    """

    @property
    def task(self) -> ScanTask:
        """The task as it was claimed."""

    @property
    def library_id(self) -> LibraryId:
        """The library to scan."""

    @property
    def scope(self) -> ScanScope:
        """What to scan of it."""

    @property
    def cancelled(self) -> bool:
        """Whether the scan should stop: it was cancelled, the queue shuts down, or it is over."""

    def raise_if_cancelled(self) -> None:
        """Stop here if asked to.

        Raises:
            ScanCancelled: The scan should stop.
        """

    def report(
        self, scanned_paths: int, total_paths: int | None = None, message: str | None = None
    ) -> None:
        """Say how far the scan has come, in absolute numbers; replaces what was said before.

        Args:
            scanned_paths: How many items are done, at least 0; it may go backwards.
            total_paths: How many there are in all; None when that is not known.
            message: What is being scanned, for people; None for nothing.

        Raises:
            TypeError: A number is not an int, or the message not a str.
            ValueError: A number is negative.
        """

    def advance(self, paths: int = 1, message: str | None = None) -> None:
        """Say that some more items are done. Cheap enough for every file.

        Args:
            paths: How many more, at least 0.
            message: What is being scanned; None leaves the message as it is.

        Raises:
            TypeError: `paths` is not an int, or the message not a str.
            ValueError: `paths` is negative.
        """

    def track(self, iterable: Iterable[T], total: int | None = None) -> Iterator[T]:
        """Yield the items, count each when the next one is asked for, and stop on a cancel.

        It adds to what was counted before, and raises the total to that plus its own items.

        Args:
            iterable: What to scan.
            total: How many items it has; None takes it from `len()` where it can.

        Raises:
            TypeError: `iterable` is not iterable, or `total` not an int.
            ValueError: `total` is negative.
            ScanCancelled: Between two items, once the scan should stop.
        """

    def sleep(self, seconds: float) -> None:
        """Wait, by the clock of the queue.

        Args:
            seconds: For how long.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative or NaN.
            ScanCancelled: The scan should stop; the wait ends at once.
        """


@runtime_checkable
class Clock(Protocol):
    """Where time comes from, and who owns waiting."""

    def now(self) -> datetime:
        """Return the moment, aware and in UTC, for the record."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; it never goes back."""

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        """Wait for a notification, at most until a moment of `monotonic`.

        It may return early: callers check again.

        Args:
            condition: The condition to wait on; the caller holds it.
            deadline: When to give up; None: never.
        """


class TaskView(Protocol):
    """What can be asked of a queue's tasks inside one read: one moment of it.

    Costs are for n tasks. A record that a view gave out is never changed, by anybody.
    """

    def revision(self) -> int:
        """Return the revision of the latest change. O(1)."""

    def paused(self) -> bool:
        """Return whether new scans are held back. O(1)."""

    def counts(self, since: datetime | None = None) -> Counts:
        """Return how many of each there are: kept, not counted. O(1 + left out).

        Args:
            since: Leave out the ended tasks that `delete_ended` would delete before this moment;
                None: count those too.
        """

    def get(self, task_id: UUID) -> TaskRecord | None:
        """Return the task, or None. O(log n)."""

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        """Return the PENDING task of a library, or None. O(log n)."""

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        """Return the slot of a library, or None when it is free. O(log n)."""

    def slots(self) -> Sequence[Slot]:
        """Return the slots that are held, first taken first. O(slots)."""

    def first_claimable(self) -> TaskRecord | None:
        """Return the first of `pending` whose library's slot is free, or None. O(slots)."""

    def oldest_pending(self) -> TaskRecord | None:
        """Return the PENDING task of the lowest rank, or None. O(log n)."""

    def pending(self, limit: int | None) -> Sequence[TaskRecord]:
        """Return the PENDING tasks: higher priority first, then lower rank. O(returned)."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> Sequence[TaskRecord]:
        """Return the ended tasks, highest rank first: the latest end. O(returned).

        Args:
            since: Leave out those whose `completed_at` is before this.
            limit: Return at most this many; None: all.
            library_id: Return only those of this library; None: of all.
        """

    def changed(self, after: int, limit: int | None) -> Sequence[TaskRecord]:
        """Return the tasks whose revision is above `after`, in order of revision. O(changes since).

        Args:
            after: The revision that the caller has seen.
            limit: Return at most this many; None: all.
        """


class TaskTable(TaskView, Protocol):
    """A view that can write, inside one transaction; transactions of a queue are serial."""

    def next_revision(self) -> int:
        """Return the next revision of the queue; one that is not used leaves a gap. O(1)."""

    def insert(self, task: TaskRecord) -> None:
        """Add a new task: PENDING, with the revision that was made for it. O(log n)."""

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        """Put a successor in the place of a record. O(log n).

        Args:
            old: The record that the table has now.
            new: Its successor.

        Raises:
            ValueError: `old` is not current: the compare-and-set failed, nothing was changed.
        """

    def take_slot(self, slot: Slot) -> None:
        """Take the slot of a library. O(log n).

        Raises:
            ValueError: It is held.
        """

    def free_slot(self, slot: Slot) -> None:
        """Free a slot. O(log n).

        Raises:
            ValueError: This slot is not held.
        """

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Hold new scans back, or no longer. O(1)."""

    def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete ended tasks, the earliest end first, never one whose slot is held. O(deleted).

        Args:
            before: Delete only those whose `completed_at` is before this.
            limit: Delete at most this many.

        Returns:
            How many were deleted.
        """


@runtime_checkable
class TaskStore(Protocol):
    """Where the tasks of one queue live. One store object serves one service.

    It must be weakly referenceable, as objects without `__slots__` are. Whether it keeps all that
    is promised here, `scanqueue.testing.check_store` finds out.

    Thread-safety: every method may be called from any thread.
    """

    @property
    def durable(self) -> bool:
        """Whether tasks outlive the process; what dead owners held is freed at the next start."""

    @property
    def shared(self) -> bool:
        """Whether several processes may use the same queue."""

    @property
    def progress_interval(self) -> float:
        """Publish the progress of a scan at most once in this many seconds."""

    @property
    def poll_interval(self) -> float | None:
        """Look for what other processes did once in this many seconds; None: there are none."""

    def open(self, owner: OwnerId, first_revision: int) -> None:
        """Make the store ready, before anything else is asked of it; called once.

        Args:
            owner: Who uses it; the store keeps a sign of its life until `close`.
            first_revision: Where the revisions of a queue that is new begin. One that was kept goes
                on above it as well, if revisions may be lost that somebody has seen.

        Raises:
            StoreError: It cannot be used.
        """

    def close(self) -> None:
        """Give up the owner's sign of life and what else is held; reads still work."""

    def after_fork(self) -> None:
        """Forget, in a forked child, the locks, files and tasks of the parent; `open` follows."""

    def read(self) -> AbstractContextManager[TaskView]:
        """Return a context in which the queue stands still.

        Raises:
            StoreError: It cannot be read.
        """

    def write(self, *, sync: bool = True) -> AbstractContextManager[TaskTable]:
        """Return a context that commits when left, and rolls back when left by an exception.

        A store that has no way back keeps what was written: no rule raises after its first write.
        One that changed nothing should cost next to nothing, and wait for no disk: a duplicate
        submission is such a one.

        The context may have a method `run(rule, *, anywhere)`, which returns what `rule(table)`
        does, with all that entering and leaving the context does; then it is used in the place of
        `with`, at the end of which Ctrl-C can come. Rules that are run with `anywhere`, as those of
        submissions are, do not depend on their thread: where threads share commits, the one that
        has the turn can call the rules of those who wait.

        Args:
            sync: Whether the commit must be safe on disk before the context is left.

        Raises:
            StoreError: It cannot be written; nothing was changed.
        """

    def dead_owners(self, owners: Collection[OwnerId]) -> Collection[OwnerId]:
        """Return those of the owners whose process is dead for sure.

        Raises:
            StoreError: It cannot be told.
        """

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Take what to call when another process changed the queue, for stores that can tell.

        It may be called from any thread, and returns at once.
        """
