"""The others: how each is opened, and how a no-op is submitted to it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from functools import partial
from itertools import count
from threading import Event
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor as JobExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from huey import MemoryHuey
from huey.consumer import Consumer

from scanqueue import ScanContext, ScanQueueService, TaskResult
from tests.benchmarks.minimal import MinimalQueue

EXECUTOR = "ThreadPoolExecutor"
HUEY = "huey MemoryHuey"
APSCHEDULER = "APScheduler 3"
MINIMAL = "minimal queue"

NOTHING = TaskResult()


def no_op(library_id: object) -> None:
    """Do nothing, for the others."""


def no_scan(library_id: object, context: ScanContext) -> TaskResult:
    """Do nothing, for us."""
    return NOTHING


class Countdown:
    """Sets an event when its no-op was called often enough.

    Args:
        calls: How often.
    """

    def __init__(self, calls: int) -> None:
        self._calls = count(1)
        self._last = calls
        self.over = Event()

    def count(self, library_id: object) -> None:
        """Do nothing, and be counted."""
        if next(self._calls) == self._last:
            self.over.set()


class QuietConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer, which leaves the signal handlers of this process alone."""

    def _set_signal_handlers(self) -> None:
        pass


@contextmanager
def idle_service() -> Iterator[ScanQueueService]:
    """Open ours, not started."""
    queue = ScanQueueService(no_scan)
    try:
        yield queue
    finally:
        queue.shutdown()


@contextmanager
def busy_executor() -> Iterator[ThreadPoolExecutor]:
    """Open an executor whose worker is busy all the time."""
    release = Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(release.wait)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            release.set()


@contextmanager
def paused_scheduler() -> Iterator[BackgroundScheduler]:
    """Open APScheduler with its store in memory: jobs are stored, none is run."""
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.start(paused=True)
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)


def submitter(
    executor: ThreadPoolExecutor, function: Callable[[str], object] = no_op
) -> Callable[[str], object]:
    """Return what submits a call of a function, for a library."""
    submit: Callable[..., object] = executor.submit
    return partial(submit, function)


def add_job(
    scheduler: BackgroundScheduler,
    library_id: object,
    function: Callable[[object], object] = no_op,
    **options: object,
) -> object:
    """Have APScheduler call a function now, once, under the library's name."""
    return scheduler.add_job(function, args=[library_id], id=library_id, **options)


@contextmanager
def running_scheduler(workers: int) -> Iterator[BackgroundScheduler]:
    """Open APScheduler, running jobs however late it comes to them."""
    scheduler = BackgroundScheduler(
        executors={"default": JobExecutor(workers)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown()


def huey_task(function: Callable[[Any], object]) -> tuple[MemoryHuey, Callable[[object], Any]]:
    """Make a huey and a task of it, whose call enqueues."""
    huey = MemoryHuey()
    return huey, huey.task()(function)


@contextmanager
def running_consumer(huey: MemoryHuey, workers: int, **options: float) -> Iterator[None]:
    """Run huey's tasks on threads, as its `huey_consumer` script does."""
    consumer = QuietConsumer(huey, workers=workers, periodic=False, **options)
    consumer.start()
    try:
        yield
    finally:
        consumer.stop(graceful=True)


@contextmanager
def running_minimal(scan: Callable[[str], object], workers: int) -> Iterator[MinimalQueue]:
    """Open the minimal queue."""
    queue = MinimalQueue(scan)
    queue.start(workers)
    try:
        yield queue
    finally:
        queue.stop()
