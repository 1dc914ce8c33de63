"""The values as JSON-ready dicts, and errors as problem details.

The keys are the names of the attributes. Moments are ISO 8601 in UTC with a `Z`, durations are
seconds, ids are text, members of enumerations are their values, and a priority is its name in
lower case. What `*_to_dict` gives, `json.dumps` takes; what `json.loads` gives, `*_from_dict`
takes, or refuses with a `ValueError` that names the field. Both ways are lossless, and a reader
ignores keys that it does not know, so that an older one understands a newer writer.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NotRequired, TypeAlias, TypedDict, TypeVar
from uuid import UUID

from scanqueue._text import ERROR_LIMIT, storable
from scanqueue._validate import (
    check_bool,
    check_instance,
    check_int,
    check_library_id,
    check_moment,
    check_optional_int,
    check_seconds,
    check_unicode,
    wrong_type,
    wrong_value,
)
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
)

__all__ = [
    "ProblemDict",
    "ProgressDict",
    "ResultDict",
    "ScopeDict",
    "StatsDict",
    "SubmissionDict",
    "TaskDict",
    "problem_from_error",
    "stats_from_dict",
    "stats_to_dict",
    "submission_from_dict",
    "submission_to_dict",
    "task_from_dict",
    "task_to_dict",
]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Fields: TypeAlias = Mapping[str, object]
"""A JSON object."""
Reader: TypeAlias = Callable[[str, object], T]
"""Makes a value of the name of a field, which errors begin with, and of what is there."""


class ScopeDict(TypedDict):
    """A `ScanScope`."""

    paths: list[str]
    deep: bool


class ProgressDict(TypedDict):
    """A `TaskProgress`."""

    scanned_paths: int
    total_paths: int | None
    message: str | None


class ResultDict(TypedDict):
    """A `TaskResult`."""

    added_count: int
    updated_count: int
    removed_count: int
    failed_count: int


class TaskDict(TypedDict):
    """A `ScanTask`."""

    id: str
    library_id: LibraryId
    priority: str
    status: str
    scope: ScopeDict
    created_at: str
    started_at: str | None
    completed_at: str | None
    progress: ProgressDict
    result: ResultDict | None
    error: str | None
    reason: str | None
    attempt: int
    interruptions: int
    holds_slot: bool
    revision: int


class SubmissionDict(TypedDict):
    """A `Submission`."""

    task: TaskDict
    outcome: str


class StatsDict(TypedDict):
    """A `QueueStats`."""

    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    stopping: int
    workers: int
    busy_workers: int
    paused: bool
    oldest_pending_age: float | None
    submitted: dict[str, int]
    ended: dict[str, int]
    reasons: dict[str, int]


class ProblemDict(TypedDict):
    """An error as problem details (RFC 9457), with the data of the error beside them."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    task_id: NotRequired[str]
    task: NotRequired[TaskDict]
    max_pending: NotRequired[int]


# --- values to dicts ----------------------------------------------------------------------------


def task_to_dict(task: ScanTask) -> TaskDict:
    """Return a task as a JSON-ready dict.

    Args:
        task: The task.

    Raises:
        TypeError: `task` is not a `ScanTask`.
        ValueError: One of its moments is naive, as none of a queue's is.
    """
    check_instance("task", task, ScanTask)
    return {
        "id": str(task.id),
        "library_id": task.library_id,
        "priority": task.priority.name.lower(),
        "status": task.status.value,
        "scope": {"paths": list(task.scope.paths), "deep": task.scope.deep},
        "created_at": _moment_to_text("created_at", task.created_at),
        "started_at": _optional_moment_to_text("started_at", task.started_at),
        "completed_at": _optional_moment_to_text("completed_at", task.completed_at),
        "progress": {
            "scanned_paths": task.progress.scanned_paths,
            "total_paths": task.progress.total_paths,
            "message": task.progress.message,
        },
        "result": None if task.result is None else _result_to_dict(task.result),
        "error": task.error,
        "reason": None if task.reason is None else task.reason.value,
        "attempt": task.attempt,
        "interruptions": task.interruptions,
        "holds_slot": task.holds_slot,
        "revision": task.revision,
    }


def submission_to_dict(submission: Submission) -> SubmissionDict:
    """Return a submission as a JSON-ready dict.

    Args:
        submission: The submission.

    Raises:
        TypeError: `submission` is not a `Submission`.
        ValueError: A moment of its task is naive.
    """
    check_instance("submission", submission, Submission)
    return {"task": task_to_dict(submission.task), "outcome": submission.outcome.value}


