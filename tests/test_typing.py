"""The types of the public calls, as a type checker must see them; mypy and the run agree."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from hypothesis.strategies import SearchStrategy, sampled_from

from scanqueue import (
    Clock,
    EndReason,
    MemoryStore,
    QueueStats,
    ScanContext,
    Scanner,
    ScanQueueService,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    SystemClock,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
    TaskStore,
)
from scanqueue.aio import AsyncScanQueue
from scanqueue.testing import FakeClock, FakeScan, FakeScanner, MakeService, ScanScript
from scanqueue.testing.strategies import submissions, tasks
from scanqueue.wire import (
    ProblemDict,
    TaskDict,
    problem_from_error,
    task_from_dict,
    task_to_dict,
)


def scan(library_id: int | str, context: ScanContext) -> TaskResult:
    """Use a context as a scanner does."""
    assert_type(context.task, ScanTask)
    assert_type(context.library_id, int | str)
    assert_type(context.scope, ScanScope)
    assert_type(context.cancelled, bool)
    assert_type(context.track(["a"]), Iterator[str])
    for name in context.track(str(library_id)):
        assert_type(name, str)
    return TaskResult()


class HostScanner:
    """A scanner as a host writes it."""

    def scan(self, library_id: int | str, context: ScanContext) -> TaskResult:
        """Scan, by a parameter of another name than the protocol's."""
        return scan(library_id, context)


def test_a_function_and_an_object_are_scanners() -> None:
    """Both forms are taken, and so are the stores, clocks and fakes of the library."""
    scanner: Scanner = HostScanner()
    fake: Scanner = FakeScanner()
    store: TaskStore = MemoryStore()
    clock: Clock = FakeClock()
    system_clock: Clock = SystemClock()
    ScanQueueService(scan, store=store, clock=clock)
    ScanQueueService(scanner, clock=system_clock)
    ScanQueueService(fake)


def test_the_calls_of_the_service_are_typed() -> None:
    """Every call gives what the contract says, to a type checker as at run time."""
    with ScanQueueService(scan, history_retention=timedelta(hours=1)) as queue:
        assert_type(queue, ScanQueueService)
        task_id = assert_type(queue.submit_task("music", TaskPriority.HIGH), UUID)
        assert_type(queue.wait(task_id), ScanTask)
        submission = assert_type(queue.submit(1, scope=ScanScope(paths=["a"])), Submission)
        assert_type(submission.outcome, SubmitOutcome)
        assert_type(submission.task_id, UUID)
        task = queue.wait(submission.task_id)
        assert_type(queue.get_task(task_id), ScanTask | None)
        assert_type(queue.get_library_task("music"), ScanTask | None)
        assert_type(queue.list_pending(), list[ScanTask])
        assert_type(queue.list_running(), list[ScanTask])
        assert_type(queue.list_history(1, since=datetime.now(UTC)), list[ScanTask])
        assert_type(queue.list_tasks(), list[ScanTask])
        assert_type(queue.list_changes(0), list[ScanTask])
        assert_type(queue.changes(), Iterator[ScanTask])
        assert_type(queue.cancel_library("music"), list[ScanTask])
        assert_type(queue.revision, int)
        assert_type(queue.pending_count(), int)
        assert_type(queue.is_paused, bool)
        assert_type(queue.run_pending(), int)
        stats = assert_type(queue.stats(), QueueStats)
        assert_type(stats.submitted, Mapping[SubmitOutcome, int])
        assert_type(stats.ended, Mapping[TaskStatus, int])
        assert_type(stats.reasons, Mapping[EndReason, int])
        assert_type(queue.shutdown(), bool)

    assert_type(task.library_id, int | str)
    assert_type(task.progress, TaskProgress)
    assert_type(task.progress.fraction, float | None)
    assert_type(task.result, TaskResult | None)
    assert_type(task.run_time, timedelta | None)
    data = assert_type(task_to_dict(task), TaskDict)
    assert assert_type(task_from_dict(data), ScanTask) == task
    assert_type(problem_from_error(ValueError()), ProblemDict)


def test_the_asyncio_calls_are_coroutines_of_the_same() -> None:
    """And `changes` is an async iterator."""
    with ScanQueueService(FakeScanner()) as queue:
        facade = AsyncScanQueue(queue)
        call = assert_type(facade.submit_task("music"), Coroutine[Any, Any, UUID])
        call.close()
        assert_type(facade.changes(), AsyncIterator[ScanTask])
        assert_type(facade.service, ScanQueueService)
        assert_type(facade.revision, int)


def test_a_script_is_typed_step_by_step(scanqueue_make_service: MakeService) -> None:
    """Steps give the script, and ends give nothing to go on with."""
    scanner = FakeScanner()
    script = assert_type(scanner.on("music"), ScanScript)
    assert_type(script.reports(1, 2).sleeps(0).does(print).ignores_cancel(), ScanScript)
    script.returns(TaskResult())
    queue = assert_type(scanqueue_make_service(start=False, workers=2), ScanQueueService)
    assert queue.run_pending() == 0
    assert_type(scanner.scanned_libraries, list[int | str])
    assert_type(scanner.scans_of("music"), list[FakeScan])


def test_strategies_are_typed() -> None:
    """So that a property test is checked, too."""
    assert_type(tasks(library_id="music", status=TaskStatus.FAILED), SearchStrategy[ScanTask])
    assert_type(submissions(library_id=sampled_from([1, 2])), SearchStrategy[Submission])


def test_a_fake_scan_is_typed() -> None:
    """What a test holds in its hand is known to a type checker."""
    scanner = FakeScanner()
    scanner.hold()
    with ScanQueueService(scanner) as queue:
        queue.submit_task("music")
        held = assert_type(scanner.next_scan(), FakeScan)
        assert_type(held.context, ScanContext)
        held.release()
