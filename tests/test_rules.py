"""The rules of the queue, one by one, over a bare table."""

from datetime import timedelta
from uuid import UUID

import pytest

from scanqueue import _rules
from scanqueue.errors import QueueFullError, TaskNotCancellableError, TaskNotFoundError
from scanqueue.models import (
    EndReason,
    ScanScope,
    SubmitOutcome,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.records import Slot, TaskRecord
from tests.bare_queue import AWAY, BROKEN, DONE, NOON, WHOLE, BareQueue

LOW, NORMAL, HIGH = TaskPriority
JOIN, FOLLOW_UP = WhenRunning
FILMS = ScanScope(paths=["films"])
MUSIC = ScanScope(paths=["music"])
BOTH = ScanScope(paths=["films", "music"])
DEEP = ScanScope(deep=True)


@pytest.fixture
def queue() -> BareQueue:
    """Return an empty queue."""
    return BareQueue()


def facts(task: TaskRecord) -> tuple[TaskStatus, EndReason | None, bool]:
    """Return what its users were told, why, and whether a scanner is at work."""
    return task.status, task.reason, task.holds_slot


def unchanged_by(queue: BareQueue) -> list[object]:
    """Return all that a rule could change."""
    return [queue.everything(), queue.table.slots(), queue.table.counts()]


PENDING = (TaskStatus.PENDING, None, False)
RUNNING = (TaskStatus.RUNNING, None, True)
STOPPING = (TaskStatus.CANCELLED, EndReason.REQUESTED, True)
RETURNING = (TaskStatus.PENDING, None, True)
COMPLETED = (TaskStatus.COMPLETED, None, False)
CANCELLED = (TaskStatus.CANCELLED, EndReason.REQUESTED, False)
INTERRUPTED = (TaskStatus.FAILED, EndReason.INTERRUPTED, False)


class TestSubmitToALibraryAtRest:
    """Nothing active, or only a stopping task: a new pending task."""

    @pytest.mark.requirement("1.1", "1.2")
    @pytest.mark.parametrize("when_running", WhenRunning)
    def test_a_request_makes_a_pending_task(
        self, queue: BareQueue, when_running: WhenRunning
    ) -> None:
        """With all that was asked for, and nothing else."""
        task, outcome = queue.submit("a", HIGH, FILMS, when_running)
        assert outcome is SubmitOutcome.CREATED
        assert facts(task) == PENDING
        assert (task.library_id, task.priority, task.scope) == ("a", HIGH, FILMS)
        assert (task.created_at, task.started_at, task.completed_at) == (NOON, None, None)
        assert (task.attempt, task.interruptions) == (0, 0)
        assert task.progress == TaskProgress(scanned_paths=0)
        assert queue.table.pending_of("a") is task

    @pytest.mark.parametrize("when_running", WhenRunning)
    def test_a_stopping_task_is_no_reason_to_wait_for_an_answer(
        self, queue: BareQueue, when_running: WhenRunning
    ) -> None:
        """A new task is created, and starts when the slot is free."""
        slot = queue.begin("a")
        queue.cancel(slot.task_id)
        task, outcome = queue.submit("a", when_running=when_running)
        assert outcome is SubmitOutcome.CREATED
        assert queue.try_claim() is None
        queue.finish(slot)
        assert queue.claim().task_id == task.id

    @pytest.mark.parametrize("ending", [DONE, BROKEN, AWAY], ids=["done", "broken", "away"])
    def test_an_ended_task_is_never_joined(self, queue: BareQueue, ending: _rules.Ending) -> None:
        """However it ended."""
        slot = queue.begin("a")
        queue.finish(slot, ending)
        task, outcome = queue.submit("a")
        assert outcome is SubmitOutcome.CREATED
        assert task.id != slot.task_id

    def test_libraries_with_equal_looking_ids_are_two(self, queue: BareQueue) -> None:
        """The number 1 and the text "1"."""
        assert queue.submit(1)[0].id != queue.submit("1")[0].id
        assert queue.table.counts().pending == 2


@pytest.mark.parametrize("when_running", WhenRunning)
@pytest.mark.parametrize("is_follow_up", [False, True], ids=["alone", "follow-up"])
class TestSubmitBehindAPendingTask:
    """A pending task, also a follow-up, takes every request of its library."""

    def pending(self, queue: BareQueue, *, is_follow_up: bool) -> TaskRecord:
        """Return the pending task, NORMAL and for the films; or one behind a running scan."""
        if is_follow_up:
            queue.begin("a")
            return queue.submit("a", NORMAL, FILMS, FOLLOW_UP)[0]
        return queue.submit("a", NORMAL, FILMS)[0]

    @pytest.mark.requirement("4.1")
    @pytest.mark.parametrize("priority", [LOW, NORMAL])
    def test_a_request_that_it_covers_joins_it(
        self,
        queue: BareQueue,
        when_running: WhenRunning,
        is_follow_up: bool,
        priority: TaskPriority,
    ) -> None:
        """Nothing changes, not even the revision."""
        task = self.pending(queue, is_follow_up=is_follow_up)
        before, revision = unchanged_by(queue), queue.table.revision()
        scope = ScanScope(paths=["films/new"])
        assert queue.submit("a", priority, scope, when_running) == (task, SubmitOutcome.JOINED)
        assert unchanged_by(queue) == before
        assert queue.table.revision() == revision

    @pytest.mark.requirement("4.3")
    def test_a_more_urgent_request_raises_its_priority(
        self, queue: BareQueue, when_running: WhenRunning, is_follow_up: bool
    ) -> None:
        """It keeps its id, its moment of creation and its rank by age."""
        old = self.pending(queue, is_follow_up=is_follow_up)
        queue.pass_time(60)
        task, outcome = queue.submit("a", HIGH, FILMS, when_running)
        assert outcome is SubmitOutcome.UPGRADED
        assert (task.priority, task.scope) == (HIGH, FILMS)
        assert (task.id, task.created_at, task.rank) == (old.id, old.created_at, old.rank)
        assert task.revision > old.revision
        assert queue.table.pending_of("a") is task

    def test_a_wider_request_widens_its_scope(
        self, queue: BareQueue, when_running: WhenRunning, is_follow_up: bool
    ) -> None:
        """To the union; a lower priority does not lower its own."""
        self.pending(queue, is_follow_up=is_follow_up)
        task, outcome = queue.submit("a", LOW, MUSIC, when_running)
        assert outcome is SubmitOutcome.UPGRADED
        assert (task.priority, task.scope) == (NORMAL, BOTH)

    def test_a_deeper_request_deepens_its_scope(
        self, queue: BareQueue, when_running: WhenRunning, is_follow_up: bool
    ) -> None:
        """Reading everything again covers looking for changes, not the other way round."""
        self.pending(queue, is_follow_up=is_follow_up)
        task, outcome = queue.submit("a", NORMAL, DEEP, when_running)
        assert (outcome, task.scope) == (SubmitOutcome.UPGRADED, DEEP)
        assert queue.submit("a", NORMAL, WHOLE, when_running)[1] is SubmitOutcome.JOINED


class TestSubmitDuringAScan:
    """A running task and none pending."""

    @pytest.mark.requirement("4.2")
    @pytest.mark.parametrize("priority", TaskPriority)
    def test_a_request_that_it_covers_joins_the_running_scan(
        self, queue: BareQueue, priority: TaskPriority
    ) -> None:
        """The priority of a running task does not change."""
        slot = queue.begin("a")
        running = queue.get(slot.task_id)
        assert queue.submit("a", priority, FILMS, JOIN) == (running, SubmitOutcome.JOINED)
        assert queue.get(slot.task_id) is running
        assert running.priority is NORMAL

    @pytest.mark.parametrize(
        "scope", [MUSIC, BOTH, WHOLE, DEEP], ids=["other", "wider", "all", "deep"]
    )
    def test_a_request_that_it_does_not_cover_waits_behind_it(
        self, queue: BareQueue, scope: ScanScope
    ) -> None:
        """As a follow-up with its own scope; the running task stays as it is."""
        queue.submit("a", scope=FILMS)
        running = queue.get(queue.claim().task_id)
        task, outcome = queue.submit("a", LOW, scope, JOIN)
        assert outcome is SubmitOutcome.FOLLOW_UP
        assert task.id != running.id
        assert (task.priority, task.scope, facts(task)) == (LOW, scope, PENDING)
        assert queue.get(running.id) is running

    def test_a_request_that_cannot_miss_a_change_waits_behind_it(self, queue: BareQueue) -> None:
        """The scan may have passed the folder that changed."""
        slot = queue.begin("a")
        task, outcome = queue.submit("a", LOW, FILMS, FOLLOW_UP)
        assert outcome is SubmitOutcome.FOLLOW_UP
        assert task.id != slot.task_id
        assert queue.try_claim() is None
        queue.finish(slot)
        assert queue.claim().task_id == task.id

    def test_there_is_one_follow_up_and_not_more(self, queue: BareQueue) -> None:
        """Further requests join or upgrade it."""
        queue.begin("a")
        first, _ = queue.follow_up("a")
        assert queue.follow_up("a") == (first, SubmitOutcome.JOINED)
        assert queue.submit("a", HIGH)[0].id == first.id
        assert queue.table.counts().pending == 1


class TestMaxPending:
    """New tasks are refused when the queue is full."""

    def test_a_new_task_too_many_is_refused(self, queue: BareQueue) -> None:
        """Nothing is changed, and the error says the limit."""
        queue.submit("a", max_pending=1)
        before, revision = unchanged_by(queue), queue.table.revision()
        with pytest.raises(QueueFullError) as caught:
            queue.submit("b", max_pending=1)
        assert caught.value.max_pending == 1
        assert unchanged_by(queue) == before
        assert queue.table.revision() == revision

    def test_a_follow_up_is_a_new_task_too(self, queue: BareQueue) -> None:
        """It takes a place in the queue."""
        queue.begin("a")
        queue.submit("b")
        with pytest.raises(QueueFullError):
            queue.submit("a", when_running=FOLLOW_UP, max_pending=1)

    def test_joins_and_upgrades_pass(self, queue: BareQueue) -> None:
        """They take no place."""
        queue.begin("a")
        queue.submit("b")
        assert queue.submit("a", max_pending=0)[1] is SubmitOutcome.JOINED
        assert queue.submit("b", max_pending=0)[1] is SubmitOutcome.JOINED
        assert queue.submit("b", scope=DEEP, max_pending=0)[1] is SubmitOutcome.UPGRADED

    def test_what_a_person_asks_for_passes(self, queue: BareQueue) -> None:
        """HIGH is never refused."""
        queue.submit("a")
        assert queue.submit("b", HIGH, max_pending=0)[1] is SubmitOutcome.CREATED

    def test_running_tasks_do_not_count(self, queue: BareQueue) -> None:
        """Only pending ones do."""
        queue.begin("a")
        assert queue.submit("b", max_pending=1)[1] is SubmitOutcome.CREATED

    def test_a_place_that_is_free_again_is_taken(self, queue: BareQueue) -> None:
        """After a cancel, say."""
        task, _ = queue.submit("a", max_pending=1)
        queue.cancel(task.id)
        assert queue.submit("b", max_pending=1)[1] is SubmitOutcome.CREATED


class TestClaiming:
    """Which task runs next."""

    @pytest.mark.requirement("1.3", "5.3")
    def test_the_most_urgent_goes_first_then_the_oldest(self, queue: BareQueue) -> None:
        """By priority, then by order of submission, though the clock was set back."""
        for library_id, priority in [
            *(("low", LOW), ("normal", NORMAL), ("high", HIGH)),
            *(("high too", HIGH), ("normal too", NORMAL), ("low too", LOW)),
        ]:
            queue.submit(library_id, priority)
            queue.pass_time(-3600)
        order = [queue.claim().library_id for _ in range(6)]
        assert order == ["high", "high too", "normal", "normal too", "low", "low too"]
        assert queue.try_claim() is None

    def test_an_upgraded_task_keeps_its_rank_by_age(self, queue: BareQueue) -> None:
        """It goes before the younger ones of its new priority, and behind the older."""
        queue.submit("oldest", HIGH)
        queue.submit("upgraded", LOW)
        queue.submit("youngest", HIGH)
        queue.submit("upgraded", HIGH)
        assert [queue.claim().library_id for _ in range(3)] == ["oldest", "upgraded", "youngest"]

    def test_a_claim_begins_an_attempt(self, queue: BareQueue) -> None:
        """It is RUNNING from now on, and holds the slot of its library."""
        submitted, _ = queue.submit("a", HIGH, FILMS)
        queue.pass_time(5)
        claimed = queue.try_claim("worker")
        assert claimed is not None
        task, slot = claimed
        assert facts(task) == RUNNING
        assert (task.id, task.attempt, task.rank) == (submitted.id, 1, submitted.rank)
        assert (task.created_at, task.started_at) == (NOON, NOON + timedelta(seconds=5))
        assert slot == Slot("a", task.id, 1, "worker")
        assert queue.table.slot_of("a") == slot
        assert queue.table.pending_of("a") is None

    def test_a_library_that_cannot_start_holds_no_other_up(self, queue: BareQueue) -> None:
        """Its follow-up is passed over, however urgent."""
        queue.begin("a")
        queue.submit("a", HIGH, when_running=FOLLOW_UP)
        other, _ = queue.submit("b", LOW)
        assert queue.claim().task_id == other.id
        assert queue.try_claim() is None

    def test_a_paused_queue_starts_nothing(self, queue: BareQueue) -> None:
        """Submissions are taken, running scans go on, and after `resume` it starts again."""
        slot = queue.begin("a")
        queue.table.set_paused(True)
        task, _ = queue.submit("b", HIGH)
        assert queue.try_claim() is None
        assert queue.report(slot, 1) is not None
        queue.finish(slot)
        queue.table.set_paused(False)
        assert queue.claim().task_id == task.id

    def test_max_running_counts_every_slot(self, queue: BareQueue) -> None:
        """Those of stopping scans, and of every process."""
        first, second = queue.begin("a", "here"), queue.begin("b", "there")
        queue.cancel(second.task_id)
        queue.submit("c", HIGH)
        assert queue.try_claim(max_running=2) is None
        queue.finish(first)
        assert queue.try_claim(max_running=2) is not None
        assert queue.try_claim(max_running=2) is None
        queue.submit("d")
        assert queue.try_claim(max_running=3) is not None

    def test_an_empty_queue_has_nothing_to_claim(self, queue: BareQueue) -> None:
        """And looking uses up no revision."""
        revision = queue.table.revision()
        assert queue.try_claim() is None
        assert queue.table.revision() == revision


class TestReporting:
    """Progress, as published."""

    @pytest.mark.requirement("2.2")
    def test_a_report_is_a_change(self, queue: BareQueue) -> None:
        """With a revision of its own."""
        slot = queue.begin("a")
        before = queue.get(slot.task_id)
        task = queue.report(slot, 7)
        assert task is queue.get(slot.task_id)
        assert task is not None
        assert task.progress == TaskProgress(scanned_paths=7)
        assert task.revision > before.revision
        assert facts(task) == RUNNING

    def test_a_report_that_says_nothing_new_is_no_change(self, queue: BareQueue) -> None:
        """Readers are not woken for it."""
        slot = queue.begin("a")
        queue.report(slot, 7)
        revision = queue.table.revision()
        assert queue.report(slot, 7) is None
        assert queue.table.revision() == revision

    def test_progress_may_go_backwards(self, queue: BareQueue) -> None:
        """The scanner knows best."""
        slot = queue.begin("a")
        queue.report(slot, 7)
        task = queue.report(slot, 3)
        assert task is not None
        assert task.progress.scanned_paths == 3

    def test_a_report_after_a_cancel_changes_nothing(self, queue: BareQueue) -> None:
        """The scan is stopping."""
        slot = queue.begin("a")
        queue.cancel(slot.task_id)
        assert queue.report(slot, 7) is None
        assert queue.get(slot.task_id).progress.scanned_paths == 0

    def test_a_report_after_the_end_changes_nothing(self, queue: BareQueue) -> None:
        """Not on the ended task, nor on the next one of its library."""
        slot = queue.begin("a")
        queue.finish(slot)
        next_slot = queue.begin("a")
        assert queue.report(slot, 7) is None
        assert queue.get(slot.task_id).progress.scanned_paths == 0
        assert queue.get(next_slot.task_id).progress.scanned_paths == 0


class TestFinishing:
    """What becomes of a task whose scanner returned."""

    @pytest.mark.requirement("6.1")
    def test_a_result_completes_it(self, queue: BareQueue) -> None:
        """The counts are kept, the last progress too, and the slot is free."""
        slot = queue.begin("a")
        queue.pass_time(60)
        result = TaskResult(added_count=1, updated_count=2, removed_count=3, failed_count=4)
        task = queue.finish(slot, _rules.Ending(result), scanned_paths=10)
        assert task is queue.get(slot.task_id)
        assert task is not None
        assert facts(task) == COMPLETED
        assert (task.result, task.error) == (result, None)
        assert task.progress.scanned_paths == 10
        assert task.completed_at == NOON + timedelta(seconds=60)
        assert queue.table.slot_of("a") is None

    @pytest.mark.requirement("6.2")
    @pytest.mark.parametrize(
        ("ending", "reason"),
        [
            pytest.param(BROKEN, EndReason.ERROR, id="error"),
            pytest.param(AWAY, EndReason.UNAVAILABLE, id="unavailable"),
        ],
    )
    def test_an_error_fails_it(
        self, queue: BareQueue, ending: _rules.Ending, reason: EndReason
    ) -> None:
        """The message and the reason are kept, and there is no result."""
        slot = queue.begin("a")
        task = queue.finish(slot, ending, scanned_paths=10)
        assert task is not None
        assert facts(task) == (TaskStatus.FAILED, reason, False)
        assert (task.error, task.result) == (ending.error, None)
        assert task.progress.scanned_paths == 10
        assert queue.table.slot_of("a") is None

    def test_a_late_result_is_kept_though_it_was_cancelled(self, queue: BareQueue) -> None:
        """Nothing else of the task changes but that the slot is free."""
        slot = queue.begin("a")
        queue.report(slot, 5)
        cancelled = queue.cancel(slot.task_id)
        queue.pass_time(60)
        task = queue.finish(slot, DONE, scanned_paths=99)
        assert task is not None
        assert facts(task) == CANCELLED
        assert task.result == DONE.result
        assert task.completed_at == cancelled.completed_at == NOON
        assert task.progress.scanned_paths == 5
        assert task.revision > cancelled.revision

    def test_what_a_cancelled_scan_raises_is_ignored(self, queue: BareQueue) -> None:
        """It was told to stop, after all."""
        slot = queue.begin("a")
        queue.cancel(slot.task_id)
        task = queue.finish(slot, BROKEN)
        assert task is not None
        assert facts(task) == CANCELLED
        assert (task.error, task.result) == (None, None)

    def test_a_scan_that_finished_cannot_finish_again(self, queue: BareQueue) -> None:
        """Its slot is not its own any more."""
        slot = queue.begin("a")
        queue.finish(slot)
        before = unchanged_by(queue)
        assert queue.finish(slot, BROKEN) is None
        assert unchanged_by(queue) == before


class TestFencing:
    """A late write of an earlier attempt changes nothing."""

    def test_an_attempt_that_was_declared_dead_is_powerless(self, queue: BareQueue) -> None:
        """Its task runs again elsewhere, and hears nothing of it."""
        old = queue.begin("a", "frozen")
        queue.recover(["frozen"])
        new = queue.claim("alive")
        assert (new.task_id, new.attempt) == (old.task_id, 2)
        before = unchanged_by(queue)
        assert queue.report(old, 7) is None
        assert queue.finish(old) is None
        assert queue.stop(old, durable=True) is None
        assert _rules.is_lost(queue.table, old, 0)
        assert not _rules.is_lost(queue.table, new, 0)
        assert unchanged_by(queue) == before

    @pytest.mark.parametrize(
        "forged",
        [
            pytest.param({"attempt": 9}, id="attempt"),
            pytest.param({"owner": "somebody"}, id="owner"),
            pytest.param({"task_id": UUID(int=77)}, id="task"),
            pytest.param({"library_id": "b"}, id="library"),
        ],
    )
    def test_a_slot_that_is_not_held_frees_nothing(
        self, queue: BareQueue, forged: dict[str, object]
    ) -> None:
        """Every part of it must be right."""
        slot = queue.begin("a")
        fields: dict[str, object] = {
            "library_id": slot.library_id,
            "task_id": slot.task_id,
            "attempt": slot.attempt,
            "owner": slot.owner,
        }
        other = Slot(**(fields | forged))  # type: ignore[arg-type]
        assert queue.finish(other) is None
        assert queue.report(other, 1) is None
        assert queue.table.slot_of("a") == slot


class TestCancelling:
    """Cancels, on request."""

    @pytest.mark.requirement("3.1")
    def test_a_pending_task_is_cancelled_at_once(self, queue: BareQueue) -> None:
        """It is out of the queue and never runs."""
        pending, _ = queue.submit("a")
        queue.pass_time(5)
        task = queue.cancel(pending.id)
        assert facts(task) == CANCELLED
        assert (task.started_at, task.completed_at) == (None, NOON + timedelta(seconds=5))
        assert queue.table.pending_of("a") is None
        assert queue.try_claim() is None

    @pytest.mark.requirement("3.2")
    def test_a_running_task_is_cancelled_at_once_and_stopping(self, queue: BareQueue) -> None:
        """It holds its slot until its scanner returns."""
        slot = queue.begin("a")
        assert not _rules.is_lost(queue.table, slot, 0)
        task = queue.cancel(slot.task_id)
        assert facts(task) == STOPPING
        assert task.completed_at == NOON
        assert _rules.is_lost(queue.table, slot, 0)
        assert queue.table.slot_of("a") == slot

    def test_a_claim_that_is_not_committed_yet_is_not_lost(self, queue: BareQueue) -> None:
        """Also if its task is not there yet: both may be in one commit."""
        slot = Slot("a", UUID(int=7), 1, "me")
        assert not _rules.is_lost(queue.table, slot, queue.table.revision() + 1)
        assert _rules.is_lost(queue.table, slot, queue.table.revision())

    def test_a_follow_up_is_left_alone(self, queue: BareQueue) -> None:
        """Only the task that was named is cancelled."""
        slot = queue.begin("a")
        waiting, _ = queue.follow_up("a")
        queue.cancel(slot.task_id)
        assert queue.get(waiting.id) is waiting

    @pytest.mark.requirement("3.3")
    @pytest.mark.parametrize("ending", [DONE, BROKEN, None], ids=["done", "broken", "cancelled"])
    def test_an_ended_task_cannot_be_cancelled(
        self, queue: BareQueue, ending: _rules.Ending | None
    ) -> None:
        """The error carries it, and nothing was changed."""
        slot = queue.begin("a")
        if ending is None:
            queue.cancel(slot.task_id)
        else:
            queue.finish(slot, ending)
        before = unchanged_by(queue)
        with pytest.raises(TaskNotCancellableError) as caught:
            queue.cancel(slot.task_id)
        assert caught.value.task == queue.get(slot.task_id).snapshot()
        assert unchanged_by(queue) == before

    def test_an_unknown_task_cannot_be_cancelled(self, queue: BareQueue) -> None:
        """The error carries the id."""
        with pytest.raises(TaskNotFoundError) as caught:
            queue.cancel(UUID(int=77))
        assert caught.value.task_id == UUID(int=77)

    def test_a_completion_that_came_first_wins(self, queue: BareQueue) -> None:
        """And a cancel that came first does: one winner, which everybody sees."""
        first, second = queue.begin("a"), queue.begin("b")
        queue.finish(first)
        with pytest.raises(TaskNotCancellableError):
            queue.cancel(first.task_id)
        queue.cancel(second.task_id)
        queue.finish(second)
        assert facts(queue.get(first.task_id)) == COMPLETED
        assert facts(queue.get(second.task_id)) == CANCELLED

    def test_a_library_is_cancelled_as_a_whole(self, queue: BareQueue) -> None:
        """The running task first, then the one behind it, and no other library's."""
        slot = queue.begin("a")
        waiting, _ = queue.follow_up("a")
        other, _ = queue.submit("b")
        tasks = queue.cancel_library("a")
        assert [task.id for task in tasks] == [slot.task_id, waiting.id]
        assert [facts(task) for task in tasks] == [STOPPING, CANCELLED]
        assert facts(queue.get(other.id)) == PENDING

    def test_a_library_at_rest_has_nothing_to_cancel(self, queue: BareQueue) -> None:
        """Nor has one whose only task is stopping."""
        slot = queue.begin("a")
        assert queue.cancel_library("b") == []
        queue.cancel(slot.task_id)
        assert queue.cancel_library("a") == []


class TestShuttingDown:
    """What a shutdown does to tasks."""

    def test_pending_tasks_end(self, queue: BareQueue) -> None:
        """In a store that is not durable; in batches, in order of claim."""
        tasks = [queue.submit(name, priority)[0] for name, priority in (("a", LOW), ("b", HIGH))]
        slot = queue.claim()
        waiting, _ = queue.follow_up("b")
        assert [task.id for task in queue.end_pending(limit=1)] == [waiting.id]
        assert [task.id for task in queue.end_pending(limit=5)] == [tasks[0].id]
        assert queue.end_pending(limit=5) == []
        assert facts(queue.get(waiting.id)) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN, False)
        assert facts(queue.get(slot.task_id)) == RUNNING

    @pytest.mark.parametrize("has_follow_up", [False, True])
    def test_a_running_task_ends_where_nothing_is_durable(
        self, queue: BareQueue, has_follow_up: bool
    ) -> None:
        """At that moment; a late result is kept."""
        slot = queue.begin("a")
        waiting = queue.follow_up("a")[0] if has_follow_up else None
        queue.pass_time(5)
        task = queue.stop(slot, durable=False)
        assert task is not None
        assert facts(task) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN, True)
        assert task.completed_at == NOON + timedelta(seconds=5)
        assert task.error is None
        late = queue.finish(slot)
        assert late is not None
        assert facts(late) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN, False)
        assert late.result == DONE.result
        assert queue.table.pending_of("a") is waiting

    @pytest.mark.parametrize("ending", [DONE, BROKEN], ids=["done", "broken"])
    def test_a_running_task_goes_back_where_tasks_are_durable(
        self, queue: BareQueue, ending: _rules.Ending
    ) -> None:
        """With its id, priority, scope and rank; the slot is held until the scanner returns."""
        submitted, _ = queue.submit("a", HIGH, FILMS)
        slot = queue.claim()
        queue.report(slot, 5)
        task = queue.stop(slot, durable=True)
        assert task is not None
        assert facts(task) == RETURNING
        assert (task.id, task.rank, task.created_at) == (submitted.id, submitted.rank, NOON)
        assert (task.priority, task.scope) == (HIGH, FILMS)
        assert (task.started_at, task.completed_at, task.attempt) == (None, None, 1)
        assert task.progress == TaskProgress(scanned_paths=0)
        assert task.interruptions == 0
        assert queue.try_claim() is None, "the scanner is still at work"
        late = queue.finish(slot, ending, scanned_paths=99)
        assert late is not None
        assert facts(late) == PENDING
        assert (late.result, late.error) == (None, None)
        assert late.progress == TaskProgress(scanned_paths=0)
        assert queue.claim() == Slot("a", submitted.id, 2, "me")

    def test_a_task_that_goes_back_is_claimed_by_its_age(self, queue: BareQueue) -> None:
        """Before the younger ones, as if it had never left."""
        slot = queue.begin("a")
        queue.submit("b")
        queue.stop(slot, durable=True)
        queue.finish(slot)
        assert [task.library_id for task in queue.table.pending(None)] == ["a", "b"]
        assert queue.claim().library_id == "a"

    @pytest.mark.parametrize("is_deep", [False, True])
    def test_a_follow_up_takes_over(self, queue: BareQueue, is_deep: bool) -> None:
        """Union of the scopes, the higher priority; the running task ends and names it."""
        queue.submit("a", HIGH, FILMS)
        slot = queue.claim()
        scope = ScanScope(paths=["music"], deep=is_deep)
        waiting, _ = queue.submit("a", LOW, scope, FOLLOW_UP)
        ended = queue.stop(slot, durable=True)
        assert ended is queue.get(slot.task_id)
        assert ended is not None
        assert facts(ended) == (TaskStatus.CANCELLED, EndReason.SHUTDOWN, True)
        assert ended.completed_at == NOON
        assert str(waiting.id) in str(ended.error)
        heir = queue.get(waiting.id)
        assert facts(heir) == PENDING
        assert (heir.priority, heir.scope) == (HIGH, FILMS.union(scope))
        assert (heir.rank, heir.created_at) == (waiting.rank, waiting.created_at)
        assert (heir.attempt, heir.interruptions) == (0, 0)
        late = queue.finish(slot)
        assert late is not None
        assert late.result == DONE.result, "it is kept where the task ended"
        assert queue.claim().task_id == heir.id

    def test_a_task_that_goes_back_can_be_joined_raised_and_cancelled(
        self, queue: BareQueue
    ) -> None:
        """It is the pending task of its library."""
        slot = queue.begin("a")
        task = queue.stop(slot, durable=True)
        assert queue.follow_up("a") == (task, SubmitOutcome.JOINED)
        raised, outcome = queue.submit("a", HIGH)
        assert outcome is SubmitOutcome.UPGRADED
        assert facts(raised) == RETURNING
        assert facts(queue.cancel(slot.task_id)) == STOPPING
        late = queue.finish(slot)
        assert late is not None
        assert facts(late) == CANCELLED

    @pytest.mark.parametrize("durable", [False, True])
    def test_a_scan_that_ended_before_cannot_be_stopped(
        self, queue: BareQueue, durable: bool
    ) -> None:
        """Neither one that returned, nor one that was cancelled, nor one that was stopped."""
        slots = [queue.begin(name) for name in "abc"]
        queue.finish(slots[0])
        queue.cancel(slots[1].task_id)
        queue.stop(slots[2], durable=durable)
        before = unchanged_by(queue)
        assert [queue.stop(slot, durable=durable) for slot in slots] == [None] * 3
        assert unchanged_by(queue) == before


