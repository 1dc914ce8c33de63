"""The values that the queue takes and gives: frozen, compared by value, safe to share.

Whatever leaves the library is a snapshot: it never changes under its reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import attrs

from scanqueue._frozen import FrozenMapping
from scanqueue._scope import WHOLE_LIBRARY, ScanScope
from scanqueue._text import MESSAGE_LIMIT, storable
from scanqueue._validate import (
    MAX_INT,
    check_int,
    wrong_type,
)

__all__ = [
    "EndReason",
    "LibraryId",
    "QueueStats",
    "ScanScope",
    "ScanTask",
    "Submission",
    "SubmitOutcome",
    "TaskPriority",
    "TaskProgress",
    "TaskResult",
    "TaskStatus",
    "WhenRunning",
]

LibraryId: TypeAlias = int | str
"""A library, by the host's own id: an int within 64 bits, or a str of 1 to 255 characters.

`1` and `"1"` are two libraries.
"""


class TaskPriority(IntEnum):
    """How urgent a scan is; higher goes first."""

    LOW = -1
    """Background: file watchers."""
    NORMAL = 0
    """Scheduled scans."""
    HIGH = 1
    """A person asked."""


class TaskStatus(StrEnum):
    """Where a task is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether the task is PENDING or RUNNING."""
        return self not in _ENDED

    @property
    def is_ended(self) -> bool:
        """Whether the task is COMPLETED, FAILED or CANCELLED, and so never active again."""
        return self in _ENDED


_ENDED = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})


class EndReason(StrEnum):
    """Why a task ended without completing."""

    REQUESTED = "requested"
    """CANCELLED: somebody cancelled it."""
    SHUTDOWN = "shutdown"
    """CANCELLED: the queue was shut down."""
    ERROR = "error"
    """FAILED: the scanner raised, or returned something else than a `TaskResult`."""
    UNAVAILABLE = "unavailable"
    """FAILED: the library could not be reached."""
    INTERRUPTED = "interrupted"
    """FAILED: its process died, too often or with a replacement waiting."""


class WhenRunning(StrEnum):
    """What a submission wants when its library is being scanned already."""

    JOIN = "join"
    """Join the running scan if it covers the request, though it may be past what changed."""
    FOLLOW_UP = "follow_up"
    """Queue another scan behind it: for those who cannot miss a change (file watchers)."""


class SubmitOutcome(StrEnum):
    """What a submission did."""

    CREATED = "created"
    """A new task was queued."""
    JOINED = "joined"
    """An existing task already covers the request."""
    UPGRADED = "upgraded"
    """The pending task was raised in priority or widened in scope."""
    FOLLOW_UP = "follow_up"
    """A new task was queued behind the running one."""


def _to_message(value: str | None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        wrong_type("message", value, "a str or None")
    return storable(value, MESSAGE_LIMIT)


def _is_count(instance: object, field: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or not 0 <= value <= MAX_INT:
        # Stored as a plain int: what a subclass does must not run under a lock.
        object.__setattr__(instance, field.name, check_int(field.name, value))


def _is_optional_count(
    instance: object, field: attrs.Attribute[int | None], value: int | None
) -> None:
    if value is not None:
        _is_count(instance, field, value)  # type: ignore[arg-type]  # of which it needs the name


@attrs.frozen(kw_only=True)
class TaskProgress:
    """How far a scan has come.

    Raises:
        TypeError: A count is not an int, or `message` not a str.
        ValueError: A count is negative or does not fit 64 bits.
    """

    scanned_paths: int = attrs.field(validator=_is_count)
    """How many items were scanned so far; at least 0."""
    total_paths: int | None = attrs.field(default=None, validator=_is_optional_count)
    """How many there are in all; None when that is not known."""
    message: str | None = attrs.field(default=None, converter=_to_message)
    """What is being scanned, for people; made storable, and cut to 1,024 characters."""

    @property
    def fraction(self) -> float | None:
        """The part done, 0.0 to 1.0; None when the total is unknown or 0."""
        if not self.total_paths:
            return None
        return min(1.0, self.scanned_paths / self.total_paths)


@attrs.frozen(kw_only=True)
class TaskResult:
    """What a scan found: what a scanner returns.

    Raises:
        TypeError: A count is not an int.
        ValueError: A count is negative or does not fit 64 bits.
    """

    added_count: int = attrs.field(default=0, validator=_is_count)
    """Items that are new in the library."""
    updated_count: int = attrs.field(default=0, validator=_is_count)
    """Items that changed."""
    removed_count: int = attrs.field(default=0, validator=_is_count)
    """Items that are gone."""
    failed_count: int = attrs.field(default=0, validator=_is_count)
    """Items that could not be read."""


NO_PROGRESS = TaskProgress(scanned_paths=0)
"""The progress of a task that has reported nothing."""


@attrs.frozen(kw_only=True)
class ScanTask:
    """One request to scan one library, as it was at one moment."""

    id: UUID
    """Its own id, by which all calls know it."""
    library_id: LibraryId
    """What is scanned, by the host's id."""
    priority: TaskPriority
    """How urgent it is; it may rise while it waits."""
    status: TaskStatus
    """Where it is in its life."""
    created_at: datetime
    """When it was submitted (UTC)."""
    scope: ScanScope = WHOLE_LIBRARY
    """What is scanned of the library; it may widen while it waits."""
    started_at: datetime | None = None
    """When its scan began (UTC); None before that."""
    completed_at: datetime | None = None
    """When it ended, however it did (UTC); None before that."""
    progress: TaskProgress = NO_PROGRESS
    """How far its scan has come."""
    result: TaskResult | None = None
    """What the scan found; also of a cancelled one whose scanner returned it all the same."""
    error: str | None = None
    """What went wrong, for people; at most 4,096 characters."""
    reason: EndReason | None = None
    """Why it ended without completing."""
    attempt: int = 0
    """How many scans have begun for it: the fencing token of what a scan writes."""
    interruptions: int = 0
    """How many times its process died while it ran."""
    holds_slot: bool = False
    """Whether a scanner is at work for it right now."""
    revision: int = 0
    """The revision of its latest change."""

    @property
    def is_active(self) -> bool:
        """Whether it is PENDING or RUNNING."""
        return self.status.is_active

    @property
    def is_ended(self) -> bool:
        """Whether it is COMPLETED, FAILED or CANCELLED, and so never active again."""
        return self.status.is_ended

    @property
    def is_stopping(self) -> bool:
        """Whether it has ended and its scanner has not returned yet."""
        return self.holds_slot and self.status.is_ended

    @property
    def wait_time(self) -> timedelta | None:
        """From its creation to its start, or to its end if it never started.

        None while it waits; never negative, even if the wall clock was set back.
        """
        return _elapsed(self.created_at, self.started_at or self.completed_at)

    @property
    def run_time(self) -> timedelta | None:
        """From its start to its end.

        None unless it has started and ended; never negative, even if the wall clock was set back.
        """
        return _elapsed(self.started_at, self.completed_at)


