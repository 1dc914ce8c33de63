"""The JSON of the scan queue, as OpenAPI shows it.

The fields are those of `scanqueue.wire`, whose dicts are checked against these models; those
of a listing, which may be long, only by the tests.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
)

from scanqueue import EndReason, SubmitOutcome, TaskStatus, WhenRunning

MAX_PATHS = 1000
"""How many paths a request may give: those of a scope, before it becomes the whole library."""

Priority = Literal["low", "normal", "high"]

_PART = r"(?:[^/.\x00][^/\x00]*|\.|\.[^/.\x00][^/\x00]*|\.\.[^/\x00]+)"  # anything but ".."
Path = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": rf"^(?:{_PART}(?:/{_PART}?)*)?$"})
]
"""What `ScanScope` takes as a path, for readers of OpenAPI; the check is its own."""


class ScanRequest(BaseModel):
    """What to scan of a library."""

    model_config = ConfigDict(extra="forbid")

    paths: Annotated[list[Path], Field(max_length=MAX_PATHS)] = []
    """Relative POSIX paths inside the library; none: all of it."""
    deep: StrictBool = False
    """Whether to read everything again, not just what changed."""
    when_running: Annotated[
        WhenRunning, WithJsonSchema({"type": "string", "enum": list(WhenRunning)})
    ] = WhenRunning.JOIN
    """Whether a running scan will do."""


SCAN_BODY: dict[str, Any] = {
    "requestBody": {"content": {"application/json": {"schema": ScanRequest.model_json_schema()}}}
}
"""What OpenAPI says of a body that is no parameter of its route."""


class Scope(BaseModel):
    """What is scanned of a library."""

    paths: list[str]
    deep: bool


class Progress(BaseModel):
    """How far a scan has come."""

    scanned_paths: int
    total_paths: int | None
    message: str | None


class Result(BaseModel):
    """What a scan found."""

    added_count: int
    updated_count: int
    removed_count: int
    failed_count: int


class Task(BaseModel):
    """One request to scan one library."""

    id: UUID
    library_id: int | str
    priority: Priority
    status: TaskStatus
    scope: Scope
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    progress: Progress
    result: Result | None
    error: str | None
    reason: EndReason | None
    attempt: int
    interruptions: int
    holds_slot: bool
    revision: int


class TaskLists(BaseModel):
    """The tasks of the queue at one moment, and the revision to follow them from."""

    revision: int
    running: list[Task]
    pending: list[Task]
    history: list[Task]


class Submission(BaseModel):
    """What a request for a scan did."""

    task: Task
    outcome: SubmitOutcome


class Stats(BaseModel):
    """The queue in numbers."""

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
    submitted: dict[SubmitOutcome, int]
    ended: dict[TaskStatus, int]
    reasons: dict[EndReason, int]


class Problem(BaseModel):
    """What went wrong (RFC 9457); some types have more members."""

    type: str
    title: str
    status: int
    detail: str | None = None