class TestRecovering:
    """When a process dies, its slots are freed and its running tasks wait again."""

    def test_a_running_task_waits_again(self, queue: BareQueue) -> None:
        """With its id, priority, scope and rank; the death is counted, the attempt kept."""
        submitted, _ = queue.submit("a", HIGH, FILMS)
        slot = queue.claim("dead")
        queue.report(slot, 5)
        tasks = queue.recover(["dead"])
        assert tasks == [queue.get(slot.task_id)]
        task = tasks[0]
        assert facts(task) == PENDING
        assert (task.id, task.rank, task.created_at) == (submitted.id, submitted.rank, NOON)
        assert (task.priority, task.scope) == (HIGH, FILMS)
        assert (task.started_at, task.completed_at) == (None, None)
        assert (task.attempt, task.interruptions) == (1, 1)
        assert (task.error, task.reason) == (None, None)
        assert task.progress == TaskProgress(scanned_paths=0)
        assert queue.table.slot_of("a") is None
        assert queue.claim().attempt == 2

    def test_a_slot_without_its_task_is_freed(self, queue: BareQueue) -> None:
        """A record that was lost must not hold its library for ever."""
        queue.table.take_slot(Slot("lost", UUID(int=99), 1, "dead"))
        assert queue.recover(["dead"]) == []
        assert queue.table.slot_of("lost") is None

    def test_a_stopping_task_stays_cancelled(self, queue: BareQueue) -> None:
        """Its slot is freed, and no death is counted."""
        slot = queue.begin("a", "dead")
        cancelled = queue.cancel(slot.task_id)
        (task,) = queue.recover(["dead"])
        assert facts(task) == CANCELLED
        assert (task.completed_at, task.interruptions) == (cancelled.completed_at, 0)
        assert queue.table.slot_of("a") is None

    def test_a_shutdown_that_did_not_come_to_its_end_does_not_count(self, queue: BareQueue) -> None:
        """The task was sent back before its process died."""
        slot = queue.begin("a", "dead")
        queue.stop(slot, durable=True)
        (task,) = queue.recover(["dead"], max_interruptions=1)
        assert facts(task) == PENDING
        assert task.interruptions == 0

    def test_the_living_keep_their_slots(self, queue: BareQueue) -> None:
        """Only those who are dead for sure lose theirs."""
        alive, dead = queue.begin("a", "alive"), queue.begin("b", "dead")
        assert [task.id for task in queue.recover({"dead", "never seen"})] == [dead.task_id]
        assert queue.table.slots() == [alive]
        assert queue.recover([]) == []

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_a_task_whose_process_died_too_often_fails(self, queue: BareQueue, limit: int) -> None:
        """At the death that reaches the limit."""
        submitted, _ = queue.submit("a")
        for death in range(1, limit + 1):
            queue.claim("dead")
            queue.pass_time(60)
            queue.recover(["dead"], max_interruptions=limit)
            task = queue.get(submitted.id)
            assert task.interruptions == death
            assert facts(task) == (INTERRUPTED if death == limit else PENDING)
        task = queue.get(submitted.id)
        assert task.completed_at == queue.now
        assert task.error
        assert task.attempt == limit
        assert queue.table.counts().slots == 0

    def test_a_follow_up_takes_over(self, queue: BareQueue) -> None:
        """Scope, priority and count of deaths; the dead task fails and names it."""
        queue.submit("a", HIGH, FILMS)
        slot = queue.claim("dead")
        waiting, _ = queue.submit("a", LOW, MUSIC, FOLLOW_UP)
        (task,) = queue.recover(["dead"])
        assert task is queue.get(slot.task_id)
        assert facts(task) == INTERRUPTED
        assert str(waiting.id) in str(task.error)
        heir = queue.get(waiting.id)
        assert facts(heir) == PENDING
        assert (heir.priority, heir.scope, heir.interruptions) == (HIGH, BOTH, 1)
        assert (heir.rank, heir.created_at) == (waiting.rank, waiting.created_at)
        assert queue.claim().task_id == heir.id

    def test_a_task_that_was_handed_over_is_pruned_like_any_other(self, queue: BareQueue) -> None:
        """Once, though it was written twice when it ended."""
        slot = queue.begin("a", "dead")
        queue.follow_up("a")
        queue.recover(["dead"])
        assert queue.prune(NOON + timedelta(hours=1)) == 1
        assert queue.table.get(slot.task_id) is None
        assert queue.prune(NOON + timedelta(hours=1)) == 0
        assert queue.table.counts().failed == 0

    def test_deaths_are_inherited_until_the_limit(self, queue: BareQueue) -> None:
        """A library that kills its process does not go on for ever by way of follow-ups."""
        queue.submit("a")
        queue.claim("dead")
        queue.recover(["dead"])
        queue.claim("dead")
        waiting, _ = queue.follow_up("a")
        queue.recover(["dead"])
        assert queue.get(waiting.id).interruptions == 2
        queue.claim("dead")
        (task,) = queue.recover(["dead"])
        assert task.id == waiting.id
        assert facts(task) == INTERRUPTED

    def test_a_cancelled_scan_leaves_its_follow_up_alone(self, queue: BareQueue) -> None:
        """It ended before its process died, so there is nothing to take over."""
        slot = queue.begin("a", "dead")
        queue.cancel(slot.task_id)
        waiting, _ = queue.submit("a", LOW, FILMS)
        queue.recover(["dead"])
        assert queue.get(waiting.id) is waiting


