"""A clock, a scanner, and services that are shut down after the test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from scanqueue import ScanQueueService
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.shared_store import SharedQueue
from tests.service.tools import Call, MakeQueue


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
def make(clock: FakeClock) -> Iterator[MakeQueue]:
    """Make services on the fake clock, and shut them down."""
    made: list[tuple[object, ScanQueueService]] = []

    def make_one(scanner: object, **options: object) -> ScanQueueService:
        options.setdefault("clock", clock)
        queue = ScanQueueService(scanner, **options)  # type: ignore[arg-type]  # the test knows
        made.append((scanner, queue))
        return queue

    yield make_one
    for scanner, queue in made:
        if isinstance(scanner, FakeScanner):
            scanner.let_go()
        Call(lambda q=queue: q.shutdown(None)).result(3)  # type: ignore[misc]


@pytest.fixture
def shared() -> SharedQueue:
    """Return a durable queue without a service."""
    return SharedQueue()


@pytest.fixture
def queue(make: MakeQueue, scanner: FakeScanner) -> ScanQueueService:
    """Return a service with one worker, which is not started."""
    return make(scanner)
