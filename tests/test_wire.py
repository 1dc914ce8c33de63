"""The wire form: lossless both ways, JSON-ready, and strict about what comes in."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanqueue import wire
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
from scanqueue.testing.strategies import moments, stats, submissions, tasks
from scanqueue.wire import (
    problem_from_error,
    stats_from_dict,
    stats_to_dict,
    submission_from_dict,
    submission_to_dict,
    task_from_dict,
    task_to_dict,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
"""Lone surrogates too, which JSON can carry."""

JSON_VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(ANY_TEXT, values, max_size=3),
    max_leaves=5,
)

TASK_ID = UUID("8c3ac4a1-7a3c-4d67-9f0e-0123456789ab")

TASK = ScanTask(
    id=TASK_ID,
    library_id="music",
    priority=TaskPriority.HIGH,
    status=TaskStatus.FAILED,
    scope=ScanScope(paths=["films", "new"], deep=True),
    created_at=datetime(2000, 1, 31, 12, tzinfo=UTC),
    started_at=datetime(2000, 1, 31, 12, 0, 1, 500, tzinfo=UTC),
    completed_at=datetime(2000, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
    progress=TaskProgress(scanned_paths=3, total_paths=10, message="films"),
    result=TaskResult(added_count=1, updated_count=2, removed_count=3, failed_count=4),
    error="OSError: disk on fire",
    reason=EndReason.ERROR,
    attempt=2,
    interruptions=1,
    holds_slot=True,
    revision=77,
)

TASK_DICT = {
    "id": "8c3ac4a1-7a3c-4d67-9f0e-0123456789ab",
    "library_id": "music",
    "priority": "high",
    "status": "failed",
    "scope": {"paths": ["films", "new"], "deep": True},
    "created_at": "2000-01-31T12:00:00Z",
    "started_at": "2000-01-31T12:00:01.000500Z",
    "completed_at": "2000-01-31T23:59:59.999999Z",
    "progress": {"scanned_paths": 3, "total_paths": 10, "message": "films"},
    "result": {"added_count": 1, "updated_count": 2, "removed_count": 3, "failed_count": 4},
    "error": "OSError: disk on fire",
    "reason": "error",
    "attempt": 2,
    "interruptions": 1,
    "holds_slot": True,
    "revision": 77,
}

STATS = QueueStats(
    pending=1,
    running=2,
    completed=3,
    failed=4,
    cancelled=5,
    stopping=6,
    workers=7,
    busy_workers=8,
    paused=True,
    oldest_pending_age=timedelta(hours=1, microseconds=1),
    submitted={SubmitOutcome.FOLLOW_UP: 9},
    ended={TaskStatus.COMPLETED: 10, TaskStatus.FAILED: 0},
    reasons={EndReason.UNAVAILABLE: 11},
)

STATS_DICT = {
    "pending": 1,
    "running": 2,
    "completed": 3,
    "failed": 4,
    "cancelled": 5,
    "stopping": 6,
    "workers": 7,
    "busy_workers": 8,
    "paused": True,
    "oldest_pending_age": 3600.000001,
    "submitted": {"follow_up": 9},
    "ended": {"completed": 10, "failed": 0},
    "reasons": {"unavailable": 11},
}

SUBMISSION = Submission(task=TASK, outcome=SubmitOutcome.UPGRADED)
SUBMISSION_DICT = {"task": TASK_DICT, "outcome": "upgraded"}

READERS: dict[str, tuple[Callable[[object], object], dict[str, Any]]] = {
    "task": (task_from_dict, TASK_DICT),
    "submission": (submission_from_dict, SUBMISSION_DICT),
    "stats": (stats_from_dict, STATS_DICT),
}


def through_json(value: object) -> Any:  # noqa: ANN401 - as json has it
    """Return what the other end gets."""
    return json.loads(json.dumps(value, allow_nan=False))


def places(data: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every field, those of objects inside included."""
    for key, value in data.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from places(value, f"{prefix}{key}.")


