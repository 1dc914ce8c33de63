"""A clock, a scanner, and services that are shut down after the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scanqueue import ScanQueueService
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.tools import Call, MakeQueue


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
def queue(make: MakeQueue, scanner: FakeScanner) -> ScanQueueService:
    """Return a service with one worker, which is not started."""
    return make(scanner)