class TestLooking:
    """The questions that are rules."""

    def test_the_active_tasks_of_a_library_are_the_running_and_the_pending_one(
        self, queue: BareQueue
    ) -> None:
        """In this order; a stopping task is not active."""
        slot = queue.begin("a")
        waiting, _ = queue.follow_up("a")
        active = _rules.active_of(queue.table, "a")
        assert [task.id for task in active] == [slot.task_id, waiting.id]
        queue.cancel(slot.task_id)
        assert _rules.active_of(queue.table, "a") == [waiting]
        assert _rules.active_of(queue.table, "b") == []

    def test_running_tasks_come_oldest_start_first(self, queue: BareQueue) -> None:
        """Though the clock was set back in between, and without those that are stopping."""
        slots = []
        for name in "abc":
            slots.append(queue.begin(name))
            queue.pass_time(-60)
        queue.cancel(slots[1].task_id)
        running = [task.library_id for task in _rules.running(queue.table)]
        assert running == ["a", "c"]

    @pytest.mark.requirement("2.3")
    def test_history_is_the_window_and_what_is_stopping(self, queue: BareQueue) -> None:
        """The latest end first; a scan that does not return is listed however old its end is."""
        stuck, long_ago, lately = (queue.begin(name) for name in "abc")
        queue.cancel(stuck.task_id)
        queue.finish(long_ago)
        queue.pass_time(3600)
        queue.finish(lately)
        found = _rules.history(queue.table, NOON + timedelta(seconds=1), None, None)
        assert [task.id for task in found] == [lately.task_id, stuck.task_id]

    def test_what_was_cancelled_as_the_window_begins_is_listed_once(self, queue: BareQueue) -> None:
        """It is in the window, and stopping: each task has one place."""
        slot = queue.begin("a")
        task = queue.cancel(slot.task_id)
        assert task.is_stopping
        assert _rules.history(queue.table, NOON, None, None) == [task]

    def test_history_is_limited_and_by_library(self, queue: BareQueue) -> None:
        """Both count for what is stopping, too."""
        for name in "ab":
            slot = queue.begin(name)
            queue.cancel(slot.task_id)
        later = NOON + timedelta(seconds=1)

        def names(limit: int | None, library_id: str | None) -> list[object]:
            found = _rules.history(queue.table, later, limit, library_id)
            return [task.library_id for task in found]

        assert names(None, "a") == ["a"]
        assert names(None, "c") == []
        assert len(names(1, None)) == 1
        assert names(0, None) == []

    def test_stopping_tasks_are_listed_by_their_order_of_ending(self, queue: BareQueue) -> None:
        """Latest end first, also those outside the window, and of one moment."""
        slots = [queue.begin(name) for name in "abc"]
        for slot in slots:
            queue.cancel(slot.task_id)
        found = _rules.history(queue.table, NOON + timedelta(hours=1), None, None)
        assert [task.library_id for task in found] == ["c", "b", "a"]

    def test_stopping_tasks_are_in_order_of_ending_though_the_clock_was_set_back(
        self, queue: BareQueue
    ) -> None:
        """The recorded moments do not matter for the order."""
        for name in "abc":
            slot = queue.begin(name)
            queue.cancel(slot.task_id)
            queue.pass_time(-60)
        found = _rules.history(queue.table, NOON + timedelta(hours=1), None, None)
        assert [task.library_id for task in found] == ["c", "b", "a"]


