"""`scanqueue`: the scan queue that a media server embeds.

Hand it a `Scanner`, get a `ScanQueueService`: submissions return at once, scans run on background
threads, most urgent first, never two of one library at a time, each visible, cancellable and
accounted for.
"""

import logging
from typing import TYPE_CHECKING

from scanqueue._clock import SystemClock
from scanqueue._service import ScanQueueService
from scanqueue.errors import (
    LibraryUnavailable,
    QueueClosedError,
    QueueFullError,
    ScanCancelled,
    ScanQueueError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
    TaskNotCancellableError,
    TaskNotFoundError,
)
from scanqueue.models import (
    EndReason,
    LibraryId,
    QueueStats,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.protocols import Clock, ScanContext, Scanner, TaskStore
from scanqueue.stores import MemoryStore

if TYPE_CHECKING:
    from scanqueue.stores import SQLiteStore

__all__ = [
    "Clock",
    "EndReason",
    "LibraryId",
    "LibraryUnavailable",
    "MemoryStore",
    "QueueClosedError",
    "QueueFullError",
    "QueueStats",
    "SQLiteStore",
    "ScanCancelled",
    "ScanContext",
    "ScanQueueError",
    "ScanQueueService",
    "ScanScope",
    "ScanTask",
    "Scanner",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreVersionError",
    "Submission",
    "SubmitOutcome",
    "SystemClock",
    "TaskNotCancellableError",
    "TaskNotFoundError",
    "TaskPriority",
    "TaskProgress",
    "TaskResult",
    "TaskStatus",
    "TaskStore",
    "WhenRunning",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Import `SQLiteStore` when it is asked for: whoever does not use it need not load SQLite."""
    if name == "SQLiteStore":
        from scanqueue.stores import SQLiteStore  # noqa: PLC0415 - see above

        globals()[name] = SQLiteStore
        return SQLiteStore
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
