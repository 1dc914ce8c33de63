"""The judge accepts histories that can have been, and no others."""

from __future__ import annotations

from uuid import UUID

import pytest

from scanqueue import EndReason, ScanScope, SubmitOutcome, TaskPriority, TaskStatus
from tests.simulation.history import Answer, Call, Seen
from tests.simulation.linearizability import Judge
from tests.simulation.scans import Scan

A = UUID(int=1)
NORMAL = TaskPriority.NORMAL
PENDING = Seen((A, TaskStatus.PENDING, NORMAL, None, 0, False))
RUNNING = Seen((A, TaskStatus.RUNNING, NORMAL, None, 1, True))
DONE = Seen((A, TaskStatus.COMPLETED, NORMAL, None, 1, False))
CANCELLED = Seen((A, TaskStatus.CANCELLED, NORMAL, EndReason.REQUESTED, 0, False))
CREATED = (SubmitOutcome.CREATED, PENDING)
JOINED = (SubmitOutcome.JOINED, PENDING)


def call(name: str, answer: Answer, begun_at: int, ended_at: int, *arguments: object) -> Call:
    """Return a call on a thread of its own."""
    return Call(name, arguments, (), answer, begun_at, begun_at, ended_at)


def submit(answer: Answer, begun_at: int, ended_at: int) -> Call:
    """Return a submission."""
    return call("submit", answer, begun_at, ended_at, "music")


def scan(begun_at: int, returned_at: int) -> Scan:
    """Return a scan of the first task."""
    return Scan(A, "music", 1, ScanScope(), 1, 9, begun_at, returned_at)


@pytest.mark.parametrize(
    ("calls", "scans", "is_possible"),
    [
        pytest.param([submit(CREATED, 1, 2), submit(JOINED, 3, 4)], [], True, id="in-order"),
        pytest.param([submit(CREATED, 3, 4), submit(JOINED, 1, 2)], [], False, id="joined-nothing"),
        pytest.param([submit(CREATED, 2, 4), submit(JOINED, 1, 3)], [], True, id="overlapping"),
        pytest.param([submit(CREATED, 1, 2), submit(CREATED, 3, 4)], [], False, id="made-twice"),
        pytest.param(
            [submit(CREATED, 1, 2), call("get_task", None, 3, 4, A)], [], False, id="not-seen"
        ),
        pytest.param(
            [submit(CREATED, 1, 4), call("get_task", None, 2, 3, A)], [], True, id="not-seen-yet"
        ),
        pytest.param(
            [submit(CREATED, 1, 2), call("cancel_task", CANCELLED, 3, 4, A)], [], True, id="cancel"
        ),
        pytest.param(
            [submit(CREATED, 1, 2), call("cancel_task", CANCELLED, 3, 4, A)],
            [scan(5, 6)],
            False,
            id="scanned-after-a-cancel",
        ),
        pytest.param(
            [submit(CREATED, 1, 2), call("get_task", RUNNING, 5, 6, A)],
            [scan(7, 8)],
            True,
            id="claimed-before-the-scanner-is-called",
        ),
        pytest.param(
            [submit(CREATED, 1, 2), call("get_task", DONE, 4, 5, A)],
            [scan(3, 6)],
            False,
            id="completed-while-the-scanner-is-at-work",
        ),
        pytest.param(
            [submit(CREATED, 1, 2), call("shutdown", True, 3, 4), submit(JOINED, 5, 6)],
            [],
            False,
            id="accepted-after-a-shutdown",
        ),
        pytest.param(
            [call("shutdown", True, 1, 4), submit("QueueClosedError", 2, 3)], [], True, id="closed"
        ),
        pytest.param(
            [submit(CREATED, 1, 2), call("list_tasks", (PENDING, PENDING), 3, 4)],
            [],
            False,
            id="listed-twice",
        ),
        pytest.param([submit("StoreError", 1, 2)], [], True, id="the-store-failed"),
        pytest.param(
            [submit("StoreError", 1, 2), call("stats", (1, 0, 0, 0, 0, 0, False), 3, 4)],
            [],
            False,
            id="failed-and-was-done",
        ),
    ],
)
def test_histories(calls: list[Call], scans: list[Scan], is_possible: bool) -> None:
    """Each as a thread would tell it; the judge remembers what it said."""
    judge = Judge()
    assert judge.accepts(calls, scans) is is_possible
    assert judge.accepts(calls, scans) is is_possible