class TestPruning:
    """Forgetting what ended long ago."""

    def test_what_ended_before_the_moment_is_deleted(self, queue: BareQueue) -> None:
        """And nothing else: not what ended at it, nor what is active."""
        slots = []
        for name in "abc":
            slots.append(queue.begin(name))
            queue.finish(slots[-1])
            queue.pass_time(60)
        waiting, _ = queue.submit("d")
        assert queue.prune(NOON + timedelta(seconds=60)) == 1
        assert queue.table.get(slots[0].task_id) is None
        assert {task.id for task in queue.everything()} == {
            slots[1].task_id,
            slots[2].task_id,
            waiting.id,
        }
        assert queue.table.counts().completed == 2

    def test_a_stopping_task_is_kept_until_its_scanner_returns(self, queue: BareQueue) -> None:
        """Then it goes like any other."""
        slot = queue.begin("a")
        queue.cancel(slot.task_id)
        later = NOON + timedelta(days=2)
        assert queue.prune(later) == 0
        queue.finish(slot)
        assert queue.prune(later) == 1
        assert queue.table.get(slot.task_id) is None

    def test_a_clock_that_was_set_back_loses_nothing(self, queue: BareQueue) -> None:
        """What has a later end by the record is kept, though it ended earlier."""
        early, late = queue.begin("a"), queue.begin("b")
        queue.finish(early)
        queue.pass_time(-3600)
        queue.finish(late)
        assert queue.prune(NOON) == 1
        assert queue.table.get(early.task_id) is not None
        assert queue.table.get(late.task_id) is None

    def test_one_call_deletes_a_small_batch(self, queue: BareQueue) -> None:
        """The ones that ended first; so that no transaction takes long."""
        ids = []
        for number in range(_rules.PRUNE_BATCH + 5):
            slot = queue.begin(number)
            queue.finish(slot)
            queue.pass_time(1)
            ids.append(slot.task_id)
        later = NOON + timedelta(days=1)
        assert queue.prune(later) == _rules.PRUNE_BATCH
        assert [task.id for task in queue.everything()] == ids[_rules.PRUNE_BATCH :]
        assert queue.prune(later) == 5
        assert queue.prune(later) == 0

    def test_a_pruned_task_disappears_from_every_question(self, queue: BareQueue) -> None:
        """Also from what changed since."""
        slot = queue.begin("a")
        queue.finish(slot)
        revision = queue.table.revision()
        queue.prune(NOON + timedelta(days=1))
        assert queue.everything() == []
        assert queue.table.ended(NOON, None, "a") == []
        assert queue.table.revision() == revision
        with pytest.raises(TaskNotFoundError):
            queue.cancel(slot.task_id)
