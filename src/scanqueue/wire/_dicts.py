"""The shapes of the dicts. The keys are the names of the attributes."""

from typing import NotRequired, TypedDict

from scanqueue.models import LibraryId


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
    """Seconds: exact to the microsecond up to 272 years, rounded beyond."""
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
