"""Services for one test, which are closed after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, TypedDict, Unpack

from scanqueue._service import ScanQueueService
from scanqueue.models import LibraryId, TaskResult
from scanqueue.protocols import Clock, ScanContext, Scanner, TaskStore
from scanqueue.testing._clock import FakeClock
from scanqueue.testing._left_behind import close
from scanqueue.testing._scanner import FakeScanner

__all__ = ["MakeService", "ServiceOptions"]


class ServiceOptions(TypedDict, total=False):
    """What a `ScanQueueService` can be made with; it says what each means."""

    scanner: Scanner | Callable[[LibraryId, ScanContext], TaskResult] | None
    """The fixture `scanqueue_scanner` if not given."""
    clock: Clock | None
    """The fixture `scanqueue_clock` if not given."""
    store: TaskStore | None
    workers: int
    max_running: int | None
    history_retention: timedelta
    max_pending: int | None
    max_interruptions: int


class MakeService(Protocol):
    """What the fixture `scanqueue_make_service` gives: makes services for one test."""

    def __call__(
        self, *, start: bool = True, **options: Unpack[ServiceOptions]
    ) -> ScanQueueService:
        """Make a service, to be closed after the test.

        Args:
            start: Whether to start it.
            options: What to make it with.

        Returns:
            The service.

        Raises:
            TypeError: An option has the wrong type, or there is no such.
            ValueError: An option is out of range.
            StoreError: The store cannot be used.
        """
        ...


@contextmanager
def make_services(clock: FakeClock, scanner: FakeScanner) -> Iterator[MakeService]:
    """Give what makes services, and close all that it has made.

    Args:
        clock: Where time comes from, unless a service is given another clock.
        scanner: What scans, unless a service is given another scanner.
    """
    made: list[ScanQueueService] = []

    def make_service(*, start: bool = True, **options: Unpack[ServiceOptions]) -> ScanQueueService:
        options.setdefault("scanner", scanner)
        options.setdefault("clock", clock)
        service = ScanQueueService(**options)
        made.append(service)
        if start:
            service.start()
        return service

    try:
        yield make_service
    finally:
        # In real time, which their own shutdown has not.
        close(service._core for service in reversed(made))  # noqa: SLF001 - of this library
