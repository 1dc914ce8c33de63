"""Errors to problem details."""

from collections.abc import Mapping

from scanqueue._text import ERROR_LIMIT, storable
from scanqueue._validate import check_instance
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
from scanqueue.wire._dicts import ProblemDict
from scanqueue.wire._writing import task_to_dict

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
    TimeoutError: ("timeout", "Not done in time"),
    BaseException: ("internal-error", "Internal error"),
}
"""The last part of `type`, and `title`; an error has those of its nearest class in here."""


def problem_from_error(error: BaseException) -> ProblemDict:
    """Return an error as problem details (RFC 9457), JSON-ready.

    An error of the library has the status that it hints at, and its data as members: `task_id`,
    `task` or `max_pending`. A bad argument (`ValueError`, `TypeError`) is a 400, and a
    `TimeoutError` (of `wait`, say) a 504. The rest is a 500. Neither of these two says more, since
    the message is not for strangers; nor is that of a `StoreError`, which may name files of the
    host.

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
    if isinstance(error, ValueError | TypeError):
        return 400
    return 504 if isinstance(error, TimeoutError) else 500


def _detail_of(error: BaseException) -> str:
    """Return the message if it is one for whoever made the request."""
    is_told = isinstance(error, ScanQueueError | ScanCancelled | ValueError | TypeError)
    if not is_told or isinstance(error, StoreError):
        return ""
    try:
        return storable(str(error), ERROR_LIMIT)
    except Exception:  # noqa: BLE001 - the class may be the host's, and so is its __str__
        return ""
