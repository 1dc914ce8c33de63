"""The values: what they take, what they refuse, what they say."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanqueue import models
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
    WhenRunning,
)
from scanqueue.testing.strategies import paths, progress, results, scopes, tasks

MAX_INT = 2**63 - 1

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
"""Lone surrogates too, as Python has them in file names that are not UTF-8."""

NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)


def a_task(**fields: Any) -> ScanTask:  # noqa: ANN401 - any field
    """Return a task that was created at noon."""
    values: dict[str, Any] = {
        "id": UUID(int=1),
        "library_id": "music",
        "priority": TaskPriority.NORMAL,
        "status": TaskStatus.PENDING,
        "created_at": NOON,
    }
    return ScanTask(**(values | fields))


class TestEnumerations:
    """Names and values."""

    @pytest.mark.parametrize("kind", [TaskStatus, EndReason, WhenRunning, SubmitOutcome])
    def test_a_value_is_the_name_in_lower_case(self, kind: type[StrEnum]) -> None:
        """So that a database, a log and JSON read like the code."""
        assert issubclass(kind, StrEnum)
        assert all(member.value == member.name.lower() for member in kind)

    @pytest.mark.parametrize(
        ("kind", "names"),
        [
            pytest.param(kind, names.split(), id=kind.__name__)
            for kind, names in (
                (TaskPriority, "LOW NORMAL HIGH"),
                (TaskStatus, "PENDING RUNNING COMPLETED FAILED CANCELLED"),
                (EndReason, "REQUESTED SHUTDOWN ERROR UNAVAILABLE INTERRUPTED"),
                (WhenRunning, "JOIN FOLLOW_UP"),
                (SubmitOutcome, "CREATED JOINED UPGRADED FOLLOW_UP"),
            )
        ],
    )
    def test_each_has_exactly_these_members(self, kind: type[Enum], names: list[str]) -> None:
        """As the contract lists them."""
        assert [member.name for member in kind] == names

    def test_a_priority_is_a_number_that_grows_with_urgency(self) -> None:
        """File watchers below schedules below people."""
        assert issubclass(TaskPriority, IntEnum)
        assert (TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH) == (-1, 0, 1)

    @pytest.mark.parametrize("status", TaskStatus)
    def test_a_status_is_either_active_or_ended(self, status: TaskStatus) -> None:
        """PENDING and RUNNING are active, the others ended."""
        assert status.is_active == (status in (TaskStatus.PENDING, TaskStatus.RUNNING))
        assert status.is_ended != status.is_active


@pytest.mark.parametrize("kind", [TaskProgress, TaskResult, ScanScope, ScanTask, Submission])
def test_values_are_frozen_and_keyword_only(kind: type[attrs.AttrsInstance]) -> None:
    """A snapshot never changes under its reader, and a call says what is what."""
    with pytest.raises(TypeError, match="positional"):
        kind(1)  # type: ignore[call-arg]
    assert all(field.kw_only for field in attrs.fields(kind))


class TestTaskProgress:
    """How far a scan has come."""

    def test_the_total_and_the_message_may_be_unknown(self) -> None:
        """Only the count must be given."""
        progress = TaskProgress(scanned_paths=0)
        assert (progress.scanned_paths, progress.total_paths, progress.message) == (0, None, None)

    @pytest.mark.parametrize(
        ("scanned", "total", "fraction"),
        [
            pytest.param(3, None, None, id="unknown"),
            pytest.param(0, 0, None, id="empty"),
            pytest.param(3, 0, None, id="more-than-nothing"),
            pytest.param(0, 10, 0.0, id="begun"),
            pytest.param(5, 10, 0.5, id="half"),
            pytest.param(10, 10, 1.0, id="done"),
            pytest.param(11, 10, 1.0, id="more-than-all"),
        ],
    )
    def test_the_fraction_is_between_none_and_all(
        self, scanned: int, total: int | None, fraction: float | None
    ) -> None:
        """None when the total is unknown or 0, and never above 1."""
        assert TaskProgress(scanned_paths=scanned, total_paths=total).fraction == fraction

    @given(progress=progress())
    def test_a_fraction_is_never_outside_0_to_1(self, progress: TaskProgress) -> None:
        """Whatever the counts."""
        assert progress.fraction is None or 0.0 <= progress.fraction <= 1.0

    @given(message=ANY_TEXT)
    def test_a_message_is_made_storable(self, message: str) -> None:
        """Undecodable bytes and control characters are escaped."""
        shown = TaskProgress(scanned_paths=0, message=message).message
        assert shown is not None
        assert shown.encode().decode() == shown
        assert TaskProgress(scanned_paths=0, message=shown).message == shown

    def test_a_long_message_is_cut(self) -> None:
        """To 1,024 characters."""
        assert TaskProgress(scanned_paths=0, message="x" * 2000).message == "x" * 1024

    @pytest.mark.parametrize(
        ("fields", "kind", "message"),
        [
            pytest.param({"scanned_paths": -1}, ValueError, "scanned_paths must be", id="below-0"),
            pytest.param({"scanned_paths": 2**63}, ValueError, "within 64 bits", id="huge"),
            pytest.param({"scanned_paths": True}, TypeError, "scanned_paths must be", id="bool"),
            pytest.param({"scanned_paths": 1.0}, TypeError, "scanned_paths must be", id="float"),
            pytest.param({"scanned_paths": None}, TypeError, "scanned_paths must be", id="none"),
            pytest.param({"total_paths": -1}, ValueError, "total_paths must be", id="total-below"),
            pytest.param({"total_paths": "9"}, TypeError, "total_paths must be", id="total-text"),
            pytest.param({"message": b"x"}, TypeError, "message must be a str or", id="bytes"),
        ],
    )
    def test_what_is_no_progress_is_refused(
        self, fields: dict[str, Any], kind: type[Exception], message: str
    ) -> None:
        """The error names the field."""
        with pytest.raises(kind, match=message):
            TaskProgress(**({"scanned_paths": 0} | fields))


class TestTaskResult:
    """What a scan found."""

    def test_every_count_is_0_by_default(self) -> None:
        """A scanner names only what it counts."""
        assert TaskResult() == TaskResult(
            added_count=0, updated_count=0, removed_count=0, failed_count=0
        )

    @pytest.mark.parametrize(
        "name", ["added_count", "updated_count", "removed_count", "failed_count"]
    )
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            pytest.param(-1, ValueError, id="negative"),
            pytest.param(MAX_INT + 1, ValueError, id="huge"),
            pytest.param(True, TypeError, id="bool"),
            pytest.param("1", TypeError, id="text"),
            pytest.param(None, TypeError, id="none"),
        ],
    )
    def test_what_is_no_count_is_refused(
        self, name: str, value: object, kind: type[Exception]
    ) -> None:
        """The error names the field."""
        fields: dict[str, Any] = {name: value}
        with pytest.raises(kind, match=f"^{name} must be an int"):
            TaskResult(**fields)

    @given(result=results())
    def test_results_are_compared_by_value(self, result: TaskResult) -> None:
        """And usable as keys."""
        assert attrs.evolve(result) == result
        assert len({result, attrs.evolve(result)}) == 1


class TestScanScope:
    """What to scan of a library."""

    @pytest.mark.parametrize(
        ("given_paths", "normal"),
        [
            pytest.param([], (), id="none-is-all"),
            pytest.param([""], (), id="empty-is-all"),
            pytest.param(["."], (), id="dot-is-all"),
            pytest.param(["a", "./"], (), id="all-absorbs"),
            pytest.param(["b", "a"], ("a", "b"), id="sorted"),
            pytest.param(["a", "a/"], ("a",), id="once"),
            pytest.param(["./a//b/./c/"], ("a/b/c",), id="normal-form"),
            pytest.param(["a/b", "a"], ("a",), id="below-is-absorbed"),
            pytest.param(["a", "a-b", "a/c"], ("a", "a-b"), id="a-dash-sorts-before-a-slash"),
            pytest.param(["ab", "a"], ("a", "ab"), id="a-prefix-is-not-a-folder"),
            pytest.param(["...", "a..b"], ("...", "a..b"), id="dots-in-names"),
            pytest.param(iter(["a"]), ("a",), id="iterator"),
        ],
    )
    def test_paths_are_normalised(self, given_paths: Any, normal: tuple[str, ...]) -> None:  # noqa: ANN401
        """Scopes that mean the same are equal."""
        scope = ScanScope(paths=given_paths)
        assert scope.paths == normal
        assert type(scope.paths) is tuple

    @pytest.mark.parametrize(
        ("bad", "kind", "message"),
        [
            pytest.param("films", TypeError, r"as in paths=\[", id="bare-text"),
            pytest.param(b"films", TypeError, r"as in paths=\[", id="bare-bytes"),
            pytest.param(5, TypeError, "an iterable of paths", id="number"),
            pytest.param(None, TypeError, "an iterable of paths", id="none"),
            pytest.param([b"a"], TypeError, "relative POSIX paths", id="bytes"),
            pytest.param(["/a"], ValueError, "without a leading '/'", id="absolute"),
            pytest.param([".."], ValueError, "without '..'", id="up"),
            pytest.param(["a/../b"], ValueError, "without '..'", id="up-and-down"),
            pytest.param(["a\0"], ValueError, "without NUL", id="nul"),
            pytest.param(["caf\udce9"], ValueError, "valid Unicode", id="surrogate"),
        ],
    )
    def test_paths_outside_the_library_are_refused(
        self,
        bad: Any,  # noqa: ANN401
        kind: type[Exception],
        message: str,
    ) -> None:
        """The error names the argument and says what it should be."""
        with pytest.raises(kind, match=f"^paths must be .*{message}"):
            ScanScope(paths=bad)

    @pytest.mark.parametrize("bad", [1, None, "yes"])
    def test_deep_is_a_bool(self, bad: Any) -> None:  # noqa: ANN401
        """Not something that is true."""
        with pytest.raises(TypeError, match=r"^deep must be a bool"):
            ScanScope(deep=bad)

    def test_more_than_a_thousand_paths_are_the_whole_library(self) -> None:
        """After absorbing."""
        folders = [f"folder-{number}" for number in range(1000)]
        assert len(ScanScope(paths=folders).paths) == 1000
        assert len(ScanScope(paths=[*folders, "folder-7/sub"]).paths) == 1000
        assert ScanScope(paths=[*folders, "one-more"]).paths == ()

    def test_a_union_of_more_than_a_thousand_paths_is_the_whole_library(self) -> None:
        """The limit holds for what scopes grow to."""
        one = ScanScope(paths=[f"a-{number}" for number in range(600)])
        two = ScanScope(paths=[f"b-{number}" for number in range(600)])
        assert one.union(two) == ScanScope()

    @pytest.mark.parametrize("call", [ScanScope.covers, ScanScope.union])
    def test_a_scope_is_compared_with_a_scope(self, call: Callable[[Any, Any], object]) -> None:
        """Not with paths."""
        with pytest.raises(TypeError, match=r"^other must be a ScanScope"):
            call(ScanScope(), ("a",))

    @given(given_paths=st.lists(paths(), max_size=5))
    def test_normalising_twice_changes_nothing(self, given_paths: list[str]) -> None:
        """What is normal stays so."""
        scope = ScanScope(paths=given_paths)
        assert ScanScope(paths=scope.paths) == scope

    @given(given_paths=st.lists(paths(), min_size=1, max_size=5), data=st.data())
    def test_a_scope_covers_what_it_was_made_of(
        self, given_paths: list[str], data: st.DataObject
    ) -> None:
        """Each path and all below it."""
        scope = ScanScope(paths=given_paths)
        path = data.draw(st.sampled_from(given_paths))
        assert scope.covers(ScanScope(paths=[path]))
        assert scope.covers(ScanScope(paths=[path + "/below"]))

    @given(one=scopes(), two=scopes())
    def test_covering_is_what_the_files_say(self, one: ScanScope, two: ScanScope) -> None:
        """Checked path by path, in the plainest way."""

        def is_in(path: str, scope: ScanScope) -> bool:
            return not scope.paths or any(f"{path}/".startswith(f"{p}/") for p in scope.paths)

        everywhere = ["somewhere else"] if not two.paths else []
        expected = all(is_in(path, one) for path in [*two.paths, *everywhere])
        assert one.covers(two) == (expected and (one.deep or not two.deep))

    @given(one=scopes(), two=scopes(), three=scopes())
    def test_a_union_is_the_least_that_covers_both(
        self, one: ScanScope, two: ScanScope, three: ScanScope
    ) -> None:
        """In any order, and with itself it is itself."""
        both = one.union(two)
        assert both.covers(one)
        assert both.covers(two)
        assert both == two.union(one)
        assert one.union(one) == one
        assert both.union(three) == one.union(two.union(three))
        if three.covers(one) and three.covers(two):
            assert three.covers(both)


class TestScanTask:
    """One request, at one moment."""

    def test_a_new_task_has_nothing_but_its_request(self) -> None:
        """It always has progress, from 0 on."""
        task = a_task()
        assert task.scope == ScanScope()
        assert task.progress == TaskProgress(scanned_paths=0)
        assert (task.attempt, task.interruptions, task.holds_slot) == (0, 0, False)
        assert (task.started_at, task.completed_at) == (None, None)
        assert (task.result, task.error, task.reason) == (None, None, None)

    @pytest.mark.parametrize("status", TaskStatus)
    @pytest.mark.parametrize("holds_slot", [False, True])
    def test_stopping_is_ended_and_holding_the_slot(
        self, status: TaskStatus, holds_slot: bool
    ) -> None:
        """A running task holds the slot too, and is not stopping."""
        task = a_task(status=status, holds_slot=holds_slot)
        assert task.is_active == status.is_active
        assert task.is_ended == status.is_ended
        assert task.is_stopping == (status.is_ended and holds_slot)

    @pytest.mark.parametrize(
        ("started", "ended", "wait_time", "run_time"),
        [
            pytest.param(None, None, None, None, id="waits"),
            pytest.param(5, None, 5, None, id="runs"),
            pytest.param(5, 12, 5, 7, id="ended"),
            pytest.param(None, 3, 3, None, id="cancelled-before-its-start"),
            pytest.param(-5, -9, 0, 0, id="the-clock-was-set-back"),
        ],
    )
    def test_times_are_differences_that_are_never_negative(
        self, started: int | None, ended: int | None, wait_time: int | None, run_time: int | None
    ) -> None:
        """None where one of the moments has not come."""
        task = a_task(
            started_at=None if started is None else NOON + timedelta(seconds=started),
            completed_at=None if ended is None else NOON + timedelta(seconds=ended),
        )
        assert task.wait_time == (None if wait_time is None else timedelta(seconds=wait_time))
        assert task.run_time == (None if run_time is None else timedelta(seconds=run_time))

    @given(task=tasks())
    def test_a_task_is_a_value(self, task: ScanTask) -> None:
        """Equal to its copy, hashable, and the same after pickling."""
        assert attrs.evolve(task) == task
        assert hash(attrs.evolve(task)) == hash(task)
        assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301 - our own bytes
        assert copy.deepcopy(task) == task


class TestSubmission:
    """What a submission did."""

    def test_a_submission_names_its_task(self) -> None:
        """By the id."""
        task = a_task()
        submission = Submission(task=task, outcome=SubmitOutcome.CREATED)
        assert submission.task is task
        assert submission.task_id == task.id


def test_everything_public_is_listed() -> None:
    """The values of the contract, and nothing else."""
    assert set(models.__all__) == {
        *("EndReason", "LibraryId", "QueueStats", "ScanScope", "ScanTask", "Submission"),
        *("SubmitOutcome", "TaskPriority", "TaskProgress", "TaskResult", "TaskStatus"),
        "WhenRunning",
    }
    assert attrs.has(QueueStats)


class Odd(int):
    """An int that says it is another one."""

    def __int__(self) -> int:
        return 2**70


def test_counts_are_stored_as_plain_ints() -> None:
    """What a subclass does cannot run inside the library."""
    progress = TaskProgress(scanned_paths=Odd(3), total_paths=Odd(5))
    result = TaskResult(added_count=Odd(2))

    assert [progress.scanned_paths, progress.total_paths, result.added_count] == [3, 5, 2]
    for count in (progress.scanned_paths, progress.total_paths, result.added_count):
        assert type(count) is int
