"""Wrong arguments: the type of the error, what it names, and that nothing has changed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from threading import Condition
from typing import Any
from uuid import UUID

import attrs
import pytest

from scanqueue import (
    MemoryStore,
    ScanQueueService,
    ScanScope,
    TaskPriority,
    TaskStatus,
    WhenRunning,
)
from scanqueue.testing import FakeClock, FakeScanner
from tests.both_stores import NewStore
from tests.service.tools import Call, MakeQueue, current, run_one, scan_nothing

NAN, INF = float("nan"), float("inf")


@attrs.frozen
class Wrong:
    """A wrong call.

    Attributes:
        call: The name of the method.
        arguments: What it is given.
        error: What it raises.
        argument: Which argument it must name.
    """

    call: str
    arguments: tuple[object, ...]
    options: Mapping[str, object]
    error: type[Exception]
    argument: str


def _wrong(
    error: type[Exception], argument: str, call: str, *arguments: object, **options: object
) -> Wrong:
    return Wrong(call, arguments, options, error, argument)


class Text(str):
    """A text that shows itself badly."""

    __slots__ = ()

    def __repr__(self) -> str:
        message = "no repr"
        raise ValueError(message)


LIBRARY_IDS: list[tuple[type[Exception], object]] = [
    (TypeError, None),
    (TypeError, True),
    (TypeError, 1.0),
    (TypeError, b"music"),
    (TypeError, ("music",)),
    (TypeError, ["music"]),
    (ValueError, ""),
    (ValueError, "x" * 256),
    (ValueError, "caf\udce9"),
    (ValueError, 2**63),
    (ValueError, -(2**63) - 1),
    (ValueError, 10**5000),
    (ValueError, Text()),
]
LIMITS: list[tuple[type[Exception], object]] = [
    (ValueError, -1),
    (TypeError, 1.0),
    (TypeError, "1"),
    (TypeError, True),
]
TIMEOUTS: list[tuple[type[Exception], object]] = [
    (ValueError, -1),
    (ValueError, -0.001),
    (ValueError, NAN),
    (ValueError, -INF),
    (TypeError, "1"),
    (TypeError, True),
    (TypeError, timedelta(seconds=1)),
    (TypeError, Fraction(1, 2)),
]
BAD_PRIORITIES: list[object] = [None, 0, 1, "high", True, TaskStatus.PENDING]
BAD_SCOPES: list[object] = [None, "rock", ("rock",), {}, ScanScope]
SOME_ID = UUID(int=4)
TASK_IDS: list[object] = [None, str(SOME_ID), SOME_ID.int, SOME_ID.bytes, 1]

CALLS = [
    *(
        _wrong(error, "library_id", call, value)
        for call in ("submit", "submit_task", "cancel_library", "get_library_task")
        for error, value in LIBRARY_IDS
    ),
    *(
        _wrong(error, "library_id", "list_history", library_id=value)
        for error, value in LIBRARY_IDS
        if value is not None
    ),
    *(
        _wrong(TypeError, "priority", call, "films", value)
        for call in ("submit", "submit_task")
        for value in BAD_PRIORITIES
    ),
    *(
        _wrong(TypeError, "scope", call, "films", scope=value)
        for call in ("submit", "submit_task")
        for value in BAD_SCOPES
    ),
    *(
        _wrong(TypeError, "when_running", call, "films", when_running=value)
        for call in ("submit", "submit_task")
        for value in (None, "join", True, TaskPriority.HIGH)
    ),
    *(
        _wrong(TypeError, "task_id", call, value)
        for call in ("get_task", "cancel_task", "wait")
        for value in TASK_IDS
    ),
    *(
        _wrong(error, "limit", call, value)
        for call in ("list_pending", "list_history", "list_tasks", "run_pending")
        for error, value in LIMITS
    ),
    *(_wrong(error, "limit", "list_changes", 0, limit=value) for error, value in LIMITS),
    *(_wrong(error, "after", "list_changes", value) for error, value in LIMITS),
    _wrong(TypeError, "after", "list_changes", None),
    *(_wrong(error, "after", "changes", value) for error, value in LIMITS),
    *(_wrong(error, "timeout", "list_changes", 0, timeout=value) for error, value in TIMEOUTS),
    *(_wrong(error, "timeout", "wait", SOME_ID, value) for error, value in TIMEOUTS),
    *(_wrong(error, "timeout", "shutdown", value) for error, value in TIMEOUTS),
    *(_wrong(TypeError, "quiet", "wait", SOME_ID, 0, quiet=value) for value in (None, 1, "yes")),
    *(
        _wrong(TypeError, "interrupt_running", "shutdown", 0, interrupt_running=value)
        for value in (None, 1, "yes")
    ),
    _wrong(ValueError, "since", "list_history", since=datetime(2000, 1, 1)),  # noqa: DTZ001
    *(
        _wrong(TypeError, "since", "list_history", since=value)
        for value in (0, "2000-01-01", datetime(2000, 1, 1, tzinfo=UTC).date(), timedelta(1))
    ),
]


def _with_numbers(cases: list[Wrong]) -> list[Any]:
    return [
        pytest.param(case, id=f"{n}-{case.call}-{case.argument}") for n, case in enumerate(cases)
    ]


def _state(queue: ScanQueueService) -> tuple[object, ...]:
    stats = queue.stats()
    return (
        queue.revision,
        queue.list_tasks(),
        stats,
        queue.is_started,
        queue.is_shut_down,
        queue.is_paused,
    )


@pytest.mark.parametrize("wrong", _with_numbers(CALLS))
def test_a_wrong_argument_is_named_and_nothing_changes(
    queue: ScanQueueService, wrong: Wrong
) -> None:
    """`TypeError` or `ValueError` that names the argument, what it was and what it should be."""
    run_one(queue, "ended")
    queue.submit_task("music")
    before = _state(queue)

    with pytest.raises(wrong.error) as caught:
        getattr(queue, wrong.call)(*wrong.arguments, **wrong.options)

    message = str(caught.value)
    assert message.startswith(f"{wrong.argument} must be ")
    assert ", not " in message
    assert len(message) < 400, "a long value is shown cut"
    assert _state(queue) == before


@pytest.mark.parametrize("call", ["submit", "submit_task"])
def test_options_are_given_by_name(queue: ScanQueueService, call: str) -> None:
    """Three positional arguments are one too many."""
    with pytest.raises(TypeError):
        getattr(queue, call)("music", TaskPriority.HIGH, ScanScope())


def test_a_scope_of_a_class_of_ones_own_runs_no_code_under_a_lock(make: MakeQueue) -> None:
    """No user code runs while a lock of the library is held: it may call back."""
    queue = make(scan_nothing)

    class OwnScope(ScanScope):
        """Asks the queue before it answers."""

        def covers(self, other: ScanScope) -> bool:
            """Ask, then answer."""
            queue.pending_count()
            return super().covers(other)

    for paths in (["rock"], ["rock"], ["jazz"]):
        scope = OwnScope(paths=paths)
        task = Call(lambda s=scope: queue.submit("music", scope=s).task).result(2)  # type: ignore[misc]
        assert type(task.scope) is ScanScope


# --- making a service


class NaiveClock(FakeClock):
    """A clock that does not say where it is."""

    def now(self) -> datetime:
        """Return a naive moment."""
        return super().now().replace(tzinfo=None)


class TextClock(FakeClock):
    """A clock that tells the time in words."""

    def now(self) -> datetime:
        """Return no datetime at all."""
        return "noon"  # type: ignore[return-value]


class NoScan:
    """An object that is no scanner."""

    scan = "not callable"


WRONG_OPTIONS: list[tuple[type[Exception], str, object]] = [
    *((TypeError, "workers", value) for value in (None, 1.0, "2", True)),
    *((ValueError, "workers", value) for value in (-1, 2**63)),
    *((TypeError, "max_running", value) for value in (1.0, "2", True)),
    *((ValueError, "max_running", value) for value in (0, -1, 2**63)),
    *((TypeError, "max_pending", value) for value in (1.0, "2", False)),
    *((ValueError, "max_pending", value) for value in (-1, 2**63)),
    *((TypeError, "max_interruptions", value) for value in (None, 1.0, "2", True)),
    *((ValueError, "max_interruptions", value) for value in (0, -1, 2**63)),
    *((TypeError, "history_retention", value) for value in (None, 24, 1.5, "1 day")),
    (ValueError, "history_retention", timedelta(microseconds=-1)),
    *((TypeError, "store", value) for value in (42, "tasks.db", MemoryStore, object())),
    *((TypeError, "clock", value) for value in (42, FakeClock, object(), datetime.now)),
    (ValueError, "clock", NaiveClock()),
    (TypeError, "clock", TextClock()),
]


@pytest.mark.parametrize(
    ("error", "option", "value"),
    [pytest.param(*case, id=f"{n}-{case[1]}") for n, case in enumerate(WRONG_OPTIONS)],
)
def test_a_wrong_option_is_named(error: type[Exception], option: str, value: object) -> None:
    """No service is made."""
    with pytest.raises(error) as caught:
        ScanQueueService(scan_nothing, **{option: value})  # type: ignore[arg-type]

    assert str(caught.value).startswith(option)


@pytest.mark.parametrize(
    "scanner",
    [42, "scan", object(), NoScan(), NoScan, FakeScanner, [], {}],
    ids=range(8),
)
def test_what_cannot_scan_is_refused(scanner: object) -> None:
    """An object without a `scan` method, or the class of a scanner instead of one."""
    with pytest.raises(TypeError, match=r"^scanner must be "):
        ScanQueueService(scanner)  # type: ignore[arg-type]


def test_no_scanner_with_a_store_that_is_not_shared_is_refused() -> None:
    """Nothing could ever run."""
    with pytest.raises(ValueError, match="scanner"):
        ScanQueueService(None)
    with pytest.raises(ValueError, match="scanner"):
        ScanQueueService(None, store=MemoryStore())


@pytest.mark.sqlite_only("other processes run what is submitted")
def test_no_scanner_with_a_shared_store_submits_and_looks_only(make: MakeQueue) -> None:
    """It has no worker, whatever it was made with."""
    queue = make(None, workers=2)
    queue.start()
    task_id = queue.submit_task("music")

    with pytest.raises(RuntimeError, match="scanner"):
        queue.run_pending()
    assert queue.stats().workers == 0
    assert current(queue, task_id).status is TaskStatus.PENDING


def test_one_store_object_serves_one_service(make: MakeQueue, new_store: NewStore) -> None:
    """A second service on it is a `ValueError`; the first goes on."""
    store = new_store()
    queue = make(scan_nothing, store=store)

    with pytest.raises(ValueError, match="store"):
        ScanQueueService(scan_nothing, store=store)

    assert run_one(queue).status is TaskStatus.COMPLETED


def test_a_store_of_a_service_that_is_gone_is_not_taken_over(new_store: NewStore) -> None:
    """Its tasks would be, too: a store object serves one service in all its life."""
    store = new_store()
    queue = ScanQueueService(scan_nothing, store=store)
    queue.submit_task("music")
    del queue
    gc.collect()

    with pytest.raises(ValueError, match="store"):
        ScanQueueService(scan_nothing, store=store)


def test_a_store_that_cannot_be_marked_is_refused() -> None:
    """The error says what it lacks."""

    class Unmarkable:
        __slots__ = ()
        durable = shared = False
        progress_interval, poll_interval = 0.1, None
        open = close = after_fork = read = write = dead_owners = attach = print

    with pytest.raises(TypeError, match="store must be weakly referenceable"):
        ScanQueueService(scan_nothing, store=Unmarkable())  # type: ignore[arg-type]


def test_a_refused_service_does_not_take_the_store(make: MakeQueue, new_store: NewStore) -> None:
    """What raised has taken nothing."""
    store = new_store()
    with pytest.raises(ValueError, match="workers"):
        ScanQueueService(scan_nothing, store=store, workers=-1)
    with pytest.raises(ValueError, match="clock"):
        ScanQueueService(scan_nothing, store=store, clock=NaiveClock())

    assert run_one(make(scan_nothing, store=store)).is_ended


class LocalClock(FakeClock):
    """A clock in another time zone."""

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self.zone = zone

    def now(self) -> datetime:
        """Return the moment there."""
        return super().now().astimezone(self.zone)


@pytest.mark.parametrize("hours", [0, 5.5, -11])
def test_a_clock_may_be_anywhere(make: MakeQueue, hours: float) -> None:
    """What is recorded is in UTC all the same."""
    clock = LocalClock(timezone(timedelta(hours=hours)))
    task = run_one(make(scan_nothing, clock=clock))

    assert task.created_at == clock.now()
    for moment in (task.created_at, task.started_at, task.completed_at):
        assert moment is not None
        assert moment.tzinfo is UTC


class BareClock:
    """A clock as a host would write it: three methods and nothing else."""

    def now(self) -> datetime:
        """Return a fixed moment."""
        return datetime(2020, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return a fixed moment."""
        return 0.0

    def wait_until(self, condition: Condition, deadline: float | None) -> None:
        """Return early, as a clock may."""
        condition.wait(0.001)


def test_a_clock_that_returns_early_is_asked_again(make: MakeQueue, scanner: FakeScanner) -> None:
    """Callers check again."""
    scanner.hold()
    queue = make(scanner, clock=BareClock())
    queue.start()
    task_id = queue.submit_task("music")
    scanner.next_scan().release()

    assert queue.wait(task_id, 5).status is TaskStatus.COMPLETED


def test_members_are_taken_and_equal_values_are_not(queue: ScanQueueService) -> None:
    """Arguments take enum members: a typo in a value would otherwise pass."""
    queue.submit("a", TaskPriority.LOW, when_running=WhenRunning.FOLLOW_UP)
    with pytest.raises(TypeError):
        queue.submit("a", -1)  # type: ignore[arg-type]


@pytest.mark.logs_errors
def test_an_async_scanner_is_told_when_it_runs(make: MakeQueue) -> None:
    """A coroutine function is callable; what it returns is no result."""

    async def scan(library_id: object, context: object) -> None:
        await asyncio.sleep(0)

    assert "coroutine" in str(run_one(make(scan)).error)
