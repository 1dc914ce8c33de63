"""Submitting: every row of the contract's table, and what a submission never does."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum, StrEnum
from uuid import UUID

import pytest

from scanqueue import (
    QueueClosedError,
    QueueFullError,
    ScanQueueService,
    ScanScope,
    Submission,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.service.tools import MakeQueue, current, ids, libraries

LOW, NORMAL, HIGH = TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH
JOIN, FOLLOW_UP = WhenRunning.JOIN, WhenRunning.FOLLOW_UP
ROCK, JAZZ = ScanScope(paths=("rock",)), ScanScope(paths=("jazz",))
BOTH = ScanScope(paths=("rock", "jazz"))

both_ways = pytest.mark.parametrize("when_running", list(WhenRunning))


@pytest.fixture
def running(queue: ScanQueueService, scanner: FakeScanner) -> FakeScan:
    """Return a scan of the rock folder of "music", which is held."""
    scanner.hold()
    queue.start()
    queue.submit_task("music", scope=ROCK)
    return scanner.next_scan()


# --- nothing active


@both_ways
def test_a_new_library_gets_a_new_pending_task(
    queue: ScanQueueService, clock: FakeClock, when_running: WhenRunning
) -> None:
    """Nothing active: a new pending task, CREATED, with all that was asked for."""
    submission = queue.submit("music", HIGH, scope=ROCK, when_running=when_running)

    assert submission.outcome is SubmitOutcome.CREATED
    task = submission.task
    assert submission.task_id == task.id
    assert isinstance(task.id, UUID)
    assert (task.library_id, task.priority, task.scope) == ("music", HIGH, ROCK)
    assert task.status is TaskStatus.PENDING
    assert task.is_active
    assert task.created_at == clock.now()
    assert {task.started_at, task.completed_at, task.result, task.error, task.reason} == {None}
    assert task.progress == TaskProgress(scanned_paths=0)
    assert (task.attempt, task.interruptions, task.holds_slot) == (0, 0, False)
    assert task.revision == queue.revision
    assert queue.list_pending() == [task]


def test_a_plain_submission_is_normal_and_for_the_whole_library(queue: ScanQueueService) -> None:
    """The defaults: NORMAL, everything, JOIN."""
    task = queue.submit("music").task

    assert task.priority is NORMAL
    assert task.scope == ScanScope()


def test_submit_task_gives_the_id_of_the_task_that_covers_the_request(
    queue: ScanQueueService,
) -> None:
    """`submit_task` does what `submit` does, and returns the id."""
    task_id = queue.submit_task("music", LOW, scope=ROCK, when_running=FOLLOW_UP)

    assert ids(queue.list_pending()) == [task_id]
    assert queue.submit("music", LOW, scope=ROCK).task_id == task_id


def test_a_submission_shows_the_task_as_of_its_commit(queue: ScanQueueService) -> None:
    """What a submission returned does not change when the task does."""
    first = queue.submit("music", LOW)
    second = queue.submit("music", HIGH)

    assert isinstance(first, Submission)
    assert first.task.priority is LOW
    assert second.task.priority is HIGH
    assert second.task.revision > first.task.revision


def test_an_int_and_its_digits_are_two_libraries(queue: ScanQueueService) -> None:
    """`1` and `"1"` are told apart."""
    first, second = queue.submit("1"), queue.submit(1)

    assert first.outcome is second.outcome is SubmitOutcome.CREATED
    assert libraries(queue.list_pending()) == ["1", 1]


def test_subclasses_of_int_and_str_are_stored_plain(queue: ScanQueueService) -> None:
    """An `IntEnum` or `StrEnum` member becomes the int or str that it is."""

    class Number(IntEnum):
        SEVEN = 7

    class Name(StrEnum):
        MUSIC = "music"

    seven, music = queue.submit(Number.SEVEN), queue.submit(Name.MUSIC)

    assert type(seven.task.library_id) is int
    assert type(music.task.library_id) is str
    assert queue.submit(7).outcome is queue.submit("music").outcome is SubmitOutcome.JOINED


@pytest.mark.parametrize("library_id", [2**63 - 1, -(2**63), 0, "x" * 255, "ü", "\0", " "])
def test_ids_up_to_the_limits_are_taken(queue: ScanQueueService, library_id: int | str) -> None:
    """An int of 64 bits, and any valid text of 1 to 255 characters."""
    assert queue.submit(library_id).task.library_id == library_id


def test_a_library_whose_task_has_ended_gets_a_new_one(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """An ended task does not cover a later request."""
    first = queue.submit_task("music")
    queue.run_pending()

    second = queue.submit("music")

    assert second.outcome is SubmitOutcome.CREATED
    assert second.task_id != first
    assert queue.run_pending() == 1
    assert len(scanner.scans) == 2


# --- a pending task


@both_ways
def test_a_request_that_the_pending_task_covers_joins_it(
    queue: ScanQueueService, when_running: WhenRunning
) -> None:
    """The same or less changes nothing, and is no change."""
    first = queue.submit("music", NORMAL)
    revision = queue.revision

    second = queue.submit("music", LOW, scope=ROCK, when_running=when_running)

    assert second.outcome is SubmitOutcome.JOINED
    assert second.task == first.task
    assert queue.revision == revision
    assert queue.pending_count() == 1


@both_ways
@pytest.mark.parametrize(
    ("priority", "scope", "becomes"),
    [
        (HIGH, ROCK, (HIGH, ROCK)),
        (LOW, JAZZ, (NORMAL, BOTH)),
        (HIGH, JAZZ, (HIGH, BOTH)),
        (LOW, ScanScope(), (NORMAL, ScanScope())),
        (
            LOW,
            ScanScope(paths=("rock",), deep=True),
            (NORMAL, ScanScope(paths=("rock",), deep=True)),
        ),
    ],
    ids=["priority", "scope", "both", "whole", "deep"],
)
def test_a_request_for_more_upgrades_the_pending_task(  # noqa: PLR0917 - fixtures
    queue: ScanQueueService,
    clock: FakeClock,
    when_running: WhenRunning,
    priority: TaskPriority,
    scope: ScanScope,
    becomes: tuple[TaskPriority, ScanScope],
) -> None:
    """The higher priority and the union of the scopes, with id and creation kept: UPGRADED."""
    first = queue.submit("music", NORMAL, scope=ROCK)
    clock.advance(5)

    second = queue.submit("music", priority, scope=scope, when_running=when_running)

    assert second.outcome is SubmitOutcome.UPGRADED
    assert second.task_id == first.task_id
    assert (second.task.priority, second.task.scope) == becomes
    assert second.task.created_at == first.task.created_at
    assert second.task.revision > first.task.revision
    assert queue.list_pending() == [second.task]


def test_priority_never_falls(queue: ScanQueueService) -> None:
    """A later request of lower priority leaves the higher one, even where it widens the scope."""
    queue.submit("music", HIGH, scope=ROCK)

    assert queue.submit("music", LOW, scope=JAZZ).task.priority is HIGH


def test_an_upgrade_keeps_the_rank_by_age(queue: ScanQueueService) -> None:
    """Among those of its new priority, the upgraded task stands where its age puts it."""
    queue.submit_task("old", NORMAL)
    queue.submit_task("middle", HIGH)
    queue.submit_task("young", NORMAL)
    queue.submit_task("young", HIGH)
    assert libraries(queue.list_pending()) == ["middle", "young", "old"]

    queue.submit_task("old", HIGH)

    assert libraries(queue.list_pending()) == ["old", "middle", "young"]


@both_ways
def test_a_pending_follow_up_is_joined_and_upgraded_first(
    queue: ScanQueueService, running: FakeScan, when_running: WhenRunning
) -> None:
    """The table is looked at from the top: a follow-up is a pending task, whatever runs."""
    follow_up = queue.submit("music", scope=JAZZ)
    assert follow_up.outcome is SubmitOutcome.FOLLOW_UP

    joined = queue.submit("music", LOW, scope=JAZZ, when_running=when_running)
    upgraded = queue.submit("music", HIGH, scope=ROCK, when_running=when_running)

    assert joined.outcome is SubmitOutcome.JOINED
    assert upgraded.outcome is SubmitOutcome.UPGRADED
    assert joined.task_id == upgraded.task_id == follow_up.task_id
    assert upgraded.task.scope == BOTH
    assert queue.pending_count() == 1


# --- a running task


def test_a_request_that_the_running_scan_covers_joins_it(
    queue: ScanQueueService, running: FakeScan
) -> None:
    """JOIN onto a running scan: its task, whose priority does not change."""
    submission = queue.submit("music", HIGH, scope=ScanScope(paths=("rock/hard",)))

    assert submission.outcome is SubmitOutcome.JOINED
    assert submission.task_id == running.task.id
    assert submission.task.status is TaskStatus.RUNNING
    assert submission.task.priority is NORMAL
    assert queue.pending_count() == 0


def test_a_request_that_the_running_scan_does_not_cover_gets_a_follow_up(
    queue: ScanQueueService, running: FakeScan
) -> None:
    """JOIN onto a scan of something else: a new pending task, FOLLOW_UP."""
    submission = queue.submit("music", scope=JAZZ)

    assert submission.outcome is SubmitOutcome.FOLLOW_UP
    assert submission.task_id != running.task.id
    assert submission.task.status is TaskStatus.PENDING
    assert submission.task.scope == JAZZ


def test_a_shallow_scan_does_not_cover_a_deep_request(
    queue: ScanQueueService, running: FakeScan
) -> None:
    """A running scan that reads what changed does not cover one that reads everything."""
    deep = ScanScope(paths=("rock",), deep=True)

    assert queue.submit("music", scope=deep).outcome is SubmitOutcome.FOLLOW_UP


def test_those_who_cannot_miss_a_change_get_a_follow_up_always(
    queue: ScanQueueService, scanner: FakeScanner, running: FakeScan
) -> None:
    """FOLLOW_UP: a new pending task, even if the running scan covers it; it runs afterwards."""
    submission = queue.submit("music", scope=ROCK, when_running=FOLLOW_UP)

    assert submission.outcome is SubmitOutcome.FOLLOW_UP
    assert submission.task_id != running.task.id
    running.release()
    follow_up = scanner.next_scan()
    assert follow_up.task.id == submission.task_id
    assert follow_up.context.scope == ROCK


def test_a_follow_up_waits_for_the_slot_and_holds_nobody_up(
    queue: ScanQueueService, make: MakeQueue, scanner: FakeScanner
) -> None:
    """A HIGH follow-up of a running library is passed over; others start before it."""
    scanner.hold()
    two = make(scanner, workers=2)
    two.start()
    two.submit_task("music")
    music = scanner.next_scan()
    two.submit_task("music", HIGH, when_running=FOLLOW_UP)
    two.submit_task("films", LOW)

    films = scanner.next_scan()

    assert films.library_id == "films"
    assert libraries(two.list_pending()) == ["music"]
    music.release()
    assert scanner.next_scan().library_id == "music"


# --- a stopping task


@both_ways
def test_a_request_while_a_scan_is_stopping_gets_a_new_task(
    queue: ScanQueueService, scanner: FakeScanner, running: FakeScan, when_running: WhenRunning
) -> None:
    """Only a stopping task: CREATED; it starts when the slot is free."""
    running.ignore_cancel()
    stopping = queue.cancel_task(running.task.id)
    assert stopping.is_stopping

    submission = queue.submit("music", scope=ROCK, when_running=when_running)

    assert submission.outcome is SubmitOutcome.CREATED
    assert current(queue, submission.task_id).status is TaskStatus.PENDING
    running.release()
    assert scanner.next_scan().task.id == submission.task_id


# --- refusals


def test_a_full_queue_refuses_new_tasks(make: MakeQueue) -> None:
    """Past `max_pending` a new task is refused, and nothing is queued."""
    queue = make(FakeScanner(), max_pending=2)
    queue.submit_task("a")
    queue.submit_task("b", LOW)
    revision = queue.revision

    with pytest.raises(QueueFullError) as caught:
        queue.submit_task("c", NORMAL)

    assert caught.value.max_pending == 2
    assert caught.value.http_status == 429
    assert queue.pending_count() == 2
    assert queue.revision == revision
    assert sum(queue.stats().submitted.values()) == 2


def test_joins_upgrades_and_high_pass_a_full_queue(make: MakeQueue) -> None:
    """Who makes no new task, or is a person, is never refused."""
    queue = make(FakeScanner(), max_pending=1)
    queue.submit_task("a", LOW)

    assert queue.submit("a", LOW).outcome is SubmitOutcome.JOINED
    assert queue.submit("a", NORMAL).outcome is SubmitOutcome.UPGRADED
    assert queue.submit("b", HIGH).outcome is SubmitOutcome.CREATED
    assert queue.pending_count() == 2


def test_a_follow_up_counts_as_a_new_task(make: MakeQueue, scanner: FakeScanner) -> None:
    """A full queue refuses a follow-up of a running scan, too; a join of the scan passes."""
    queue = make(scanner, max_pending=0)
    scanner.hold()
    queue.start()
    queue.submit_task("a", HIGH)
    scanner.next_scan()

    with pytest.raises(QueueFullError):
        queue.submit("a", when_running=FOLLOW_UP)
    assert queue.submit("a").outcome is SubmitOutcome.JOINED


def test_room_is_made_by_a_claim_and_by_a_cancel(make: MakeQueue, scanner: FakeScanner) -> None:
    """Only pending tasks count."""
    queue = make(scanner, max_pending=1)
    first = queue.submit_task("a")
    queue.cancel_task(first)
    queue.submit_task("b")
    queue.run_pending()

    assert queue.submit("c").outcome is SubmitOutcome.CREATED


def test_after_shutdown_nothing_is_taken(queue: ScanQueueService) -> None:
    """Not even what would join."""
    queue.submit_task("music")
    queue.shutdown()

    for submit in (queue.submit, queue.submit_task):
        with pytest.raises(QueueClosedError):
            submit("music")


# --- time


def test_the_order_is_that_of_submission_even_if_the_clock_is_set_back(
    queue: ScanQueueService, clock: FakeClock
) -> None:
    """A clock set back reorders nothing."""
    queue.submit_task("first")
    clock.set_back(timedelta(days=3))
    queue.submit_task("second")
    clock.set_back(timedelta(days=3))
    queue.submit_task("third")

    assert libraries(queue.list_pending()) == ["first", "second", "third"]


def test_a_submission_wakes_an_idle_worker(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """No polling: a worker that waits starts the scan without the clock going on."""
    queue.start()

    task_id = queue.submit_task("music")

    assert queue.wait(task_id, quiet=True).status is TaskStatus.COMPLETED