def changed(data: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """Return a copy with one field changed."""
    key, _, inner = place.partition(".")
    return {**data, key: changed(data[key], inner, value) if inner else value}


def without(data: dict[str, Any], place: str) -> dict[str, Any]:
    """Return a copy without one field."""
    key, _, inner = place.partition(".")
    if inner:
        return {**data, key: without(data[key], inner)}
    return {name: value for name, value in data.items() if name != key}


def is_count_by_member(place: str) -> bool:
    """Return whether a field is one that may be absent, a count of `QueueStats`."""
    return place.startswith(("submitted.", "ended.", "reasons."))


FIELDS = [
    pytest.param(name, place, id=f"{name}:{place}")
    for name, (_, data) in READERS.items()
    for place in places(data)
]


class TestForm:
    """What the dicts look like."""

    def test_a_task_has_its_attributes_as_keys(self) -> None:
        """Every attribute is there, and nothing else, in a form that is written down here."""
        assert task_to_dict(TASK) == TASK_DICT
        assert list(TASK_DICT) == list(wire.TaskDict.__annotations__)
        assert set(TASK_DICT) == {field.name for field in attrs.fields(ScanTask)}

    def test_stats_have_their_attributes_as_keys(self) -> None:
        """Durations are seconds, and counts go by the values of the members."""
        assert stats_to_dict(STATS) == STATS_DICT
        assert set(STATS_DICT) == {field.name for field in attrs.fields(QueueStats)}
        assert list(STATS_DICT) == list(wire.StatsDict.__annotations__)

    def test_a_submission_holds_its_task(self) -> None:
        """A submission is the task and the outcome."""
        assert submission_to_dict(SUBMISSION) == SUBMISSION_DICT
        assert set(SUBMISSION_DICT) == {field.name for field in attrs.fields(Submission)}

    @pytest.mark.parametrize(
        ("kind", "model"),
        [
            pytest.param(wire.ScopeDict, ScanScope, id="scope"),
            pytest.param(wire.ProgressDict, TaskProgress, id="progress"),
            pytest.param(wire.ResultDict, TaskResult, id="result"),
            pytest.param(wire.SubmissionDict, Submission, id="submission"),
        ],
    )
    def test_the_typed_dicts_have_the_attributes_of_the_values(
        self, kind: type, model: type[attrs.AttrsInstance]
    ) -> None:
        """No attribute is forgotten in a type, and none is made up."""
        assert list(kind.__annotations__) == [field.name for field in attrs.fields(model)]

    def test_what_is_not_there_is_null(self) -> None:
        """A task that waits has no start, end, result, error or reason."""
        data = task_to_dict(
            ScanTask(
                id=TASK_ID,
                library_id=7,
                priority=TaskPriority.LOW,
                status=TaskStatus.PENDING,
                created_at=TASK.created_at,
            )
        )
        absent = ("started_at", "completed_at", "result", "error", "reason")
        assert [data[key] for key in absent] == [None] * 5  # type: ignore[literal-required]
        assert data["progress"] == {"scanned_paths": 0, "total_paths": None, "message": None}
        assert data["library_id"] == 7
        assert data["priority"] == "low"

    def test_a_moment_elsewhere_is_written_in_utc(self) -> None:
        """A host may make a task with the time of another zone; it is the same moment."""
        there = timezone(timedelta(hours=5, minutes=30))
        task = attrs.evolve(TASK, created_at=datetime(2000, 1, 1, 4, tzinfo=there))
        assert task_to_dict(task)["created_at"] == "1999-12-31T22:30:00Z"

    @pytest.mark.parametrize("name", ["created_at", "started_at", "completed_at"])
    def test_a_naive_moment_is_refused(self, name: str) -> None:
        """Nobody can say when it was, so it is not guessed."""
        naive: dict[str, Any] = {name: datetime(2000, 1, 1)}  # noqa: DTZ001 - the point
        task = attrs.evolve(TASK, **naive)
        with pytest.raises(ValueError, match=rf"^{name} must be an aware datetime"):
            task_to_dict(task)

    @pytest.mark.parametrize(
        ("write", "name"),
        [
            pytest.param(task_to_dict, "task", id="task"),
            pytest.param(submission_to_dict, "submission", id="submission"),
            pytest.param(stats_to_dict, "stats", id="stats"),
            pytest.param(problem_from_error, "error", id="error"),
        ],
    )
    def test_something_else_than_the_value_is_refused(
        self, write: Callable[[Any], object], name: str
    ) -> None:
        """The error names the argument."""
        with pytest.raises(TypeError, match=f"^{name} must be a "):
            write({"id": 1})


class TestRoundTrip:
    """Nothing is lost, in either direction."""

    @given(task=tasks())
    def test_a_task_comes_back_as_it_was(self, task: ScanTask) -> None:
        """Also through JSON, and with keys that only a newer version knows."""
        data = through_json(task_to_dict(task))
        assert task_from_dict(data) == task
        assert task_to_dict(task_from_dict(data)) == data
        data["colour"] = data["progress"]["speed"] = {"later": [None]}
        assert task_from_dict(data) == task

    @given(submission=submissions())
    def test_a_submission_comes_back_as_it_was(self, submission: Submission) -> None:
        """Its task included."""
        data = through_json(submission_to_dict(submission))
        assert submission_from_dict(data) == submission
        assert submission_to_dict(submission_from_dict(data)) == data

    @given(stats=stats())
    def test_stats_come_back_as_they_were(self, stats: QueueStats) -> None:
        """The age of the oldest to the microsecond, the counts with their members."""
        data = through_json(stats_to_dict(stats))
        assert stats_from_dict(data) == stats
        assert stats_to_dict(stats_from_dict(data)) == data

    @given(moment=moments())
    def test_a_moment_is_text_that_ends_in_z(self, moment: datetime) -> None:
        """ISO 8601, with as many digits as it needs, and the same moment when read."""
        text = task_to_dict(attrs.evolve(TASK, created_at=moment))["created_at"]
        assert text.endswith("Z")
        assert ("." in text) == bool(moment.microsecond)
        assert datetime.fromisoformat(text) == moment

    def test_types_come_back_too(self) -> None:
        """Enumerations are members again, paths a tuple, ids UUIDs, moments in UTC."""
        task = task_from_dict(through_json(TASK_DICT))
        assert task == TASK
        assert task.status is TaskStatus.FAILED
        assert task.priority is TaskPriority.HIGH
        assert task.reason is EndReason.ERROR
        assert type(task.scope.paths) is tuple
        assert task.created_at.tzinfo is UTC

    def test_a_moment_with_an_offset_is_read_as_utc(self) -> None:
        """Another writer may say the same moment in another way."""
        task = task_from_dict(changed(TASK_DICT, "created_at", "2000-01-31T13:00:00+01:00"))
        assert task.created_at == TASK.created_at
        assert task.created_at.tzinfo is UTC

    def test_an_id_in_upper_case_is_the_same_id(self) -> None:
        """Hexadecimal digits have no case."""
        data = changed(TASK_DICT, "id", str(TASK_ID).upper())
        assert task_from_dict(data).id == TASK_ID

    def test_a_count_of_a_member_that_is_not_known_is_ignored(self) -> None:
        """An older reader understands a newer writer."""
        assert stats_from_dict(changed(STATS_DICT, "reasons.bored", 1)) == STATS

    def test_a_number_of_whole_seconds_is_a_duration(self) -> None:
        """JSON knows one kind of number, and other writers say 90, not 90.0."""
        stats = stats_from_dict(changed(STATS_DICT, "oldest_pending_age", 90))
        assert stats.oldest_pending_age == timedelta(seconds=90)


BAD_VALUES = [
    pytest.param("task", "id", 5, "a str", id="id-number"),
    pytest.param("task", "id", "nonsense", "a UUID", id="id-nonsense"),
    pytest.param("task", "id", "{8c3ac4a1-7a3c-4d67-9f0e-0123456789ab}", "a UUID", id="id-braces"),
    pytest.param("task", "id", "8_c" + "3" * 29, "a UUID", id="id-underscore"),
    pytest.param("task", "library_id", True, "an int or a str", id="library-bool"),
    pytest.param("task", "library_id", None, "an int or a str", id="library-null"),
    pytest.param("task", "library_id", 1.0, "an int or a str", id="library-float"),
    pytest.param("task", "library_id", "", "a str of 1 to 255 characters", id="library-empty"),
    pytest.param("task", "library_id", "\ud800", "valid Unicode", id="library-surrogate"),
    pytest.param("task", "library_id", 2**63, "an int within 64 bits", id="library-huge"),
    pytest.param("task", "priority", 1, "a str", id="priority-number"),
    pytest.param("task", "priority", "HIGH", "one of low, normal, high", id="priority-upper"),
    pytest.param("task", "status", "PENDING", "one of pending, running", id="status-upper"),
    pytest.param("task", "status", ["pending"], "a str", id="status-list"),
    pytest.param("task", "scope", [], "an object", id="scope-list"),
    pytest.param("task", "scope.paths", "films", "a list", id="paths-text"),
    pytest.param("task", "scope.paths", [1], "relative POSIX paths", id="paths-number"),
    pytest.param("task", "scope.paths", ["/etc"], "relative to the library", id="paths-absolute"),
    pytest.param("task", "scope.paths", ["a/../.."], "inside the library", id="paths-dots"),
    pytest.param("task", "scope.deep", 1, "a bool", id="deep-number"),
    pytest.param("task", "created_at", None, "a str", id="created-null"),
    pytest.param("task", "created_at", 949320000, "a str", id="created-number"),
    pytest.param("task", "created_at", "yesterday", "a moment in ISO 8601", id="created-word"),
    pytest.param("task", "created_at", "2000-01-31", "an aware datetime", id="created-date"),
    pytest.param("task", "started_at", "2000-01-31T12:00:00", "an aware datetime", id="naive"),
    pytest.param(
        "task", "completed_at", "0001-01-01T00:00:00+14:00", "a moment in the years", id="before-1"
    ),
    pytest.param("task", "progress", None, "an object", id="progress-null"),
    pytest.param("task", "progress.scanned_paths", True, "an int", id="scanned-bool"),
    pytest.param("task", "progress.scanned_paths", 3.0, "an int", id="scanned-float"),
    pytest.param("task", "progress.scanned_paths", -1, "an int of at least 0", id="negative"),
    pytest.param("task", "progress.total_paths", "10", "an int", id="total-text"),
    pytest.param("task", "progress.total_paths", 10**5000, "an int of at least 0", id="enormous"),
    pytest.param("task", "progress.message", 0, "a str", id="message-number"),
    pytest.param("task", "result", [], "an object", id="result-list"),
    pytest.param("task", "result.added_count", None, "an int", id="added-null"),
    pytest.param("task", "error", False, "a str", id="error-bool"),
    pytest.param("task", "error", "\udcff", "valid Unicode", id="error-surrogate"),
    pytest.param("task", "reason", "tired", "one of requested, shutdown", id="reason-unknown"),
    pytest.param("task", "attempt", "1", "an int", id="attempt-text"),
    pytest.param("task", "interruptions", -1, "an int of at least 0", id="interruptions-negative"),
    pytest.param("task", "holds_slot", "no", "a bool", id="holds-slot-text"),
    pytest.param("task", "revision", 2**63, "an int of at least 0", id="revision-huge"),
    pytest.param("submission", "outcome", "done", "one of created, joined", id="outcome-unknown"),
    pytest.param("submission", "task", [], "an object", id="submission-task-list"),
    pytest.param("submission", "task.progress.scanned_paths", "3", "an int", id="deep-inside"),
    pytest.param("stats", "paused", 0, "a bool", id="paused-number"),
    pytest.param("stats", "pending", False, "an int", id="pending-bool"),
    pytest.param("stats", "oldest_pending_age", "PT1H", "a number of seconds", id="age-text"),
    pytest.param("stats", "oldest_pending_age", -1.0, "a number of seconds", id="age-negative"),
    pytest.param("stats", "oldest_pending_age", float("nan"), "a number of seconds", id="age-nan"),
    pytest.param("stats", "oldest_pending_age", float("inf"), "a number of seconds", id="age-inf"),
    pytest.param("stats", "oldest_pending_age", 1e300, "a number of seconds", id="age-aeons"),
    pytest.param("stats", "oldest_pending_age", 10**400, "a number of seconds", id="age-int"),
    pytest.param("stats", "ended", 3, "an object", id="ended-number"),
    pytest.param("stats", "ended.failed", "0", "an int", id="ended-failed-text"),
]


class TestMalformed:
    """A dict that is not right is a `ValueError` that names the field."""

    @pytest.mark.parametrize(("name", "place", "value", "expected"), BAD_VALUES)
    def test_a_bad_value_is_named(
        self, name: str, place: str, value: object, expected: str
    ) -> None:
        """By the dotted path of the field, with what it should have been."""
        read, data = READERS[name]
        with pytest.raises(ValueError, match=f"^{re.escape(place)} must be {expected}"):
            read(changed(data, place, value))

    @pytest.mark.parametrize(("name", "place"), FIELDS)
    def test_a_missing_field_is_named(self, name: str, place: str) -> None:
        """Every field must be there, null or not; only counts by member may be absent."""
        read, data = READERS[name]
        bad = without(data, place)
        if name == "stats" and is_count_by_member(place):
            read(bad)
        else:
            with pytest.raises(ValueError, match=f"^{re.escape(place)} is missing$"):
                read(bad)

    @pytest.mark.parametrize(("name", "place"), FIELDS)
    @given(value=JSON_VALUES)
    def test_any_value_in_any_field_is_taken_or_named(
        self, name: str, place: str, value: object
    ) -> None:
        """Nothing but a `ValueError` that begins with the field, or with one inside it."""
        read, data = READERS[name]
        try:
            read(changed(data, place, value))
        except ValueError as error:
            assert str(error).startswith(place)  # noqa: PT017 - most values are refused, not all

    @pytest.mark.parametrize("name", READERS)
    @given(value=JSON_VALUES)
    def test_any_value_instead_of_the_dict_is_a_value_error(self, name: str, value: object) -> None:
        """None of them is one of ours, and nothing else than a `ValueError` escapes."""
        with pytest.raises(ValueError, match=r" (must be|is missing)"):
            READERS[name][0](value)

    @pytest.mark.parametrize("name", READERS)
    @pytest.mark.parametrize(
        "value", [None, [], "x", 1, object()], ids=["null", "list", "text", "number", "object"]
    )
    def test_what_is_not_a_dict_is_refused_by_name(self, name: str, value: object) -> None:
        """The message says what was to be read."""
        with pytest.raises(ValueError, match=f"^{name} must be an object, not "):
            READERS[name][0](value)

    @pytest.mark.parametrize("place", ["id", "scope.paths", "progress", "progress.message"])
    def test_a_value_nested_beyond_all_bounds_is_refused(self, place: str) -> None:
        """Not even the recursion limit gets out of there."""
        nested: list[object] = []
        for _ in range(100_000):
            nested = [nested]
        with pytest.raises(ValueError, match=f"^{re.escape(place)} must be "):
            task_from_dict(changed(TASK_DICT, place, nested))
        while nested:  # taken apart from outside, since freeing it would recurse as well
            nested = nested.pop()  # type: ignore[assignment]


class Strange(Exception):  # noqa: N818 - strange it is
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError


class StrangeValueError(Strange, ValueError):
    """A bad argument that cannot be shown."""


class TeapotError(ScanQueueError):
    """An error that a host made."""

    http_status = 418


PROBLEMS = [
    pytest.param(
        TaskNotFoundError(TASK_ID),
        {
            "type": "urn:scanqueue:task-not-found",
            "title": "Task not found",
            "status": 404,
            "detail": f"there is no task {TASK_ID}: it never existed, or its history was pruned",
            "task_id": str(TASK_ID),
        },
        id="not-found",
    ),
    pytest.param(
        TaskNotCancellableError(TASK),
        {
            "type": "urn:scanqueue:task-not-cancellable",
            "title": "Task has ended already",
            "status": 409,
            "detail": f"task {TASK_ID} cannot be cancelled: it is failed already",
            "task": TASK_DICT,
        },
        id="not-cancellable",
    ),
    pytest.param(
        QueueFullError(50),
        {
            "type": "urn:scanqueue:queue-full",
            "title": "Queue is full",
            "status": 429,
            "detail": "the queue is full: it takes 50 pending tasks; try again later",
            "max_pending": 50,
        },
        id="full",
    ),
    pytest.param(
        QueueClosedError("the queue was shut down"),
        {
            "type": "urn:scanqueue:queue-closed",
            "title": "Queue is shut down",
            "status": 503,
            "detail": "the queue was shut down",
        },
        id="closed",
    ),
    pytest.param(
        LibraryUnavailable("unplugged"),
        {
            "type": "urn:scanqueue:library-unavailable",
            "title": "Library is unavailable",
            "status": 503,
            "detail": "unplugged",
        },
        id="unavailable",
    ),
    pytest.param(
        ScanCancelled(),
        {"type": "urn:scanqueue:scan-cancelled", "title": "Scan was cancelled", "status": 409},
        id="cancelled",
    ),
    pytest.param(
        ScanQueueError("hm"),
        {
            "type": "urn:scanqueue:scan-queue-error",
            "title": "Scan queue failed",
            "status": 500,
            "detail": "hm",
        },
        id="base",
    ),
    pytest.param(
        TeapotError("short and stout"),
        {
            "type": "urn:scanqueue:scan-queue-error",
            "title": "Scan queue failed",
            "status": 418,
            "detail": "short and stout",
        },
        id="of-a-host",
    ),
    pytest.param(
        ValueError("limit must be an int of at least 0, not -1"),
        {
            "type": "urn:scanqueue:invalid-argument",
            "title": "Invalid argument",
            "status": 400,
            "detail": "limit must be an int of at least 0, not -1",
        },
        id="value",
    ),
    pytest.param(
        TypeError("caf\udce9\n"),
        {
            "type": "urn:scanqueue:invalid-argument",
            "title": "Invalid argument",
            "status": 400,
            "detail": "caf\\xe9\\n",
        },
        id="type",
    ),
    pytest.param(
        StrangeValueError(),
        {"type": "urn:scanqueue:invalid-argument", "title": "Invalid argument", "status": 400},
        id="strange-value",
    ),
    pytest.param(
        TimeoutError("secret"),
        {"type": "urn:scanqueue:timeout", "title": "Not done in time", "status": 504},
        id="timeout",
    ),
    *(
        pytest.param(
            error,
            {"type": "urn:scanqueue:internal-error", "title": "Internal error", "status": 500},
            id=type(error).__name__,
        )
        for error in (KeyError("secret"), OSError("secret"), Strange(), KeyboardInterrupt())
    ),
    *(
        pytest.param(
            kind("/srv/secret/queue.db"),
            {"type": f"urn:scanqueue:{slug}", "title": title, "status": status},
            id=slug,
        )
        for kind, slug, title, status in (
            (StoreError, "store-error", "Store failed", 503),
            (StoreBusyError, "store-busy", "Store is busy", 503),
            (StoreFullError, "store-full", "Store is full", 507),
            (StoreCorruptError, "store-corrupt", "Store cannot be read", 500),
            (StoreReadOnlyError, "store-read-only", "Store is read-only", 500),
            (StoreVersionError, "store-version", "Store has another version", 500),
        )
    ),
]


class TestProblems:
    """Errors as problem details."""

    @pytest.mark.parametrize(("error", "expected"), PROBLEMS)
    def test_an_error_has_its_problem(
        self, error: BaseException, expected: dict[str, object]
    ) -> None:
        """Type, title and status always, the message where it is for the one who asked."""
        problem = problem_from_error(error)
        assert problem == expected
        assert through_json(problem) == expected

    @given(message=st.text(st.characters(exclude_categories=[])))
    def test_whatever_a_message_says_it_can_be_sent(self, message: str) -> None:
        """Lone surrogates and control characters are shown escaped."""
        detail = problem_from_error(ValueError(message)).get("detail", "")
        assert detail.encode().decode() == detail
        assert len(detail) <= 4096