def _elapsed(begin: datetime | None, end: datetime | None) -> timedelta | None:
    if begin is None or end is None:
        return None
    return max(timedelta(0), end - begin)


@attrs.frozen(kw_only=True)
class Submission:
    """What a submission did."""

    task: ScanTask
    """The task that covers the request, as of the commit of the submission."""
    outcome: SubmitOutcome
    """What the submission did to it."""

    @property
    def task_id(self) -> UUID:
        """The id of the task."""
        return self.task.id


def _freeze(counts: Mapping[Any, int]) -> Mapping[Any, int]:
    return FrozenMapping(counts)


@attrs.frozen(kw_only=True)
class QueueStats:
    """The queue in numbers: what is in it now, and what one service did since it was made."""

    pending: int
    """PENDING tasks."""
    running: int
    """RUNNING tasks."""
    completed: int
    """COMPLETED tasks within the retention."""
    failed: int
    """FAILED tasks within the retention."""
    cancelled: int
    """CANCELLED tasks within the retention."""
    stopping: int
    """Ended tasks whose scanner has not returned yet (counted among the cancelled ones too)."""
    workers: int
    """Workers alive in this process."""
    busy_workers: int
    """Those of them that are occupied by a scan, a stopping one included."""
    paused: bool
    """Whether the queue is paused."""
    oldest_pending_age: timedelta | None
    """How long ago the first of the pending tasks was submitted; None when there is none."""
    submitted: Mapping[SubmitOutcome, int] = attrs.field(converter=_freeze)
    """Submissions to this service, by what they did."""
    ended: Mapping[TaskStatus, int] = attrs.field(converter=_freeze)
    """Tasks that this service ended, by how."""
    reasons: Mapping[EndReason, int] = attrs.field(converter=_freeze)
    """Tasks that this service ended without completing, by why."""
