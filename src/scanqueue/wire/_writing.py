"""Values to dicts."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from scanqueue._validate import check_instance, check_moment
from scanqueue.models import QueueStats, ScanTask, Submission, TaskResult
from scanqueue.wire._dicts import ResultDict, StatsDict, SubmissionDict, TaskDict

E = TypeVar("E", bound=StrEnum)


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
