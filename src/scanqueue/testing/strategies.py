"""Hypothesis strategies: the values of the library, as a real queue can show them.

>>> from hypothesis import given
>>> from scanqueue import TaskStatus
>>> from scanqueue.testing.strategies import tasks
>>> from scanqueue.wire import task_from_dict, task_to_dict
>>> @given(task=tasks(status=TaskStatus.FAILED))
... def test_the_page_of_a_failed_task_shows_why(task):
...     assert task.reason is not None
>>> test_the_page_of_a_failed_task_shows_why()

Odd values are among them, and not rarely: markup, quotes, texts from right to left, the longest
texts, scopes of hundreds of paths. They are what breaks routes, pages and clients. It is the only
module of the library that imports hypothesis; ``pip install scanqueue[testing]`` installs it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from scanqueue._scope import MAX_SCOPE_PATHS, ScanScope
from scanqueue._text import ERROR_LIMIT, MESSAGE_LIMIT
from scanqueue._validate import (
    MAX_INT,
    MAX_LIBRARY_ID_LENGTH,
    MIN_INT,
    check_bool,
    check_instance,
    check_library_id,
)
from scanqueue.models import (
    NO_PROGRESS,
    EndReason,
    LibraryId,
    QueueStats,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing._odd_texts import MARKUP, ODD_PARTS, ODD_TEXTS, RIGHT_TO_LEFT

__all__ = [
    "ODD_LIBRARY_IDS",
    "library_ids",
    "moments",
    "paths",
    "priorities",
    "progress",
    "results",
    "scopes",
    "stats",
    "submissions",
    "tasks",
]

T = TypeVar("T")

ODD_LIBRARY_IDS: tuple[LibraryId, ...] = (
    *(0, 1, -1, 2**53 + 1, MAX_INT, MIN_INT),  # JavaScript rounds beyond 2**53
    *("0", "1", "-1", "01", "1.0", "None", "null", "true"),  # look like something else
    *(" ", "  ", "\t", "\n", "\r\n", "\0", "\u200b", "\ufeff"),  # look empty
    *(".", "..", "/", "//", "../..", "a/b", "/a", "a/", "\\", "C:\\a", "~"),
    *("%", "%2F", "%2e%2e", "%00", "a?b=c", "a#b", "a&b", "a;b", "a+b", "a:b", "*", "@"),
    *("<script>alert(1)</script>", '"', "'", "&lt;", "{{7*7}}", "${a}", "%s", "{0}", "`a`"),
    *("\x1b[31m", "\x7f", "\x85", "\u2028"),
    *("\u05d0\u05d1", "\u202eabc", "\u0627\u0644"),  # from right to left
    *("é", "e\u0301", "\U0001f4bf", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "İ", "ß"),
    *("x" * MAX_LIBRARY_ID_LENGTH, "\U0001f4bf" * MAX_LIBRARY_ID_LENGTH),
)
"""Ids of libraries that have broken something somewhere; each is one that the queue takes."""

_COUNTS = st.sampled_from([0, 1, MAX_INT]) | st.integers(0, MAX_INT)
_POSITIVE = st.sampled_from([1, MAX_INT]) | st.integers(1, MAX_INT)
_STORABLE = st.characters(exclude_categories=["Cs", "Cc"])
_MARKUP = st.sampled_from(MARKUP)

OneOf: TypeAlias = T | SearchStrategy[T] | None
"""A value, what draws one, or None for all that there are."""


# --- parts of tasks -----------------------------------------------------------------------------


def library_ids() -> SearchStrategy[LibraryId]:
    """Draw every kind of id that a library may have, `ODD_LIBRARY_IDS` and markup among them."""
    texts = st.text(
        st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_LIBRARY_ID_LENGTH
    )
    return st.sampled_from(ODD_LIBRARY_IDS) | st.integers(MIN_INT, MAX_INT) | texts | _MARKUP


def moments() -> SearchStrategy[datetime]:
    """Draw moments in UTC, to the microsecond, from the first of the year 1 to the last of 9999."""
    bounds = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    return st.sampled_from(bounds) | st.datetimes(timezones=st.just(UTC))


def paths() -> SearchStrategy[str]:
    """Draw relative paths for a `ScanScope`, often one below another, not all in normal form.

    Markup, odd names and names of 255 characters are among their parts.
    """
    plain = st.sampled_from(["a", "b", "a b", "é", "-", "."])
    texts = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=3
    ).filter(lambda part: part != "..")
    odd = st.sampled_from(ODD_PARTS)
    parts = st.one_of(plain, plain, texts, odd)  # twice, so that they meet
    return st.lists(parts, min_size=1, max_size=4).map("/".join)


def priorities() -> SearchStrategy[TaskPriority]:
    """Draw priorities."""
    return st.sampled_from(TaskPriority)


def scopes() -> SearchStrategy[ScanScope]:
    """Draw scopes: whole libraries, parts of them, and now and then up to 1,000 paths at a time."""
    few = st.lists(paths(), max_size=4)
    many = st.builds(_many_paths, st.sampled_from(_LONG_LISTS), st.sampled_from("ab<é"))
    some = st.one_of(few, few, few, few, many)  # most of the time, since many take their time
    return st.builds(ScanScope, paths=some, deep=st.booleans())


_LONG_LISTS = ((5, 1), (60, 200), (300, 30), (MAX_SCOPE_PATHS, 1))
"""How many paths, and how long the name of their folder is: 15,000 characters at most in all, since
hypothesis warns of examples from 30,000 on."""


def _many_paths(size: tuple[int, int], character: str) -> list[str]:
    count, length = size
    return [f"{character * length}/{number:04}" for number in range(count)]


def progress() -> SearchStrategy[TaskProgress]:
    """Draw progress: with and without a total, beyond it, with messages up to the longest."""
    messages = _texts(st.text(_STORABLE, max_size=20), MESSAGE_LIMIT)
    return st.builds(
        TaskProgress,
        scanned_paths=_COUNTS,
        total_paths=st.none() | _COUNTS,
        message=st.none() | messages,
    )


def _texts(plain: SearchStrategy[str], limit: int) -> SearchStrategy[str]:
    """Draw texts, of which four in five are odd.

    Args:
        plain: What draws the others.
        limit: How long the longest are.
    """
    longest = st.sampled_from("x<é\U0001f4bf").map(lambda one: one * limit)
    odd = (_MARKUP, st.sampled_from(RIGHT_TO_LEFT), st.sampled_from(ODD_TEXTS))
    return st.one_of(plain, longest, *odd)


def results() -> SearchStrategy[TaskResult]:
    """Draw results."""
    return st.builds(
        TaskResult,
        added_count=_COUNTS,
        updated_count=_COUNTS,
        removed_count=_COUNTS,
        failed_count=_COUNTS,
    )


def _errors() -> SearchStrategy[str]:
    return _texts(st.text(_STORABLE, min_size=1, max_size=40), ERROR_LIMIT)


# --- tasks --------------------------------------------------------------------------------------


@attrs.frozen
class _Fate:
    """What may have become of a task, as far as its users can tell."""

    status: TaskStatus
    reason: EndReason | None = None
    holds_slot: bool = False
    has_started: bool = False
    was_sent_back: bool = False
    """A shutdown took its start back; its scanner has returned since, and not for nothing."""


_FATES = (
    _Fate(TaskStatus.PENDING),
    _Fate(TaskStatus.PENDING, holds_slot=True),  # a shutdown sent it back; its scan still runs
    _Fate(TaskStatus.RUNNING, holds_slot=True, has_started=True),
    _Fate(TaskStatus.COMPLETED, has_started=True),
    *(
        _Fate(TaskStatus.FAILED, reason, has_started=True)
        for reason in (EndReason.ERROR, EndReason.UNAVAILABLE, EndReason.INTERRUPTED)
    ),
    *(
        _Fate(TaskStatus.CANCELLED, reason, holds_slot, has_started)
        for reason in (EndReason.REQUESTED, EndReason.SHUTDOWN)
        for holds_slot in (False, True)
        for has_started in (False, True)
        # One that was sent back, and then cancelled, is the only one without a start to stop.
        if has_started or not holds_slot or reason is EndReason.REQUESTED
    ),
    _Fate(TaskStatus.CANCELLED, EndReason.REQUESTED, was_sent_back=True),
)


def tasks(
    *,
    library_id: OneOf[LibraryId] = None,
    priority: OneOf[TaskPriority] = None,
    scope: OneOf[ScanScope] = None,
    status: TaskStatus | None = None,
    reason: EndReason | None = None,
    holds_slot: bool | None = None,
) -> SearchStrategy[ScanTask]:
    """Draw tasks in every state that a queue can show, each consistent in itself.

    A running one has started and holds its slot, a failed one has an error and a reason, and so on.
    Moments need not be in order, since somebody may have set the wall clock back; `wait_time` and
    `run_time` know that.

    Args:
        library_id: A library, or what draws one.
        priority: A priority, or what draws one.
        scope: A scope, or what draws one.
        status: Tasks of this status only.
        reason: Tasks that ended for this reason only.
        holds_slot: Only tasks with a scanner at work, or only those without.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `library_id` is no possible id, or no task is in such a state.
    """
    if status is not None:
        check_instance("status", status, TaskStatus)
    if reason is not None:
        check_instance("reason", reason, EndReason)
    if holds_slot is not None:
        check_bool("holds_slot", holds_slot)
    fates = [
        fate
        for fate in _FATES
        if status in (None, fate.status)
        and reason in (None, fate.reason)
        and holds_slot in (None, fate.holds_slot)
    ]
    if not fates:
        message = f"no task has {status=!s}, {reason=!s} and {holds_slot=}"
        raise ValueError(message)
    fixed: dict[str, SearchStrategy[object]] = {
        "library_id": _one_of(library_id, library_ids(), check_library_id),
        "priority": _one_of(priority, priorities(), _is("priority", TaskPriority)),
        "scope": _one_of(scope, scopes(), _is("scope", ScanScope)),
    }
    return st.one_of([_tasks_of(fate, fixed) for fate in fates])


def _one_of(
    given: OneOf[T], default: SearchStrategy[T], check: Callable[[T], T]
) -> SearchStrategy[T]:
    if given is None:
        return default
    return given if isinstance(given, SearchStrategy) else st.just(check(given))


def _is(name: str, kind: type[T]) -> Callable[[T], T]:
    def check(value: T) -> T:
        check_instance(name, value, kind)
        return value

    return check


def _tasks_of(fate: _Fate, fixed: dict[str, SearchStrategy[object]]) -> SearchStrategy[ScanTask]:
    status, has_started = fate.status, fate.has_started
    never, nothing = st.none(), st.just(NO_PROGRESS)
    has_run = has_started or fate.holds_slot or fate.was_sent_back
    is_interrupted = fate.reason is EndReason.INTERRUPTED
    found: SearchStrategy[TaskResult | None] = never
    if status is TaskStatus.COMPLETED or fate.was_sent_back:
        found = results()
    elif status is TaskStatus.CANCELLED and has_started and not fate.holds_slot:
        found = st.none() | results()  # what its scanner returned all the same
    error: SearchStrategy[str | None] = never
    if status is TaskStatus.FAILED:
        error = _errors()
    elif fate.reason is EndReason.SHUTDOWN and has_started:
        error = st.none() | _errors()  # which task replaces it
    return st.builds(
        ScanTask,
        **fixed,
        id=st.uuids(),
        status=st.just(status),
        created_at=moments(),
        started_at=moments() if has_started else never,
        completed_at=moments() if status.is_ended else never,
        progress=progress() if has_started else nothing,
        result=found,
        error=error,
        reason=st.just(fate.reason),
        attempt=_POSITIVE if has_run else _COUNTS,
        interruptions=_POSITIVE if is_interrupted else _COUNTS,
        holds_slot=st.just(fate.holds_slot),
        revision=_POSITIVE,
    )


# --- what submissions and stats give ------------------------------------------------------------


def submissions(
    *,
    outcome: SubmitOutcome | None = None,
    library_id: OneOf[LibraryId] = None,
) -> SearchStrategy[Submission]:
    """Draw submissions: the outcome, and a task in a state that it can have then.

    Args:
        outcome: Submissions with this outcome only.
        library_id: A library, or what draws one.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `library_id` is no possible id.
    """
    if outcome is not None:
        check_instance("outcome", outcome, SubmitOutcome)
    pending = tasks(status=TaskStatus.PENDING, library_id=library_id)
    new = tasks(status=TaskStatus.PENDING, holds_slot=False, library_id=library_id).map(
        lambda task: attrs.evolve(task, attempt=0, interruptions=0)
    )
    covering = {
        SubmitOutcome.CREATED: new,
        SubmitOutcome.JOINED: pending | tasks(status=TaskStatus.RUNNING, library_id=library_id),
        SubmitOutcome.UPGRADED: pending,
        SubmitOutcome.FOLLOW_UP: new,
    }
    return st.one_of(
        [
            st.builds(Submission, task=task, outcome=st.just(kind))
            for kind, task in covering.items()
            if outcome in (None, kind)
        ]
    )


def stats() -> SearchStrategy[QueueStats]:
    """Draw statistics that add up.

    There are no more stopping tasks than cancelled ones and no more busy workers than workers, an
    age only where something is pending, and as many reasons as tasks that ended without completing.
    """
    return st.builds(
        QueueStats,
        pending=_COUNTS,
        running=_COUNTS,
        completed=_COUNTS,
        failed=_COUNTS,
        cancelled=_COUNTS,
        stopping=_COUNTS,
        workers=_COUNTS,
        busy_workers=_COUNTS,
        paused=st.booleans(),
        oldest_pending_age=st.timedeltas(timedelta(0), timedelta(days=200 * 365)),
        submitted=st.fixed_dictionaries(dict.fromkeys(SubmitOutcome, _COUNTS)),
        ended=st.fixed_dictionaries({TaskStatus.COMPLETED: _COUNTS}),
        reasons=st.fixed_dictionaries(dict.fromkeys(EndReason, st.integers(0, MAX_INT // 3))),
    ).map(_add_up)


def _add_up(drawn: QueueStats) -> QueueStats:
    by_reason = drawn.reasons
    cancelled = by_reason[EndReason.REQUESTED] + by_reason[EndReason.SHUTDOWN]
    failed = sum(by_reason.values()) - cancelled
    return attrs.evolve(
        drawn,
        stopping=min(drawn.stopping, drawn.cancelled),
        busy_workers=min(drawn.busy_workers, drawn.workers),
        oldest_pending_age=drawn.oldest_pending_age if drawn.pending else None,
        ended={**drawn.ended, TaskStatus.FAILED: failed, TaskStatus.CANCELLED: cancelled},
    )
