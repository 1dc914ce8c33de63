"""A clock, a scanner, and services that are shut down after the test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanqueue import EndReason, ScanQueueService, TaskStatus
from scanqueue.testing import FakeClock, FakeScanner
from tests.both_stores import NewStore
from tests.service.shared_store import SharedFile, SharedQueue
from tests.service.tools import Call, Fate, MakeQueue


class ErrorLog(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


@pytest.fixture(autouse=True)
def _no_unexpected_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which the library logged an error, unless it is marked `logs_errors`."""
    log = ErrorLog()
    logger = logging.getLogger("scanqueue")
    logger.addHandler(log)
    yield
    logger.removeHandler(log)
    if request.node.get_closest_marker("logs_errors") is None:
        texts = [logging.Formatter().format(record) for record in log.records]
        assert not texts, "an error was logged:\n" + "\n".join(texts)


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


@pytest.fixture
def scanner() -> FakeScanner:
    """Return a scanner that returns at once until told to hold."""
    return FakeScanner()


@pytest.fixture
def make(clock: FakeClock, new_store: NewStore) -> Iterator[MakeQueue]:
    """Make services on the fake clock, each on a store of its own, and shut them down."""
    made: list[tuple[object, ScanQueueService]] = []

    def make_one(scanner: object, **options: object) -> ScanQueueService:
        options.setdefault("clock", clock)
        if "store" not in options:
            options["store"] = new_store()
        queue = ScanQueueService(scanner, **options)  # type: ignore[arg-type]  # the test knows
        made.append((scanner, queue))
        return queue

    yield make_one
    for scanner, queue in made:
        if isinstance(scanner, FakeScanner):
            scanner.let_go()
        Call(lambda q=queue: q.shutdown(None)).result(3)  # type: ignore[misc]


@pytest.fixture
def shut_down_as(is_durable: bool) -> Fate:
    """Return the status and the reason of a task that was active when the queue shut down."""
    return (TaskStatus.PENDING, None) if is_durable else (TaskStatus.CANCELLED, EndReason.SHUTDOWN)


@pytest.fixture
def progress_interval(is_durable: bool) -> float:
    """Return the seconds between two publications of the progress of one scan."""
    return 0.5 if is_durable else 0.05


@pytest.fixture
def shared(store_kind: str, tmp_path: Path) -> SharedQueue | SharedFile:
    """Return a durable queue without a service: a fake in memory, or a file."""
    return SharedFile(tmp_path / "queue.db") if store_kind == "sqlite" else SharedQueue()


@pytest.fixture
def queue(make: MakeQueue, scanner: FakeScanner) -> ScanQueueService:
    """Return a service with one worker, which is not started."""
    return make(scanner)