def stats_to_dict(stats: QueueStats) -> StatsDict:
    """Return statistics as a JSON-ready dict.

    Args:
        stats: The statistics.

    Raises:
        TypeError: `stats` is not a `QueueStats`.
    """
    check_instance("stats", stats, QueueStats)
    age = stats.oldest_pending_age
    return {
        "pending": stats.pending,
        "running": stats.running,
        "completed": stats.completed,
        "failed": stats.failed,
        "cancelled": stats.cancelled,
        "stopping": stats.stopping,
        "workers": stats.workers,
        "busy_workers": stats.busy_workers,
        "paused": stats.paused,
        "oldest_pending_age": None if age is None else age.total_seconds(),
        "submitted": _counts_to_dict(stats.submitted),
        "ended": _counts_to_dict(stats.ended),
        "reasons": _counts_to_dict(stats.reasons),
    }


def _result_to_dict(result: TaskResult) -> ResultDict:
    return {
        "added_count": result.added_count,
        "updated_count": result.updated_count,
        "removed_count": result.removed_count,
        "failed_count": result.failed_count,
    }


def _counts_to_dict(counts: Mapping[E, int]) -> dict[str, int]:
    return {member.value: count for member, count in counts.items()}


def _moment_to_text(name: str, moment: datetime) -> str:
    return check_moment(name, moment).isoformat().removesuffix("+00:00") + "Z"


def _optional_moment_to_text(name: str, moment: datetime | None) -> str | None:
    return None if moment is None else _moment_to_text(name, moment)


# --- dicts to values ----------------------------------------------------------------------------


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


# --- errors to problems -------------------------------------------------------------------------

_PROBLEMS: Mapping[type[BaseException], tuple[str, str]] = {
    TaskNotFoundError: ("task-not-found", "Task not found"),
    TaskNotCancellableError: ("task-not-cancellable", "Task has ended already"),
    QueueFullError: ("queue-full", "Queue is full"),
    QueueClosedError: ("queue-closed", "Queue is shut down"),
    StoreBusyError: ("store-busy", "Store is busy"),
    StoreFullError: ("store-full", "Store is full"),
    StoreCorruptError: ("store-corrupt", "Store cannot be read"),
    StoreReadOnlyError: ("store-read-only", "Store is read-only"),
    StoreVersionError: ("store-version", "Store has another version"),
    StoreError: ("store-error", "Store failed"),
    LibraryUnavailable: ("library-unavailable", "Library is unavailable"),
    ScanCancelled: ("scan-cancelled", "Scan was cancelled"),
    ScanQueueError: ("scan-queue-error", "Scan queue failed"),
    ValueError: ("invalid-argument", "Invalid argument"),
    TypeError: ("invalid-argument", "Invalid argument"),
    BaseException: ("internal-error", "Internal error"),
}
"""The last part of `type`, and `title`; an error has those of its nearest class in here."""


def problem_from_error(error: BaseException) -> ProblemDict:
    """Return an error as problem details (RFC 9457), JSON-ready.

    An error of the library has the status that it hints at, and its data as members: `task_id`,
    `task` or `max_pending`. A bad argument (`ValueError`, `TypeError`) is a 400. The rest is a 500
    that says nothing more, since its message is not for strangers; nor is that of a `StoreError`,
    which may name files of the host.

    Args:
        error: The error.

    Raises:
        TypeError: `error` is not an exception.
    """
    check_instance("error", error, BaseException)
    slug, title = next(_PROBLEMS[kind] for kind in type(error).__mro__ if kind in _PROBLEMS)
    problem: ProblemDict = {
        "type": f"urn:scanqueue:{slug}",
        "title": title,
        "status": _status_of(error),
    }
    detail = _detail_of(error)
    if detail:
        problem["detail"] = detail
    if isinstance(error, TaskNotFoundError):
        problem["task_id"] = str(error.task_id)
    elif isinstance(error, TaskNotCancellableError):
        problem["task"] = task_to_dict(error.task)
    elif isinstance(error, QueueFullError):
        problem["max_pending"] = error.max_pending
    return problem


def _status_of(error: BaseException) -> int:
    if isinstance(error, ScanQueueError | ScanCancelled):
        return error.http_status
    return 400 if isinstance(error, ValueError | TypeError) else 500


def _detail_of(error: BaseException) -> str:
    """Return the message if it is one for whoever made the request."""
    is_told = isinstance(error, ScanQueueError | ScanCancelled | ValueError | TypeError)
    if not is_told or isinstance(error, StoreError):
        return ""
    try:
        return storable(str(error), ERROR_LIMIT)
    except Exception:  # noqa: BLE001 - the class may be the host's, and so is its __str__
        return ""
