"""The types of the public calls, as a type checker must see them; mypy and the run agree."""

from __future__ import annotations

import inspect
import pkgutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import FunctionType
from typing import Any, assert_type, get_type_hints
from uuid import UUID

import pytest
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.strategies import SearchStrategy, sampled_from

import scanqueue
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
from scanqueue.testing import (
    BrokenPromise,
    ConformanceError,
    FakeClock,
    FakeScan,
    FakeScanner,
    MakeService,
    ScanScript,
    check_clock,
    check_scanner,
    store_machine,
)
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


def test_what_is_checked_keeps_its_type() -> None:
    """In the hands of who moves a clock, say; and what is broken can be asked for."""
    check_clock(
        FakeClock, advance=lambda clock, seconds: assert_type(clock, FakeClock).advance(seconds)
    )
    with pytest.raises(ConformanceError) as caught:
        check_scanner(lambda library_id, context: TaskResult(), "music")
    assert_type(caught.value.broken, tuple[BrokenPromise, ...])
    assert_type(store_machine(MemoryStore), type[RuleBasedStateMachine])


# --- at run time


PUBLIC_MODULES = [
    "scanqueue",
    *(
        module.name
        for module in pkgutil.walk_packages(scanqueue.__path__, "scanqueue.")
        if "._" not in module.name
    ),
]

NEEDS_HYPOTHESIS = "store_machine"
"""The one function whose type is in a package that is loaded only when it is called."""


def _public_parts(owner: type, name: str) -> Iterator[tuple[str, object]]:
    """Give a class, and its public methods and properties, inherited or not."""
    yield name, owner
    for key, member in inspect.getmembers_static(owner):
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        is_ours = str(getattr(function, "__module__", "")).startswith("scanqueue")
        is_public = not key.startswith("_") or key.endswith("__")
        if isinstance(function, FunctionType) and is_ours and is_public:
            yield f"{name}.{key}", function


def _public_api(module: str) -> Iterator[tuple[str, object]]:
    """Give all that a module exports and that has types."""
    names = import_module(module)
    for name in names.__all__:
        found = getattr(names, name)
        if isinstance(found, type):
            yield from _public_parts(found, name)
        elif isinstance(found, FunctionType) and name != NEEDS_HYPOTHESIS:
            yield name, found


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_all_types_of_the_public_api_can_be_read_at_run_time(module: str) -> None:
    """As dependency injection, converters and documentation tools do."""
    unknown = []
    for name, found in _public_api(module):
        try:
            get_type_hints(found)
        except NameError as error:
            unknown.append(f"{name}: {error}")
    assert not unknown


def test_what_is_read_at_run_time_is_what_a_type_checker_sees() -> None:
    """The very classes, and no strings."""
    hints = get_type_hints(ScanQueueService.list_history)
    assert hints == {
        "limit": int | None,
        "since": datetime | None,
        "library_id": int | str | None,
        "return": list[ScanTask],
    }
    bound = inspect.signature(AsyncScanQueue(ScanQueueService(scan)).cancel_task, eval_str=True)
    assert bound.parameters["task_id"].annotation is UUID
    assert bound.return_annotation is ScanTask
    assert get_type_hints(Clock.wait_until)["condition"] is threading.Condition
