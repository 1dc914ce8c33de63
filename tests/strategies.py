"""What the tests draw: values of the library, valid and odd."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

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

MAX_INT = 2**63 - 1
MIN_INT = -(2**63)

ODD_LIBRARY_IDS: tuple[LibraryId, ...] = (
    *(0, -1, 1, MAX_INT, MIN_INT),
    *("1", "0", "None", " ", "/", "..", "\0", "é", "e\u0301", "\U0001f4bf" * 255, "x" * 255),
)

COUNTS: SearchStrategy[int] = st.integers(0, MAX_INT)
UNICODE: SearchStrategy[str] = st.text(st.characters(exclude_categories=["Cs"]))
ANY_TEXT: SearchStrategy[str] = st.text(st.characters(exclude_categories=[]))
"""Lone surrogates too, as Python has them in file names that are not UTF-8."""

PRIORITIES: SearchStrategy[TaskPriority] = st.sampled_from(TaskPriority)
UUIDS: SearchStrategy[UUID] = st.uuids()

JSON_VALUES: SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(ANY_TEXT, values, max_size=3),
    max_leaves=5,
)


def library_ids() -> SearchStrategy[LibraryId]:
    """Draw every kind of id that a library may have."""
    texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)
    return st.sampled_from(ODD_LIBRARY_IDS) | st.integers(MIN_INT, MAX_INT) | texts


def moments() -> SearchStrategy[datetime]:
    """Draw moments in UTC, to the microsecond."""
    return st.datetimes(timezones=st.just(UTC))


def durations() -> SearchStrategy[timedelta]:
    """Draw durations of up to 200 years, to the microsecond."""
    return st.timedeltas(timedelta(0), timedelta(days=200 * 365))


def paths() -> SearchStrategy[str]:
    """Draw relative paths, often one below another, and not always in normal form."""
    parts = st.sampled_from(["a", "b", "a b", "é", "-", "."]) | st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=3
    ).filter(lambda part: part != "..")
    return st.lists(parts, min_size=1, max_size=4).map("/".join)


def scopes() -> SearchStrategy[ScanScope]:
    """Draw scopes: whole libraries and parts of them."""
    return st.builds(ScanScope, paths=st.lists(paths(), max_size=4), deep=st.booleans())


def progresses() -> SearchStrategy[TaskProgress]:
    """Draw progress, with and without a total and a message."""
    return st.builds(
        TaskProgress,
        scanned_paths=COUNTS,
        total_paths=st.none() | COUNTS,
        message=st.none() | ANY_TEXT,
    )


def results() -> SearchStrategy[TaskResult]:
    """Draw results."""
    return st.builds(
        TaskResult,
        added_count=COUNTS,
        updated_count=COUNTS,
        removed_count=COUNTS,
        failed_count=COUNTS,
    )


def scan_tasks() -> SearchStrategy[ScanTask]:
    """Draw tasks whose every field is possible, be it that the whole may not be."""
    return st.builds(
        ScanTask,
        id=UUIDS,
        library_id=library_ids(),
        priority=PRIORITIES,
        status=st.sampled_from(TaskStatus),
        created_at=moments(),
        scope=scopes(),
        started_at=st.none() | moments(),
        completed_at=st.none() | moments(),
        progress=progresses(),
        result=st.none() | results(),
        error=st.none() | UNICODE,
        reason=st.none() | st.sampled_from(EndReason),
        attempt=COUNTS,
        interruptions=COUNTS,
        holds_slot=st.booleans(),
        revision=COUNTS,
    )


def submissions() -> SearchStrategy[Submission]:
    """Draw submissions."""
    return st.builds(Submission, task=scan_tasks(), outcome=st.sampled_from(SubmitOutcome))


def queue_stats() -> SearchStrategy[QueueStats]:
    """Draw statistics."""
    return st.builds(
        QueueStats,
        pending=COUNTS,
        running=COUNTS,
        completed=COUNTS,
        failed=COUNTS,
        cancelled=COUNTS,
        stopping=COUNTS,
        workers=COUNTS,
        busy_workers=COUNTS,
        paused=st.booleans(),
        oldest_pending_age=st.none() | durations(),
        submitted=st.dictionaries(st.sampled_from(SubmitOutcome), COUNTS),
        ended=st.dictionaries(st.sampled_from(TaskStatus), COUNTS),
        reasons=st.dictionaries(st.sampled_from(EndReason), COUNTS),
    )
