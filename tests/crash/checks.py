"""What must be true after a crash loop, by the file and by what the processes were told."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import attrs

from scanqueue import (
    EndReason,
    ScanQueueService,
    ScanScope,
    ScanTask,
    SubmitOutcome,
    TaskPriority,
    TaskStatus,
)
from scanqueue.stores import SQLiteStore
from scanqueue.wire import task_from_dict
from tests.crash.log import Entry
from tests.crash.loop import Loop, Process
from tests.crash.worker import MAX_INTERRUPTIONS

BEGINNING = datetime.min.replace(tzinfo=UTC)

STILL = attrs.fields_dict(ScanTask).keys() - {"revision", "holds_slot", "result"}
"""What does not change any more once a task has ended; a late result comes with the slot."""


@attrs.frozen
class Run:
    """One call of a scanner."""

    process: Process
    library: object
    task_id: UUID
    attempt: int
    interruptions: int
    began: int
    ended: int | None
    how: str | None

    @property
    def over(self) -> int:
        """The latest moment at which it is known to have been at work."""
        if self.ended is not None:
            return self.ended
        for what in ("closed", "dying"):  # left behind by a shutdown; or its own doing
            entry = self.process.says(what)
            if entry is not None:
                return int(entry["t"])
        assert self.process.killed_at is not None
        return self.process.killed_at


@attrs.define
class Outcome:
    """A crash loop that is over: what is in the file, and what was told."""

    loop: Loop
    tasks: dict[UUID, ScanTask]
    runs: list[Run]
    checked: dict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    """How much was checked, by kind."""

    def told(self, *kinds: str) -> Iterator[tuple[Entry, ScanTask]]:
        """Yield what processes were told about a task, and the task as they saw it."""
        for process in self.loop.processes:
            for entry in process.log.entries:
                if entry["what"] in kinds:
                    yield entry, task_from_dict(entry["task"])

    def runs_of(self, task_id: UUID) -> dict[int, Run]:
        """Return the runs of a task by attempt."""
        return {run.attempt: run for run in self.runs if run.task_id == task_id}


def check(loop: Loop) -> Outcome:
    """Check everything; return how much that was."""
    outcome = Outcome(loop, _tasks_in(loop), sorted(_runs_of(loop), key=lambda run: run.began))
    for step in (
        _check_file,
        _check_submissions,
        _check_endings,
        _check_revisions,
        _check_runs,
        _check_ends_of_runs,
        _check_interruptions,
        _check_poison,
    ):
        step(outcome)
    return outcome


def _tasks_in(loop: Loop) -> dict[UUID, ScanTask]:
    with ScanQueueService(None, store=SQLiteStore(loop.file)) as queue:
        assert queue.list_running() == []
        assert queue.list_pending() == []
        return {task.id: task for task in queue.list_history(since=BEGINNING)}


def _runs_of(loop: Loop) -> Iterator[Run]:
    for process in loop.processes:
        ends = {
            (entry["task"], entry["attempt"]): entry
            for entry in process.log.entries
            if entry["what"] == "end"
        }
        for entry in process.log.entries:
            if entry["what"] == "begin":
                end: dict[str, Any] = ends.get((entry["task"], entry["attempt"]), {})
                yield Run(
                    process,
                    entry["library"],
                    UUID(entry["task"]),
                    entry["attempt"],
                    entry["interruptions"],
                    entry["t"],
                    end.get("t"),
                    end.get("how"),
                )


def _check_file(outcome: Outcome) -> None:
    """It is sound, nothing is active, and nothing is left beside it."""
    file = outcome.loop.file
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM slots").fetchone() == (0,)
        total = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
        assert total == len(outcome.tasks)
    assert {path.name for path in file.parent.iterdir() if path.suffix != ".log"} == {file.name}
    assert all(task.is_ended and not task.holds_slot for task in outcome.tasks.values())
    outcome.checked["tasks"] += total


def _check_submissions(outcome: Outcome) -> None:
    """Each that was acknowledged is there, and was scanned for after it was made."""
    for entry, told in outcome.told("submitted"):
        task = outcome.tasks[told.id]
        scope = ScanScope(paths=tuple(entry["paths"]))
        assert task.library_id == told.library_id
        assert task.created_at == told.created_at
        assert type(task.library_id) is type(told.library_id)
        assert task.scope.covers(told.scope)
        assert told.scope.covers(scope)
        assert task.priority >= told.priority
        if told.status is TaskStatus.PENDING:
            assert told.priority >= TaskPriority(entry["priority"])
            last = outcome.runs_of(task.id).get(task.attempt)
            if task.status is TaskStatus.COMPLETED:
                assert last is not None
                assert last.began > entry["began"]
        else:
            assert entry["outcome"] == SubmitOutcome.JOINED.value
        outcome.checked["submissions"] += 1


def _check_endings(outcome: Outcome) -> None:
    """What was seen to have ended has ended that way, and never ran again."""
    for entry, told in outcome.told("ended", "cancelled"):
        task = outcome.tasks[told.id]
        for name in STILL:
            assert getattr(task, name) == getattr(told, name), (name, told, task)
        assert told.holds_slot or task.result == told.result
        if entry["what"] == "cancelled":
            assert (told.status, told.reason) == (TaskStatus.CANCELLED, EndReason.REQUESTED)
        if not told.holds_slot:
            assert all(run.began < entry["t"] for run in outcome.runs_of(told.id).values())
        outcome.checked["endings"] += 1


def _check_revisions(outcome: Outcome) -> None:
    """Nobody was told of a state that was taken back, and readers were told in order."""
    for _, told in outcome.told("submitted", "ended", "cancelled"):
        task = outcome.tasks[told.id]
        assert task.revision >= told.revision
        assert task == told or task.revision > told.revision
    for process in outcome.loop.processes:
        seen = [entry["task"]["revision"] for entry in process.log.entries if entry.get("told")]
        assert seen == sorted(set(seen))


def _check_runs(outcome: Outcome) -> None:
    """No two of a library overlapped, and the attempts of a task came one after the other."""
    by_library: dict[tuple[type, object], list[Run]] = defaultdict(list)
    by_task: dict[UUID, list[Run]] = defaultdict(list)
    for run in outcome.runs:
        by_library[type(run.library), run.library].append(run)
        by_task[run.task_id].append(run)
    for runs in by_library.values():
        for one, two in pairwise(runs):
            assert one.over < two.began, (one, two)
    for task_id, runs in by_task.items():
        attempts = [run.attempt for run in runs]
        assert attempts == sorted(set(attempts))
        assert attempts[-1] <= outcome.tasks[task_id].attempt
    outcome.checked["scans"] += len(outcome.runs)


def _check_ends_of_runs(outcome: Outcome) -> None:
    """What is said to be completed or failed has really returned or raised."""
    for task in outcome.tasks.values():
        run = outcome.runs_of(task.id).get(task.attempt)
        if task.status is TaskStatus.COMPLETED:
            assert run is not None
            assert run.how == "returned"
            assert task.result is not None
            assert task.result.added_count == task.attempt
        elif task.reason is EndReason.ERROR:
            assert run is not None
            assert run.how == "raised"
        outcome.checked[f"{task.status.value} ({task.reason})" if task.reason else "completed"] += 1


def _check_interruptions(outcome: Outcome) -> None:
    """They are as many as the kills that hit a task while it ran."""
    heirs = {
        UUID((task.error or "").split()[3].rstrip(",")): task
        for task in outcome.tasks.values()
        if (task.error or "").startswith("replaced by task")
    }
    for task in outcome.tasks.values():
        predecessor = heirs.get(task.id)
        inherited = 0 if predecessor is None else predecessor.interruptions
        runs = outcome.runs_of(task.id)
        for run in runs.values():
            _check_number(run.interruptions, inherited, runs, range(1, run.attempt))
        rewound = range(1, task.attempt + (task.started_at is None))
        given_up = task.reason is EndReason.INTERRUPTED
        _check_number(task.interruptions - given_up, inherited, runs, rewound)
        if given_up:
            assert task.interruptions >= MAX_INTERRUPTIONS or task in heirs.values()
            assert _deaths(runs.get(task.attempt))[1] == 1
        else:
            assert task.interruptions < MAX_INTERRUPTIONS or predecessor is not None
        outcome.checked["interruptions"] += task.interruptions - inherited


def _check_number(found: int, inherited: int, runs: dict[int, Run], attempts: range) -> None:
    """Check the interruptions of a task after some attempts that came to no end."""
    deaths = [_deaths(runs.get(attempt)) for attempt in attempts]
    least = inherited + sum(low for low, _ in deaths)
    most = inherited + sum(high for _, high in deaths)
    assert least <= found <= most, (found, inherited, runs)


def _deaths(run: Run | None) -> tuple[int, int]:
    """Return how many interruptions an attempt counts for, at least and at most.

    A process that was killed during its shutdown may have sent its tasks back before; and one
    that was killed between a claim and the scan has left no line.
    """
    if run is None:
        return 0, 1
    if not run.process.was_killed():
        return 0, 0
    return int(run.process.says("closing") is None), 1


def _check_poison(outcome: Outcome) -> None:
    """A task that kills whoever scans it is given up after so many deaths."""
    for task in outcome.tasks.values():
        if str(task.library_id).startswith("poison"):
            assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.INTERRUPTED)
            assert task.interruptions == MAX_INTERRUPTIONS
            assert len(outcome.runs_of(task.id)) <= task.attempt
            outcome.checked["poisonous"] += 1
