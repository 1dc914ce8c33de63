"""The strategies draw what a queue can show, all of it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from scanqueue import (
    EndReason,
    LibraryId,
    QueueStats,
    ScanQueueService,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.models import NO_PROGRESS
from scanqueue.testing import FakeScanner, strategies
from scanqueue.wire import (
    stats_from_dict,
    stats_to_dict,
    submission_from_dict,
    submission_to_dict,
    task_from_dict,
    task_to_dict,
)
from tests.task_invariants import check_task

MAX_INT = 2**63 - 1


def through_json(data: Mapping[str, Any]) -> object:
    """Return what the other end gets."""
    return json.loads(json.dumps(data, allow_nan=False))


@given(task=strategies.tasks())
def test_a_task_is_consistent_and_has_a_wire_form(task: ScanTask) -> None:
    """Whatever state it is in."""
    check_task(task)
    assert task_from_dict(through_json(task_to_dict(task))) == task


@given(submission=strategies.submissions())
def test_a_submission_is_consistent_and_has_a_wire_form(submission: Submission) -> None:
    """A new task is pending and has never run; whoever joins, joins an active one."""
    task = submission.task
    check_task(task)
    assert task.is_active
    if submission.outcome in {SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP}:
        assert (task.attempt, task.interruptions, task.holds_slot) == (0, 0, False)
    if submission.outcome is not SubmitOutcome.JOINED:
        assert task.status is TaskStatus.PENDING
    assert submission_from_dict(through_json(submission_to_dict(submission))) == submission


@given(stats=strategies.stats())
def test_stats_add_up_and_have_a_wire_form(stats: QueueStats) -> None:
    """Those of one moment."""
    assert stats.stopping <= stats.cancelled
    assert stats.busy_workers <= stats.workers
    assert stats.pending or stats.oldest_pending_age is None
    failed = {EndReason.ERROR, EndReason.UNAVAILABLE, EndReason.INTERRUPTED}
    by_reason = stats.reasons
    assert stats.ended[TaskStatus.FAILED] == sum(by_reason[reason] for reason in failed)
    assert stats.ended[TaskStatus.CANCELLED] == sum(
        by_reason[reason] for reason in EndReason if reason not in failed
    )
    assert stats_from_dict(through_json(stats_to_dict(stats))) == stats


def test_stats_have_the_keys_of_a_queue() -> None:
    """Each member that a real one counts, and no other."""
    queue = ScanQueueService(FakeScanner())
    real = queue.stats()
    drawn = find(strategies.stats(), lambda _: True)

    assert drawn.submitted.keys() == real.submitted.keys()
    assert drawn.ended.keys() == real.ended.keys()
    assert drawn.reasons.keys() == real.reasons.keys()


@settings(max_examples=20)
@given(
    library_id=strategies.library_ids(),
    priority=strategies.priorities(),
    scope=strategies.scopes(),
    progress=strategies.progress(),
    result=strategies.results(),
)
def test_a_queue_takes_what_is_drawn(
    library_id: LibraryId,
    priority: TaskPriority,
    scope: ScanScope,
    progress: TaskProgress,
    result: TaskResult,
) -> None:
    """And shows it as it was."""
    scanner = FakeScanner()
    counts = (progress.scanned_paths, progress.total_paths, progress.message)
    scanner.on().reports(*counts).returns(result)
    queue = ScanQueueService(scanner)
    task_id = queue.submit_task(library_id, priority, scope=scope)
    queue.run_pending()

    task = queue.get_task(task_id)
    assert task is not None
    check_task(task)
    assert (task.library_id, task.priority, task.scope) == (library_id, priority, scope)
    assert (task.progress, task.result) == (progress, result)


@pytest.mark.parametrize("library_id", strategies.ODD_LIBRARY_IDS, ids=ascii)
def test_each_odd_id_is_one_that_the_queue_takes(library_id: LibraryId) -> None:
    """It is odd, not wrong."""
    queue = ScanQueueService(FakeScanner())
    submission = queue.submit(library_id)

    assert submission.task.library_id == library_id
    assert type(submission.task.library_id) is type(library_id)


def test_odd_ids_are_all_different() -> None:
    """None is there twice, and some are equal but for their type when shown."""
    odd = strategies.ODD_LIBRARY_IDS
    assert len(set(odd)) == len(odd)
    assert {1, "1", "..", "x" * 255, MAX_INT, -(2**63)} <= set(odd)


class AllSeen(Exception):  # noqa: N818 - it is none
    """There is no need to look on."""


def _has_status(status: TaskStatus, task: ScanTask) -> bool:
    return task.status is status


def _has_reason(reason: EndReason, task: ScanTask) -> bool:
    return task.reason is reason


STATES: dict[str, Callable[[ScanTask], bool]] = {
    **{status.value: partial(_has_status, status) for status in TaskStatus},
    **{reason.value: partial(_has_reason, reason) for reason in EndReason},
    "stopping": lambda task: task.is_stopping,
    "sent back, and still at work": lambda task: (
        task.status is TaskStatus.PENDING and task.holds_slot
    ),
    "sent back, cancelled, and still at work": lambda task: (
        task.is_stopping and task.started_at is None
    ),
    "sent back, cancelled, with a result": lambda task: (
        task.result is not None and task.started_at is None
    ),
    "interrupted before": lambda task: task.interruptions > 0 and task.is_active,
    "inherited interruptions": lambda task: task.interruptions > 0 and task.attempt == 0,
    "cancelled before it began": lambda task: (
        task.status is TaskStatus.CANCELLED and task.attempt == 0
    ),
    "cancelled, with a late result": lambda task: (
        task.status is TaskStatus.CANCELLED and task.result is not None
    ),
    "shut down, with a replacement": lambda task: (
        task.reason is EndReason.SHUTDOWN and task.error is not None
    ),
    "beyond its total": lambda task: (
        0 < (task.progress.total_paths or 0) < task.progress.scanned_paths
    ),
    "longest message": lambda task: len(task.progress.message or "") == 1024,
    "longest error": lambda task: len(task.error or "") == 4096,
    "clock set back": lambda task: (
        task.completed_at is not None and task.completed_at < task.created_at
    ),
    "first moment": lambda task: task.created_at == datetime.min.replace(tzinfo=UTC),
    "last moment": lambda task: task.created_at == datetime.max.replace(tzinfo=UTC),
    "greatest revision": lambda task: task.revision == MAX_INT,
}


def test_every_state_is_drawn() -> None:
    """All that a queue can show, to the bounds, and not only once in a blue moon."""
    missing = set(STATES)

    @settings(max_examples=5_000, database=None, derandomize=True, phases=[Phase.generate])
    @given(task=strategies.tasks())
    def look(task: ScanTask) -> None:
        missing.difference_update([name for name in missing if STATES[name](task)])
        if not missing:
            raise AllSeen

    with suppress(AllSeen):
        look()
    assert missing == set()


ODDITIES: dict[str, Callable[[ScanTask], bool]] = {
    "markup in the library": lambda task: "<" in str(task.library_id),
    "markup in a path": lambda task: any("<" in path for path in task.scope.paths),
    "markup in the message": lambda task: "<" in (task.progress.message or ""),
    "markup in the error": lambda task: "<" in (task.error or ""),
    "quotes in the error": lambda task: not {"'", '"'}.isdisjoint(task.error or ""),
    "an error that turns the page around": lambda task: "\u202e" in (task.error or ""),
    "a few paths": lambda task: 0 < len(task.scope.paths) < 5,
    "hundreds of paths": lambda task: len(task.scope.paths) >= 300,
    "long paths": lambda task: any(len(path) >= 200 for path in task.scope.paths),
}


def test_what_is_odd_is_not_rare() -> None:
    """A run of a few hundred examples finds the page that escapes nothing."""
    missing = set(ODDITIES)
    lengths = []

    @settings(max_examples=300, database=None, derandomize=True, phases=[Phase.generate])
    @given(task=strategies.tasks(status=TaskStatus.FAILED))
    def look(task: ScanTask) -> None:
        missing.difference_update([name for name in missing if ODDITIES[name](task)])
        lengths.append(len(repr(task)))

    look()
    assert missing == set()
    assert max(lengths) < 30_000  # from there on, hypothesis warns of the example when it fails


@given(
    task=strategies.tasks(
        library_id="music",
        priority=TaskPriority.HIGH,
        scope=ScanScope(deep=True),
        status=TaskStatus.CANCELLED,
        reason=EndReason.SHUTDOWN,
        holds_slot=True,
    )
)
def test_fields_can_be_fixed(task: ScanTask) -> None:
    """By a value."""
    assert (task.library_id, task.priority, task.scope) == (
        *("music", TaskPriority.HIGH, ScanScope(deep=True)),
    )
    assert (task.status, task.reason) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN)
    assert task.is_stopping


@given(
    task=strategies.tasks(
        library_id=st.sampled_from([1, 2]), priority=st.just(TaskPriority.LOW), holds_slot=False
    )
)
def test_fields_can_be_drawn_from_what_the_test_says(task: ScanTask) -> None:
    """By another strategy."""
    assert task.library_id in {1, 2}
    assert task.priority is TaskPriority.LOW
    assert not task.holds_slot


@given(submission=strategies.submissions(outcome=SubmitOutcome.UPGRADED, library_id=7))
def test_submissions_can_be_fixed_too(submission: Submission) -> None:
    """Outcome and library."""
    assert submission.outcome is SubmitOutcome.UPGRADED
    assert submission.task.library_id == 7


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        pytest.param({"library_id": ""}, ValueError, "library_id", id="empty id"),
        pytest.param({"library_id": 1.5}, TypeError, "library_id", id="id"),
        pytest.param({"priority": 1}, TypeError, "priority", id="priority"),
        pytest.param({"scope": "a"}, TypeError, "scope", id="scope"),
        pytest.param({"status": "failed"}, TypeError, "status", id="status"),
        pytest.param({"reason": "error"}, TypeError, "reason", id="reason"),
        pytest.param({"holds_slot": 1}, TypeError, "holds_slot", id="slot"),
        pytest.param(
            {"status": TaskStatus.COMPLETED, "holds_slot": True},
            *(ValueError, "no task has status=completed, reason=None and holds_slot=True"),
            id="no such state",
        ),
    ],
)
def test_what_no_task_can_be_is_refused_at_once(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Not when the first example is drawn."""
    with pytest.raises(error, match=message):
        strategies.tasks(**fields)


def test_an_outcome_is_a_member() -> None:
    """Not its value."""
    with pytest.raises(TypeError, match="outcome"):
        strategies.submissions(outcome="created")  # type: ignore[arg-type]


def test_the_smallest_task_is_plain() -> None:
    """What hypothesis shows of a failure is easy to read."""
    task = find(strategies.tasks(), lambda _: True)
    assert (task.status, task.library_id, task.progress) == (TaskStatus.PENDING, 0, NO_PROGRESS)
