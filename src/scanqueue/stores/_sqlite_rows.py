"""Task records as rows of a database, and back, without loss."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from scanqueue._ids import to_uuid
from scanqueue._scope import WHOLE_LIBRARY
from scanqueue._validate import check_library_id
from scanqueue.models import (
    NO_PROGRESS,
    EndReason,
    ScanScope,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.records import Slot, TaskRecord

if TYPE_CHECKING:
    from uuid import UUID

Row: TypeAlias = tuple[Any, ...]
"""What SQLite returns: each value may be of any type, whatever the schema says."""

FIXED_COLUMNS = ("id", "library_id", "created_at")
"""What no change of a task touches."""

NEW_COLUMNS = ("seq", *FIXED_COLUMNS, "revision", "rank", "priority", "deep", "scope")
"""What new tasks differ in."""

CHANGING_COLUMNS = (
    *("revision", "rank", "priority", "status", "deep", "scanned_paths"),
    *("attempt", "interruptions", "holds_slot"),
    # From here on they may be NULL.
    *("scope", "started_at", "completed_at", "total_paths", "message"),
    *("added_count", "updated_count", "removed_count", "failed_count", "error", "reason"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_PRIORITIES = {priority.value: priority for priority in TaskPriority}
_STATUSES = {status.value: status for status in TaskStatus}
_REASONS: dict[str | None, EndReason | None] = {None: None} | {r.value: r for r in EndReason}
_FLAGS = {0: False, 1: True}
_HOLDS_SLOT = {TaskStatus.RUNNING: True, TaskStatus.COMPLETED: False, TaskStatus.FAILED: False}
"""Whether a task of that status does; of the others some do."""


def to_microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970 (UTC), exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def _from_microseconds(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)


def to_text(raw: bytes) -> str | bytes:
    """Decode a text, or leave it as it is: `decode` then refuses its row, and no other."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def encode_new(task: TaskRecord) -> Row:
    """Return the values of `NEW_COLUMNS`, without the last if that is NULL."""
    revision, scope = task.revision, task.scope
    values = (
        revision,
        # For `bytes`, Python's module first looks for an adapter.
        bytearray(task.id.int.to_bytes(16)),
        task.library_id,
        to_microseconds(task.created_at),
        revision,
        task.rank,
        task.priority._value_,  # which is `value`, without a call of Python
        int(scope.deep),  # a bool takes SQLite ten times as long
    )
    return (*values, _encode_paths(scope)) if scope.paths else values


def encode_changing(task: TaskRecord) -> Row:
    """Return the values of `CHANGING_COLUMNS`."""
    scope, started, ended = task.scope, task.started_at, task.completed_at
    progress, result, reason = task.progress, task.result, task.reason
    return (
        task.revision,
        task.rank,
        task.priority._value_,
        task.status._value_,
        int(scope.deep),
        progress.scanned_paths,
        task.attempt,
        task.interruptions,
        int(task.holds_slot),
        _encode_paths(scope) if scope.paths else None,
        None if started is None else to_microseconds(started),
        None if ended is None else to_microseconds(ended),
        progress.total_paths,
        progress.message,
        None if result is None else result.added_count,
        None if result is None else result.updated_count,
        None if result is None else result.removed_count,
        None if result is None else result.failed_count,
        task.error,
        None if reason is None else reason.value,
    )


def _encode_paths(scope: ScanScope) -> str:
    return json.dumps(scope.paths, ensure_ascii=False)


def decode(row: Row) -> TaskRecord:
    """Return the record of a row: its number, `FIXED_COLUMNS` and `CHANGING_COLUMNS`.

    Raises:
        Exception: Of any kind; the row is not one that `encode_...` made.
    """
    # fmt: off
    (
        _, task_id, library_id, created, revision, rank, priority, status, deep, scanned,
        attempt, interruptions, holds_slot, paths, started, completed, total, message,
        added, updated, removed, failed, error, reason,
    ) = row
    # fmt: on
    if not type(revision) is type(rank) is type(attempt) is type(interruptions) is int:
        raise TypeError("a number is not a number")
    if not (error is None or type(error) is str):
        raise TypeError("the error is not a text")
    task = TaskRecord(
        _decode_id(task_id),
        check_library_id(library_id),
        _PRIORITIES[priority],
        _STATUSES[status],
        WHOLE_LIBRARY if paths is None and deep == 0 else _scope(paths, _FLAGS[deep]),
        _from_microseconds(created),
        revision,
        rank,
        None if started is None else _from_microseconds(started),
        None if completed is None else _from_microseconds(completed),
        NO_PROGRESS
        if scanned == 0 and total is None and message is None
        else TaskProgress(scanned_paths=scanned, total_paths=total, message=message),
        None
        if added is updated is removed is failed is None
        else TaskResult(
            added_count=added, updated_count=updated, removed_count=removed, failed_count=failed
        ),
        error,
        _REASONS[reason],
        attempt,
        interruptions,
        _FLAGS[holds_slot],
    )
    if task.holds_slot is not _HOLDS_SLOT.get(task.status, task.holds_slot):
        raise ValueError("nobody can be in that state")
    if task.status.is_ended and completed is None:
        raise ValueError("it has ended, but nobody knows when")
    return task


def _decode_id(raw: bytes) -> UUID:
    if type(raw) is not bytes or len(raw) != 16:  # noqa: PLR2004 - bytes of a UUID
        raise ValueError("an id is not of 16 bytes")
    return to_uuid(int.from_bytes(raw))


def _scope(paths: str | None, deep: bool) -> ScanScope:  # noqa: FBT001 - a field of the scope
    if paths is None:
        return ScanScope(deep=deep)
    found = json.loads(paths)
    if type(found) is not list:
        raise TypeError("the paths are not a list")
    return ScanScope(paths=found, deep=deep)


def decode_slot(row: Row) -> Slot:
    """Return the slot of a row: its number, the library, the task, the attempt and the owner.

    Raises:
        Exception: Of any kind; the row is not one that a table made.
    """
    _, library_id, task_id, attempt, owner = row
    if type(attempt) is not int or type(owner) is not str:
        raise TypeError("the attempt is not a number, or the owner not a text")
    return Slot(check_library_id(library_id), _decode_id(task_id), attempt, owner)
