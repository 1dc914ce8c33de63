"""The service against a plain model of it, by any sequence of calls, endings and clock steps.

On both stores; a queue in a file is also shut down and gone on with by a new service.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import ClassVar, TypeVar
from uuid import UUID, uuid4

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scanqueue import (
    EndReason,
    LibraryId,
    LibraryUnavailable,
    QueueClosedError,
    QueueFullError,
    ScanCancelled,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    TaskNotCancellableError,
    TaskNotFoundError,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.stores import SQLiteStore
from scanqueue.testing import FakeClock, FakeScan, FakeScanner
from tests.both_stores import new_stores
from tests.service.model import EndedError, FullError, Model, ModelTask, UnknownError
from tests.service.tools import PATIENCE, Call, await_that, current
from tests.task_invariants import check_task

pytestmark = [pytest.mark.logs_errors, pytest.mark.slow]

T = TypeVar("T")

ERRORS: list[BaseException] = [
    ValueError("bad"),
    LibraryUnavailable("gone"),
    ScanCancelled("of my own"),
    SystemExit("out"),
    KeyboardInterrupt("c"),
]

library_ids = st.sampled_from([1, 2, "1", "music"])
priorities = st.sampled_from(list(TaskPriority))
whens = st.sampled_from(list(WhenRunning))
scopes = st.builds(
    ScanScope,
    paths=st.sampled_from([(), ("a",), ("b",), ("a/c",), ("a", "b")]),
    deep=st.sampled_from([False, False, True]),
)
counts = st.integers(0, 5)
results = st.builds(TaskResult, added_count=counts, failed_count=counts)
errors = st.sampled_from(ERRORS)
endings: st.SearchStrategy[object] = st.one_of(results, errors, st.sampled_from([None, "wrong"]))
numbers = st.integers(0, 99)


@attrs.define
class Ending:
    """How the scanner of a task returned."""

    result: TaskResult | None
    error: str | None = None
    reason: EndReason | None = None

    @classmethod
    def of(cls, outcome: object) -> Ending:
        """Return what comes of a result, an error, or something else."""
        if isinstance(outcome, TaskResult):
            return cls(outcome)
        if isinstance(outcome, LibraryUnavailable):
            return cls(None, f"LibraryUnavailable: {outcome}", EndReason.UNAVAILABLE)
        if isinstance(outcome, BaseException):
            return cls(None, f"{type(outcome).__name__}: {outcome}", EndReason.ERROR)
        shown = "None" if outcome is None else f"an object of type {type(outcome).__name__}"
        error = f"TypeError: the scanner returned {shown}, not a TaskResult"
        return cls(None, error, EndReason.ERROR)


class ServiceMachine(RuleBasedStateMachine):
    """Drives a service: held scans on its workers, others by `run_pending` on this thread."""

    store_kind: ClassVar = "memory"
    report_interval: ClassVar = 0.2
    """Seconds after which a report is published at once, and a bit."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.new_store = self.resources.enter_context(new_stores(self.store_kind))

    @initialize(
        workers=st.integers(0, 2),
        max_running=st.sampled_from([None, None, 1, 2]),
        max_pending=st.sampled_from([None, None, 0, 2]),
        starts=st.booleans(),
    )
    def make(
        self, workers: int, max_running: int | None, max_pending: int | None, starts: bool
    ) -> None:
        """Make a service with any settings."""
        retention = timedelta(hours=24)
        self.clock = FakeClock()
        self.scanner = FakeScanner()
        self.scanner.hold()
        self.store = self.new_store()
        self.model = Model(max_running, max_pending, retention, durable=self.store.durable)
        self.workers = workers
        self.held: dict[UUID, FakeScan] = {}
        self.deaf: set[UUID] = set()
        self.known: list[UUID] = []
        self.outcomes: list[tuple[object, int]] = []
        self.own: ModelTask | None = None
        self.own_ending = Ending(None)
        self._open()
        self.seen = self.queue.revision
        self.seen_in_model = 0
        if starts:
            self.start()

    def _open(self) -> None:
        """Make a service on the store."""
        self.started = False
        self.queue = ScanQueueService(
            self._scan,
            store=self.store,
            clock=self.clock,
            workers=self.workers,
            max_running=self.model.max_running,
            max_pending=self.model.max_pending,
            history_retention=self.model.retention,
        )

    def _scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        if threading.current_thread() is not threading.main_thread():
            return self.scanner.scan(library_id, context)
        return self._scan_at_once(context)

    def teardown(self) -> None:
        """Shut down, and see that everything ended as it should."""
        with self.resources:
            if not hasattr(self, "queue"):
                return
            try:
                if not self.queue.is_shut_down:
                    self._shut_down()
            finally:
                self.scanner.let_go()
                Call(lambda: self.queue.shutdown(None)).result()

    def _shut_down(self) -> None:
        """Shut down while scans are held, and have them return."""
        for task_id in list(self.held):
            if self._model_task(task_id).status.is_ended:  # it may be past the retention
                self.held[task_id].release()
                self._returns(task_id, Ending(TaskResult()))
                self._settle()  # whoever is free claims before the next one returns
        self._look()
        for scan in self.held.values():
            scan.ignore_cancel()  # so that it is known in which order they return
        assert not (self.queue.shutdown(0) and self.held)
        self.model.shut_down(self.clock.now())
        self._look()
        for task_id in list(self.held):
            self.held[task_id].release(TaskResult(added_count=7))
            self._returns(task_id, Ending(TaskResult(added_count=7)))
        assert self.queue.shutdown(None) is True
        self._look()
        last = {task.id: task for task in self.queue.changes(0)}
        assert len(last) == len(self.model.tasks)
        assert not any(task.holds_slot for task in last.values())
        assert self.model.durable or all(task.is_ended for task in last.values())
        with pytest.raises(QueueClosedError):
            self.queue.submit("late")

    # --- the scans that are held

    def _settle(self) -> None:
        """Have the model claim what free workers must have claimed, and meet their scans."""
        while self.started and len(self.held) < self.workers:
            task = self.model.claim(self.clock.now())
            if task is None:
                break
            scan = self.scanner.next_scan()
            # Two workers may begin in any order; each scan is that of a task of the model.
            self.held[scan.task.id] = scan
        assert set(self.held) == {
            task.id for task in self.model.tasks if task.holds_slot and task.id in self.held
        }

    def _returns(self, task_id: UUID, ending: Ending) -> None:
        """Have the model note that a scanner returned, once the queue has."""
        task = self._model_task(task_id)
        await_that(lambda: not getattr(self.queue.get_task(task_id), "holds_slot", False))
        del self.held[task_id]
        self.deaf.discard(task_id)  # another scan of the task may listen
        self.model.finish(task, self.clock.now(), ending.result, ending.error, ending.reason)

    def _heard(self) -> None:
        """See the scans return that were cancelled and listen."""
        for task_id in list(self.held):
            stops = self._model_task(task_id).status.is_ended and task_id not in self.deaf
            if stops:
                self._returns(task_id, Ending(None))
        self._settle()

    def _model_task(self, task_id: UUID) -> ModelTask:
        task = self.model.find(task_id)
        assert task is not None
        return task

    def _one(self, tasks: list[T], number: int) -> T:
        return tasks[number % len(tasks)]

    def _do(self, number: int, call: Callable[[], T]) -> T:
        """Call here, or, every other time, inside of a scan that is held."""
        listening = [i for i, scan in self.held.items() if not scan.has_returned]
        if number % 2 or not listening:
            return call()
        done = threading.Event()
        values: list[T] = []
        failures: list[BaseException] = []

        def act(context: ScanContext) -> None:
            try:
                values.append(call())
            except BaseException as error:
                failures.append(error)
            finally:
                done.set()

        self.held[self._one(listening, number // 2)].do(act)
        assert done.wait(PATIENCE)
        if failures:
            raise failures[0]
        return values[0]

    # --- what users do

    @precondition(lambda self: not self.started)
    @rule()
    def start(self) -> None:
        """Start."""
        self.queue.start()
        self.started = True
        self._settle()

    @rule(library_id=library_ids, priority=priorities, scope=scopes, when=whens, number=numbers)
    def submit(
        self,
        library_id: LibraryId,
        priority: TaskPriority,
        scope: ScanScope,
        when: WhenRunning,
        number: int,
    ) -> None:
        """Submit, here or inside a scan."""

        def call() -> object:
            submission = self.queue.submit(library_id, priority, scope=scope, when_running=when)
            assert submission.task_id == submission.task.id
            return submission

        try:
            expected, outcome = self.model.submit(
                library_id, priority, scope, when, self.clock.now()
            )
        except FullError:
            with pytest.raises(QueueFullError):
                self._do(number, call)
            return
        submission = self._do(number, call)
        task: ScanTask = submission.task  # type: ignore[attr-defined]
        if expected.id is None:
            assert task.id not in self.known
            expected.id = task.id
            self.known.append(task.id)
        assert submission.outcome is outcome  # type: ignore[attr-defined]
        expected.check(task)
        self._settle()

    @rule(pick=numbers, number=numbers)
    def cancel(self, pick: int, number: int) -> None:
        """Cancel a task in whatever state, or one that never was."""
        task_id = self._one([*self.known, uuid4()], pick)
        try:
            expected = self.model.cancel(task_id, self.clock.now())
        except UnknownError:
            with pytest.raises(TaskNotFoundError):
                self._do(number, lambda: self.queue.cancel_task(task_id))
            return
        except EndedError:
            with pytest.raises(TaskNotCancellableError) as caught:
                self._do(number, lambda: self.queue.cancel_task(task_id))
            self._model_task(task_id).check(caught.value.task)
            return
        expected.check(self._do(number, lambda: self.queue.cancel_task(task_id)))
        self._heard()

    @rule(library_id=library_ids, number=numbers)
    def cancel_library(self, library_id: LibraryId, number: int) -> None:
        """Cancel whatever is active of a library."""
        expected = self.model.cancel_library(library_id, self.clock.now())
        tasks = self._do(number, lambda: self.queue.cancel_library(library_id))
        self._compare(tasks, expected)
        self._heard()

    @rule(number=numbers)
    def pause(self, number: int) -> None:
        """Pause."""
        self._do(number, self.queue.pause)
        self.model.paused = True

    @rule(number=numbers)
    def resume(self, number: int) -> None:
        """Resume."""
        self._do(number, self.queue.resume)
        self.model.paused = False
        self._settle()

    @rule(pick=numbers, quiet=st.booleans())
    def wait(self, pick: int, quiet: bool) -> None:
        """Wait without patience."""
        task_id = self._one([*self.known, uuid4()], pick)
        expected = self.model.find(task_id)
        if expected is None:
            with pytest.raises(TaskNotFoundError):
                self.queue.wait(task_id, 0, quiet=quiet)
        elif expected.status.is_active or (quiet and expected.holds_slot):
            with pytest.raises(TimeoutError):
                self.queue.wait(task_id, 0, quiet=quiet)
        else:
            expected.check(self.queue.wait(task_id, 0, quiet=quiet))

    # --- what scans do

    @precondition(lambda self: self.held)
    @rule(pick=numbers, outcome=st.one_of(results, errors))
    def end_scan(self, pick: int, outcome: TaskResult | BaseException) -> None:
        """Have a held scan return or raise."""
        task_id = self._one(list(self.held), pick)
        scan = self.held[task_id]
        if isinstance(outcome, TaskResult):
            scan.release(outcome)
        else:
            scan.fail(outcome)
        self._returns(task_id, Ending.of(outcome))
        self._settle()

    @precondition(lambda self: self.held)
    @rule(pick=numbers)
    def close_ears(self, pick: int) -> None:
        """Have a held scan ignore cancels from now on."""
        task_id = self._one(list(self.held), pick)
        self.held[task_id].ignore_cancel()
        self.deaf.add(task_id)

    @precondition(lambda self: self.held)
    @rule(pick=numbers, scanned=counts, total=st.none() | counts)
    def report(self, pick: int, scanned: int, total: int | None) -> None:
        """Have a held scan report."""
        self.clock.advance(self.report_interval)  # so that it is not too soon after the last one
        self._await_claims()
        task_id = self._one(list(self.held), pick)
        self.held[task_id].report(scanned, total)
        # The keeper may have published the last one just now: then this one is due a little later.
        self.clock.advance(self.report_interval)
        self._await_claims()
        progress = TaskProgress(scanned_paths=scanned, total_paths=total)
        task = self._model_task(task_id)
        self.model.report(task, progress)
        if task.progress == progress:  # the keeper may be at it, and readers do not wait for that
            await_that(lambda: current(self.queue, task_id).progress == progress)

    @rule(
        limit=st.none() | st.integers(0, 3),
        outcomes=st.lists(st.tuples(endings, numbers), max_size=6),
    )
    def run_pending(self, limit: int | None, outcomes: list[tuple[object, int]]) -> None:
        """Run what can be claimed on this thread, with scans that end and call back in any way."""
        self.outcomes = list(outcomes)
        claims_before = sum(task.attempt for task in self.model.tasks)
        raised: BaseException | None = None
        ran = None
        try:
            ran = self.queue.run_pending(limit)
        except (SystemExit, KeyboardInterrupt) as error:
            raised = error
        self._finish_own()
        if raised is not None:
            assert raised in ERRORS
        else:
            claims = sum(task.attempt for task in self.model.tasks) - claims_before
            assert ran == claims
            assert limit is None or claims <= limit
            assert claims == limit or self.model.claimable() is None
        self._settle()

    def _finish_own(self) -> None:
        """Have the model note the end of the scan before on this thread."""
        if self.own is not None:
            ending = self.own_ending
            self.model.finish(
                self.own, self.clock.now(), ending.result, ending.error, ending.reason
            )
            self.own = None

    def _scan_at_once(self, context: ScanContext) -> TaskResult:
        """Scan on this thread: be the task that the model says, do something, and end somehow."""
        self._finish_own()
        task = self.model.claim(self.clock.now())
        assert task is not None
        assert task.id == context.task.id
        task.check(context.task)
        self.own = task
        outcome, number = self.outcomes.pop(0) if self.outcomes else (TaskResult(), 7)
        self._call_back(number, context)
        self.own_ending = Ending.of(outcome)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[return-value]  # anything is returned

    def _call_back(self, number: int, context: ScanContext) -> None:
        """Call the service from inside a scan on this thread."""
        own = context.task
        match number % 8:
            case 0:
                self.submit(own.library_id, TaskPriority.HIGH, own.scope, WhenRunning.FOLLOW_UP, 1)
            case 1:
                self.submit(own.library_id, TaskPriority.LOW, own.scope, WhenRunning.JOIN, 1)
            case 2:
                self.submit("another", TaskPriority.NORMAL, own.scope, WhenRunning.JOIN, 1)
            case 3:
                assert self._cancelled_here(own.id).is_stopping
                assert context.cancelled
            case 4:
                self.queue.pause()
                self.model.paused = True
            case 5:
                with pytest.raises(RuntimeError):
                    self.queue.run_pending()
                with pytest.raises(RuntimeError):
                    self.queue.wait(own.id, 0)
            case _:
                pass

    def _cancelled_here(self, task_id: UUID) -> ScanTask:
        self.model.cancel(task_id, self.clock.now())
        return self.queue.cancel_task(task_id)

    # --- time

    @rule(seconds=st.sampled_from([0.05, 1, 30, 3600, 12 * 3600, 25 * 3600]))
    def let_time_pass(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self._await_claims()

    @rule(hours=st.sampled_from([1, 30]))
    def set_the_clock_back(self, hours: int) -> None:
        """Set the wall clock back."""
        self.clock.set_back(timedelta(hours=hours))
        self._await_claims()

    def _await_claims(self) -> None:
        """Wait for workers that looked for work before the clock was moved: they know no better."""
        if hasattr(self, "queue"):
            await_that(lambda: not self.queue._core.scans.is_claiming)

    # --- what must always be so

    def _compare(self, tasks: list[ScanTask], expected: list[ModelTask]) -> None:
        assert [task.id for task in tasks] == [task.id for task in expected]
        for task, model_task in zip(tasks, expected, strict=True):
            check_task(task)
            model_task.check(task)

    @invariant()
    def queue_and_model_agree(self) -> None:
        """Every listing, number and change."""
        if hasattr(self, "queue"):
            self._look()

    def _look(self) -> None:
        queue, model = self.queue, self.model
        stats = queue.stats()
        pending, running = model.pending(), model.running()
        window = self.clock.now() - model.retention
        history = model.history(window)
        self._compare(queue.list_pending(), pending)
        self._compare(queue.list_pending(2), pending[:2])
        self._compare(queue.list_running(), running)
        in_window = [t for t in history if t.completed_at is not None and t.completed_at >= window]
        if in_window == history:
            self._compare(queue.list_history(), history)
            self._compare(queue.list_history(3), history[:3])
            self._compare(queue.list_tasks(), running + pending + history)
        self._compare(queue.list_history(since=window), in_window)
        for library_id in (1, "music"):
            active = queue.get_library_task(library_id)
            self._compare([active] if active else [], model.active(library_id)[:1])
        for task_id in self.known:
            task, expected = queue.get_task(task_id), model.find(task_id)
            if task is None and expected is not None:
                model.forget(expected, self.clock.now())
            else:
                assert (task is None) == (expected is None)
                if task is not None and expected is not None:
                    expected.check(task)

        assert queue.pending_count() == stats.pending == len(pending)
        assert stats.running == len(running)
        assert stats.stopping == sum(t.holds_slot and t.status.is_ended for t in model.tasks)
        ended = Counter(task.status for task in history)
        assert stats.completed == ended[TaskStatus.COMPLETED]
        assert stats.failed == ended[TaskStatus.FAILED]
        assert stats.cancelled == ended[TaskStatus.CANCELLED]
        assert stats.paused == queue.is_paused == model.paused
        assert stats.submitted == model.submitted
        assert stats.ended == model.ended
        assert stats.reasons == model.reasons
        oldest = model.with_status(TaskStatus.PENDING)[:1]
        ages = [max(timedelta(0), self.clock.now() - task.created_at) for task in oldest]
        assert stats.oldest_pending_age == (ages[0] if ages else None)
        if not queue.is_shut_down:
            assert stats.workers == (self.workers if self.started else 0)
            await_that(lambda: queue.stats().busy_workers == len(self.held))

        # Whoever follows along has seen the same.
        changes = queue.list_changes(self.seen)
        self._compare(changes, model.changed_since(self.seen_in_model))
        revisions = [task.revision for task in changes]
        assert revisions == sorted(set(revisions))
        assert queue.revision >= max(revisions, default=self.seen)
        self.seen, self.seen_in_model = queue.revision, len(model.changes)

        # Never two at a time.
        at_once = [(t.library_id, t.status) for t in queue.list_tasks() if t.is_active]
        assert len(at_once) == len(set(at_once))
        slots = [task.library_id for task in queue.list_tasks() if task.holds_slot]
        assert len(slots) == len(set(slots))
        assert model.max_running is None or len(slots) <= model.max_running
        for task in queue.list_history():
            assert task.run_time is None or task.run_time >= timedelta(0)
            assert (task.reason is None) == (task.status is TaskStatus.COMPLETED)


class DurableServiceMachine(ServiceMachine):
    """The same on a file, which outlives its services."""

    store_kind = "sqlite"
    report_interval = 0.6

    @rule(starts=st.booleans())
    def restart(self, starts: bool) -> None:
        """Shut down, and go on with a new service on a new store object on the same file."""
        self._shut_down()
        assert isinstance(self.store, SQLiteStore)
        before = (self.queue.list_tasks(), self.queue.revision)
        self.store = SQLiteStore(self.store.path, durability="normal")
        self._open()
        self.model.restart()
        assert (self.queue.list_tasks(), self.queue.revision) == before
        if starts:
            self.start()


TestService = ServiceMachine.TestCase
TestDurableService = DurableServiceMachine.TestCase
TestDurableService.settings = settings(max_examples=max(1, settings().max_examples // 2))
