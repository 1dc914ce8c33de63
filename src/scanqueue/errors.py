"""What can go wrong, as one tree.

::

    ScanQueueError
    ├── TaskNotFoundError(task_id)       also a LookupError
    ├── TaskNotCancellableError(task)    the task has ended already
    ├── QueueFullError(max_pending)      a new task was refused
    ├── QueueClosedError                 the queue was shut down, or belongs to the parent process
    ├── StoreError                       the store could not do it
    │   ├── StoreBusyError               somebody else holds it for too long
    │   ├── StoreFullError               no room is left
    │   ├── StoreCorruptError            what is stored cannot be read
    │   ├── StoreReadOnlyError           it can be read but not changed
    │   └── StoreVersionError            a newer version, or another program, made it
    └── LibraryUnavailable               for scanners to raise: the library cannot be reached

    ScanCancelled (a BaseException)      for scanners to raise, or let through: stopped on request

Bad arguments are a `TypeError` or a `ValueError` that names the argument. Every class carries its
data as attributes and a hint, `http_status`, for adapters.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from scanqueue.models import ScanTask

__all__ = [
    "LibraryUnavailable",
    "QueueClosedError",
    "QueueFullError",
    "ScanCancelled",
    "ScanQueueError",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreVersionError",
    "TaskNotCancellableError",
    "TaskNotFoundError",
]


class ScanQueueError(Exception):
    """The base of the errors that the library raises."""

    http_status: ClassVar[int] = 500
    """The HTTP status that an adapter may answer with."""


class TaskNotFoundError(ScanQueueError, LookupError):
    """No task has this id: it never existed, or it ended so long ago that it was pruned.

    Attributes:
        task_id: The id that was asked for.
    """

    http_status: ClassVar[int] = 404

    def __init__(self, task_id: UUID) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    def __str__(self) -> str:
        return f"there is no task {self.task_id}: it never existed, or its history was pruned"


class TaskNotCancellableError(ScanQueueError):
    """The task has ended already, so there is nothing to cancel; nothing was changed.

    Attributes:
        task: The task as it is.
    """

    http_status: ClassVar[int] = 409

    def __init__(self, task: ScanTask) -> None:
        super().__init__(task)
        self.task = task

    def __str__(self) -> str:
        return f"task {self.task.id} cannot be cancelled: it is {self.task.status.value} already"


class QueueFullError(ScanQueueError):
    """As many tasks are pending as the queue takes; nothing was queued.

    Requests that join or upgrade a task, and those of HIGH priority, are never refused.

    Attributes:
        max_pending: The limit that was reached.
    """

    http_status: ClassVar[int] = 429

    def __init__(self, max_pending: int) -> None:
        super().__init__(max_pending)
        self.max_pending = max_pending

    def __str__(self) -> str:
        return f"the queue is full: it takes {self.max_pending} pending tasks; try again later"


class QueueClosedError(ScanQueueError):
    """The queue was shut down, or this is a forked child's copy of its parent's queue."""

    http_status: ClassVar[int] = 503


class StoreError(ScanQueueError):
    """The store could not do what was asked of it; nothing was acknowledged."""

    http_status: ClassVar[int] = 503


class StoreBusyError(StoreError):
    """Somebody else held the store for longer than it is worth waiting."""


class StoreFullError(StoreError):
    """No room is left where the store keeps its data."""

    http_status: ClassVar[int] = 507


class StoreCorruptError(StoreError):
    """What is stored cannot be read."""

    http_status: ClassVar[int] = 500


class StoreReadOnlyError(StoreError):
    """The store can be read but not changed."""

    http_status: ClassVar[int] = 500


class StoreVersionError(StoreError):
    """The store was made by a newer version of the library, or by another program."""

    http_status: ClassVar[int] = 500


class LibraryUnavailable(ScanQueueError):  # noqa: N818 - it says what happened
    """For scanners to raise: the library cannot be reached (an unplugged drive, say).

    The task ends FAILED with the reason UNAVAILABLE. A scanner that raises it instead of finding
    nothing keeps the host from taking an absent folder for an empty one.
    """

    http_status: ClassVar[int] = 503


class ScanCancelled(BaseException):
    """For scanners to raise, or to let through: the scan stops because it was asked to.

    A `BaseException`, as `asyncio.CancelledError` is, so that a scanner's `except Exception`
    around each file does not swallow it. Raised without a cancel, it is a failure like any other.
    """

    http_status: ClassVar[int] = 409
