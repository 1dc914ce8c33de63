"""`scanqueue`: the scan queue that a media server embeds.

Hand it a `Scanner`, get a `ScanQueueService`: submissions return at once, scans run on background
threads, most urgent first, never two of one library at a time, each visible, cancellable and
accounted for.
"""

import logging

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

__all__ = [
    "Clock",
    "EndReason",
    "LibraryId",
    "LibraryUnavailable",
    "MemoryStore",
    "QueueClosedError",
    "QueueFullError",
    "QueueStats",
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
