"""Dicts to values: whatever is wrong with one is a `ValueError` that names the field."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, TypeVar
from uuid import UUID

from scanqueue._validate import (
    check_bool,
    check_int,
    check_library_id,
    check_moment,
    check_optional_int,
    check_seconds,
    check_unicode,
    wrong_type,
    wrong_value,
)
from scanqueue.models import (
    EndReason,
    QueueStats,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Fields: TypeAlias = Mapping[str, object]
"""A JSON object."""
Reader: TypeAlias = Callable[[str, object], T]
"""Makes a value of the name of a field, which errors begin with, and of what is there."""


def task_from_dict(data: object) -> ScanTask:
    """Return the task that a dict describes.

    Args:
        data: What `task_to_dict` gave, or any other JSON value.

    Raises:
        ValueError: It is no such dict; the message names the field (`progress.scanned_paths`).
    """
    return _read_root("task", data, _read_task)


def submission_from_dict(data: object) -> Submission:
    """Return the submission that a dict describes.

    Args:
        data: What `submission_to_dict` gave, or any other JSON value.

    Raises:
        ValueError: It is no such dict; the message names the field (`task.created_at`).
    """
    return _read_root("submission", data, _read_submission)


def stats_from_dict(data: object) -> QueueStats:
    """Return the statistics that a dict describes.

    Args:
        data: What `stats_to_dict` gave, or any other JSON value.

    Raises:
        ValueError: It is no such dict; the message names the field (`ended.failed`).
    """
    return _read_root("stats", data, _read_stats)


def _read_root(name: str, data: object, read: Callable[[Fields], T]) -> T:
    try:
        return read(_as_fields(name, data))
    except TypeError as error:
        raise ValueError(str(error)) from None


def _as_fields(name: str, value: object) -> Fields:
    if not isinstance(value, Mapping):
        wrong_type(name, value, "an object")
    return value


def _take(fields: Fields, name: str, read: Reader[T]) -> T:
    if name not in fields:
        message = f"{name} is missing"
        raise ValueError(message)
    return read(name, fields[name])


def _optional(read: Reader[T]) -> Reader[T | None]:
    """Return a reader of what may be null."""
    return lambda name, value: None if value is None else read(name, value)


def _object(read: Callable[[Fields], T]) -> Reader[T]:
    """Return a reader of an object; errors in there get its name in front."""

    def read_object(name: str, value: object) -> T:
        fields = _as_fields(name, value)
        try:
            return read(fields)
        except (TypeError, ValueError) as error:
            message = f"{name}.{error}"
            raise ValueError(message) from None

    return read_object


def _counts(kind: type[E]) -> Reader[dict[E, int]]:
    """Return a reader of counts by the members of an enumeration."""
    return _object(
        lambda fields: {
            member: _take(fields, member.value, check_int)
            for member in kind
            if member.value in fields
        }
    )


def _read_task(fields: Fields) -> ScanTask:
    return ScanTask(
        id=_take(fields, "id", _read_uuid),
        library_id=_take(fields, "library_id", lambda _, value: check_library_id(value)),
        priority=_take(fields, "priority", _read_priority),
        status=_take(fields, "status", _member_of(TaskStatus)),
        scope=_take(fields, "scope", _object(_read_scope)),
        created_at=_take(fields, "created_at", _read_moment),
        started_at=_take(fields, "started_at", _optional(_read_moment)),
        completed_at=_take(fields, "completed_at", _optional(_read_moment)),
        progress=_take(fields, "progress", _object(_read_progress)),
        result=_take(fields, "result", _optional(_object(_read_result))),
        error=_take(fields, "error", _optional(_read_text)),
        reason=_take(fields, "reason", _optional(_member_of(EndReason))),
        attempt=_take(fields, "attempt", check_int),
        interruptions=_take(fields, "interruptions", check_int),
        holds_slot=_take(fields, "holds_slot", check_bool),
        revision=_take(fields, "revision", check_int),
    )


def _read_scope(fields: Fields) -> ScanScope:
    paths = _take(fields, "paths", _read_list)
    return ScanScope(paths=paths, deep=_take(fields, "deep", check_bool))


def _read_progress(fields: Fields) -> TaskProgress:
    return TaskProgress(
        scanned_paths=_take(fields, "scanned_paths", check_int),
        total_paths=_take(fields, "total_paths", check_optional_int),
        message=_take(fields, "message", _optional(_read_text)),
    )


def _read_result(fields: Fields) -> TaskResult:
    return TaskResult(
        added_count=_take(fields, "added_count", check_int),
        updated_count=_take(fields, "updated_count", check_int),
        removed_count=_take(fields, "removed_count", check_int),
        failed_count=_take(fields, "failed_count", check_int),
    )


def _read_submission(fields: Fields) -> Submission:
    return Submission(
        task=_take(fields, "task", _object(_read_task)),
        outcome=_take(fields, "outcome", _member_of(SubmitOutcome)),
    )


def _read_stats(fields: Fields) -> QueueStats:
    return QueueStats(
        pending=_take(fields, "pending", check_int),
        running=_take(fields, "running", check_int),
        completed=_take(fields, "completed", check_int),
        failed=_take(fields, "failed", check_int),
        cancelled=_take(fields, "cancelled", check_int),
        stopping=_take(fields, "stopping", check_int),
        workers=_take(fields, "workers", check_int),
        busy_workers=_take(fields, "busy_workers", check_int),
        paused=_take(fields, "paused", check_bool),
        oldest_pending_age=_take(fields, "oldest_pending_age", _optional(_read_duration)),
        submitted=_take(fields, "submitted", _counts(SubmitOutcome)),
        ended=_take(fields, "ended", _counts(TaskStatus)),
        reasons=_take(fields, "reasons", _counts(EndReason)),
    )


def _read_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        wrong_type(name, value, "a str")
    return check_unicode(name, value)


def _read_list(name: str, value: object) -> list[str]:
    if not isinstance(value, list):
        wrong_type(name, value, "a list")
    return value  # of what, the scope checks itself


def _read_uuid(name: str, value: object) -> UUID:
    text = _read_text(name, value)
    try:
        task_id = UUID(text)
    except ValueError:
        wrong_value(name, value, "a UUID")
    if str(task_id) != text.lower():  # `UUID` also takes braces, underscores and the like
        wrong_value(name, value, "a UUID as 8-4-4-4-12 hexadecimal digits")
    return task_id


def _read_moment(name: str, value: object) -> datetime:
    text = _read_text(name, value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wrong_value(name, value, "a moment in ISO 8601, such as '2000-01-31T23:59:59Z'")
    return check_moment(name, moment)


def _read_duration(name: str, value: object) -> timedelta:
    try:
        return timedelta(seconds=check_seconds(name, value))
    except OverflowError:
        wrong_value(name, value, "a number of seconds that a timedelta can hold")


def _read_priority(name: str, value: object) -> TaskPriority:
    return _lookup(name, value, {member.name.lower(): member for member in TaskPriority})


def _member_of(kind: type[E]) -> Callable[[str, object], E]:
    return lambda name, value: _lookup(name, value, {member.value: member for member in kind})


def _lookup(name: str, value: object, members: Mapping[str, T]) -> T:
    text = _read_text(name, value)
    if text not in members:
        wrong_value(name, value, f"one of {', '.join(members)}")
    return members[text]
