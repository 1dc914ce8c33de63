"""The eight properties of the requirements, over any sequence of calls, on both stores.

A *story* is such a sequence, played on a service with a fake clock; scans run on the same thread,
and calls come also from inside of them, when their task is RUNNING.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from scanqueue import (
    LibraryId,
    LibraryUnavailable,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskNotCancellableError,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.protocols import TaskStore
from scanqueue.testing import FakeClock
from tests.bare_queue import FIRST_REVISION, WHOLE, BareQueue
from tests.both_stores import new_stores
from tests.stores.tables import table_in_memory

LIBRARIES: list[LibraryId] = [1, "1", "music"]
SCOPES = [WHOLE, ScanScope(paths=["films"]), ScanScope(paths=["new"]), ScanScope(deep=True)]
RETENTION = timedelta(hours=24)

libraries = st.sampled_from(LIBRARIES)
priorities = st.sampled_from(TaskPriority)


@attrs.frozen
class Submit:
    """Ask for a scan."""

    library_id: LibraryId
    priority: TaskPriority = TaskPriority.NORMAL
    scope: ScanScope = WHOLE
    when_running: WhenRunning = WhenRunning.JOIN


@attrs.frozen
class Cancel:
    """Cancel the n-th task that was made."""

    number: int


@attrs.frozen
class Wait:
    """Let hours pass; below 0, the clock is set back."""

    hours: int


@attrs.frozen
class Run:
    """Run the next task; during its scan, other things happen. It returns, or raises."""

    meanwhile: list["Submit | Cancel | Wait"]
    error: type[Exception] | None


QUIETLY = Run([], None)

Call = Submit | Cancel | Wait | Run

requests = st.builds(
    Submit, libraries, priorities, st.sampled_from(SCOPES), st.sampled_from(WhenRunning)
)
calls: SearchStrategy[Submit | Cancel | Wait] = st.one_of(
    requests,
    st.builds(Cancel, st.integers(0, 9)),
    st.builds(Wait, st.integers(-20, 30)),
)
runs = st.builds(
    Run, st.lists(calls, max_size=3), st.sampled_from([None, OSError, LibraryUnavailable])
)
stories: SearchStrategy[list[Call]] = st.lists(calls | runs, max_size=20)


class Story:
    """A service, and what was done to it.

    Args:
        store: Where its tasks are.
    """

    def __init__(self, store: TaskStore) -> None:
        self.clock = FakeClock()
        self.queue = ScanQueueService(
            self._scan, store=store, workers=0, clock=self.clock, history_retention=RETENTION
        )
        self.made: list[UUID] = []
        """The tasks, in order of submission."""
        self.states: dict[UUID, TaskStatus] = {}
        """What the calls so far imply."""
        self.ran: list[UUID] = []
        self.endings: list[UUID] = []
        """In order of ending."""
        self.look: Callable[[], None] = lambda: None
        """What to check after each call."""
        self._run = QUIETLY
        self.is_scanning = False

    def play(self, story: list[Call]) -> None:
        """Make the calls."""
        for call in story:
            match call:
                case Submit():
                    self.submit(call)
                case Cancel(number):
                    self.cancel(number)
                case Wait(hours):
                    self.wait(hours)
                case Run():
                    self.run(call, limit=1)
            self.look()

    def run(self, call: Run, limit: int | None = None) -> None:
        """Run what can be claimed, each in this way."""
        self._run = call
        self.queue.run_pending(limit)
        self.is_scanning = False

    def submit(self, call: Submit) -> Submission:
        """Ask for a scan."""
        submission = self.queue.submit(
            call.library_id, call.priority, scope=call.scope, when_running=call.when_running
        )
        if submission.outcome in (SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP):
            self.made.append(submission.task_id)
            self.states[submission.task_id] = TaskStatus.PENDING
        return submission

    def cancel(self, number: int) -> None:
        """Cancel a task that is active."""
        if number < len(self.made) and self.states[self.made[number]].is_active:
            self.queue.cancel_task(self.made[number])
            self._end(self.made[number], TaskStatus.CANCELLED)

    def wait(self, hours: int) -> None:
        """Let time pass."""
        if hours < 0:
            self.clock.set_back(timedelta(hours=-hours))
        else:
            self.clock.advance(3600 * hours)

    def _scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        run, task_id = self._run, context.task.id
        self.is_scanning = True
        self.ran.append(task_id)
        self.states[task_id] = TaskStatus.RUNNING
        self.look()
        self.play(list(run.meanwhile))
        if self.states[task_id] is TaskStatus.RUNNING:
            self._end(task_id, TaskStatus.FAILED if run.error else TaskStatus.COMPLETED)
        if run.error:
            raise run.error
        return TaskResult()

    def _end(self, task_id: UUID, status: TaskStatus) -> None:
        self.states[task_id] = status
        self.endings.append(task_id)

    def task(self, task_id: UUID) -> ScanTask:
        """Return a task that is there."""
        task = self.queue.get_task(task_id)
        assert task is not None
        return task

    def active(self, library_id: LibraryId, status: TaskStatus) -> ScanTask | None:
        """Return the task of a library with a status."""
        tasks = [*self.queue.list_running(), *self.queue.list_pending()]
        found = [task for task in tasks if (task.library_id, task.status) == (library_id, status)]
        assert len(found) <= 1
        return found[0] if found else None


@contextmanager
def played(
    store_kind: str, story: list[Call], look: Callable[[Story], None] | None = None
) -> Iterator[Story]:
    """Play a story on a new store, with a look after each call, and shut its service down."""
    with new_stores(store_kind) as new_store:
        teller = Story(new_store())
        if look is not None:
            teller.look = lambda: look(teller)
        try:
            teller.play(story)
            yield teller
        finally:
            teller.queue.shutdown(0)


@pytest.mark.requirement("P1", "1.1", "1.2")
@given(story=stories, request=requests)
def test_a_submission_belongs_to_a_pending_task_unless_it_joined_another(
    store_kind: str, story: list[Call], request: Submit
) -> None:
    """P1: its task is in the queue, or is the one that covers the request."""
    with played(store_kind, story) as teller:
        before = {task.id for task in teller.queue.list_tasks()}
        submission = teller.submit(request)
        task = teller.task(submission.task_id)
        assert task == submission.task
        assert task.library_id == request.library_id
        if submission.outcome is SubmitOutcome.JOINED:
            assert task.is_active
            assert task.id in before
        else:
            assert task.status is TaskStatus.PENDING
            assert task.id in {waiting.id for waiting in teller.queue.list_pending()}
            assert (task.id in before) == (submission.outcome is SubmitOutcome.UPGRADED)


@pytest.mark.requirement("P2", "1.3", "5.3")
@given(data=st.data())
def test_whatever_is_claimed_next_nothing_more_urgent_or_older_is_passed_over(
    store_kind: str, data: st.DataObject
) -> None:
    """P2: looked at with several scans at work, so that some libraries cannot start."""
    queue = BareQueue()
    if store_kind == "memory":
        claim_in_order(queue, data)
        return
    table = table_in_memory(FIRST_REVISION)
    with closing(table._cursor.connection):
        queue.table = table  # type: ignore[assignment]
        claim_in_order(queue, data)


def claim_in_order(queue: BareQueue, data: st.DataObject) -> None:
    """Submit, claim and end, and compare each claim with what should be claimed."""
    order: list[UUID] = []
    for action in data.draw(st.lists(st.sampled_from(["submit", "claim", "end", "set back"]))):
        slots = list(queue.table.slots())
        if action == "submit":
            library_id = data.draw(st.integers(1, 4))
            task, _ = queue.submit(
                library_id, data.draw(priorities), when_running=WhenRunning.FOLLOW_UP
            )
            order += [task.id] * (task.id not in order)
        elif action == "set back":
            queue.pass_time(-60)
        elif action == "end" and slots:
            queue.finish(data.draw(st.sampled_from(slots)))
        elif action == "claim":
            taken = {slot.library_id for slot in slots}
            waiting = [queue.get(task_id) for task_id in order]
            claimable = [
                task
                for task in waiting
                if task.status is TaskStatus.PENDING and task.library_id not in taken
            ]
            expected = max(claimable, key=lambda task: task.priority, default=None)
            claimed = queue.try_claim()
            assert (claimed and claimed[0].id) == (expected and expected.id)


@pytest.mark.requirement("P3", "2.1")
@given(story=stories)
def test_asking_for_a_submitted_id_gives_the_state_that_the_calls_imply(
    store_kind: str, story: list[Call]
) -> None:
    """P3: at any moment, also during a scan, unless it was pruned."""

    def look(teller: Story) -> None:
        for task_id, status in teller.states.items():
            task = teller.queue.get_task(task_id)
            if task is None:
                assert status.is_ended
            else:
                assert task.status is status
                assert (task.attempt > 0) == (task_id in teller.ran)

    with played(store_kind, story, look):
        pass


@pytest.mark.requirement("P4", "2.3", "6.3")
@given(story=stories)
def test_history_is_every_ended_task_of_the_window_newest_end_first(
    store_kind: str, story: list[Call]
) -> None:
    """P4: and none outside it; but what was outside once may be gone, if the clock is set back."""
    ends: dict[UUID, datetime] = {}
    outside_once: set[UUID] = set()

    def look(teller: Story) -> None:
        window_start = teller.clock.now() - RETENTION
        for task_id in teller.endings:
            task = teller.queue.get_task(task_id)
            if task is not None and task.completed_at is not None:
                ends[task_id] = task.completed_at
        inside = [t for t in reversed(teller.endings) if t in ends and ends[t] >= window_start]
        outside_once.update(set(teller.endings) - set(inside))
        if not teller.is_scanning:  # so that nothing is stopping, which is listed however old
            found = [task.id for task in teller.queue.list_history()]
            assert found == [t for t in inside if t in found or t not in outside_once]

    with played(store_kind, story, look):
        pass


@pytest.mark.requirement("P5", "3.1")
@given(story=stories, data=st.data())
def test_a_cancelled_pending_task_is_out_of_the_queue_and_never_runs(
    store_kind: str, story: list[Call], data: st.DataObject
) -> None:
    """P5: whatever comes after, and though the queue is worked off."""
    with played(store_kind, [*story, Submit("music")]) as teller:
        waiting = teller.queue.list_pending()
        task_id = data.draw(st.sampled_from(waiting)).id
        cancelled = teller.queue.cancel_task(task_id)
        teller.states[task_id] = TaskStatus.CANCELLED
        assert cancelled.status is TaskStatus.CANCELLED
        assert teller.task(task_id) == cancelled
        left = [task.id for task in teller.queue.list_pending()]
        assert left == [task.id for task in waiting if task.id != task_id]
        begun = len(teller.ran)
        teller.run(QUIETLY)
        assert task_id not in teller.ran[begun:]
        assert teller.queue.pending_count() == 0


@pytest.mark.requirement("P6", "3.3")
@given(story=stories)
def test_cancelling_an_ended_task_raises_and_changes_nothing(
    store_kind: str, story: list[Call]
) -> None:
    """P6: nothing at all, not even the revision."""
    with played(store_kind, [Submit("music"), QUIETLY, *story]) as teller:
        for ended in teller.queue.list_history():
            before = (teller.queue.list_tasks(), teller.queue.revision, teller.queue.stats())
            with pytest.raises(TaskNotCancellableError) as caught:
                teller.queue.cancel_task(ended.id)
            assert caught.value.task == ended
            assert (teller.queue.list_tasks(), teller.queue.revision) == before[:2]
            assert teller.queue.stats() == before[2]


@pytest.mark.requirement("P7", "4.1", "4.2")
@given(story=stories)
def test_while_a_library_has_an_active_task_a_plain_request_returns_it(
    store_kind: str, story: list[Call]
) -> None:
    """P7: the pending one, which grows to cover it, else the running one that covers it."""

    def look(teller: Story) -> None:
        covering = []
        for library_id in LIBRARIES:
            pending = teller.active(library_id, TaskStatus.PENDING)
            running = teller.active(library_id, TaskStatus.RUNNING)
            assert teller.queue.get_library_task(library_id) == (running or pending)
            if running is None or pending is not None or running.scope.covers(WHOLE):
                covering.append((library_id, pending or running))
        for library_id, active in covering:
            if active is not None:
                count = len(teller.queue.list_tasks())
                assert teller.queue.submit_task(library_id) == active.id
                assert len(teller.queue.list_tasks()) == count

    with played(store_kind, story, look):
        pass


@pytest.mark.requirement("P8", "4.3")
@given(story=stories, request=requests)
def test_priority_only_ever_rises_and_rises_when_asked(
    store_kind: str, story: list[Call], request: Submit
) -> None:
    """P8: of a pending task; that of a running one stays as it is."""
    seen: dict[UUID, ScanTask] = {}

    def look(teller: Story) -> None:
        for task in teller.queue.list_tasks():
            old = seen.get(task.id, task)
            assert task.priority >= old.priority
            assert task.priority == old.priority or old.status is TaskStatus.PENDING
            seen[task.id] = task

    with played(store_kind, story, look) as teller:
        pending = teller.active(request.library_id, TaskStatus.PENDING)
        submission = teller.submit(request)
        assert submission.task.priority >= request.priority
        if pending is not None:
            assert submission.task_id == pending.id
            assert submission.task.priority == max(pending.priority, request.priority)
        look(teller)
