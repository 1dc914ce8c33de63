"""What the tests of the service share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from scanqueue import (
    EndReason,
    LibraryId,
    QueueClosedError,
    ScanContext,
    ScanQueueService,
    ScanTask,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock

T = TypeVar("T")

PATIENCE = 10.0
"""Real seconds after which a test that waits in vain fails instead of hanging."""

MakeQueue: TypeAlias = Callable[..., ScanQueueService]
"""What the fixture `make` gives: it makes a service that is shut down after the test."""

Fate: TypeAlias = tuple[TaskStatus, EndReason | None]
"""What became of a task: its status, and why."""

ScanFunction: TypeAlias = Callable[[LibraryId, ScanContext], TaskResult]


class Call(Generic[T]):
    """A call on a thread of its own.

    Args:
        function: What to call.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._values.append(self._function())
        except BaseException as error:
            self._error = error

    @property
    def is_over(self) -> bool:
        """Whether it has returned, or raised."""
        return not self._thread.is_alive()

    def result(self, timeout: float = PATIENCE) -> T:
        """Return what it returned, or raise what it raised."""
        self._thread.join(timeout)
        assert self.is_over, "the call has not returned in time"
        if self._error is not None:
            raise self._error
        return self._values[0]


def scan_nothing(library_id: LibraryId, context: ScanContext) -> TaskResult:
    """Find nothing, at once."""
    return TaskResult()


def raising(error: BaseException) -> ScanFunction:
    """Return a scanner that raises the error."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        raise error

    return scan


def returning(value: object) -> ScanFunction:
    """Return a scanner that returns the value, whatever it is."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        return value  # type: ignore[return-value]  # that is the point

    return scan


def run_one(queue: ScanQueueService, library_id: LibraryId = "music") -> ScanTask:
    """Submit a library, run what is pending here, and return the task as it is then."""
    task_id = queue.submit_task(library_id)
    queue.run_pending()
    return current(queue, task_id)


def current(queue: ScanQueueService, task_id: UUID) -> ScanTask:
    """Return a task that must be there."""
    task = queue.get_task(task_id)
    assert task is not None
    return task


def wait_out(queue: ScanQueueService, task_id: UUID) -> ScanTask:
    """Wait until a task has ended, or a shutdown has sent it back, and return it as it is then."""
    try:
        return queue.wait(task_id)
    except QueueClosedError:
        task = current(queue, task_id)
        assert task.status is TaskStatus.PENDING, "what has ended is returned"
        return task


def fate(task: ScanTask) -> Fate:
    """Return what became of a task, to compare it with the fixture `shut_down_as`."""
    return task.status, task.reason


def ids(tasks: Iterable[ScanTask]) -> list[UUID]:
    """Return the ids of tasks."""
    return [task.id for task in tasks]


def libraries(tasks: Iterable[ScanTask]) -> list[LibraryId]:
    """Return the libraries of tasks."""
    return [task.library_id for task in tasks]


def await_that(condition: Callable[[], object]) -> None:
    """Let other threads go on until something is so, where nothing tells when it is."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "it did not come to be so"
        time.sleep(0)  # gives the processor to another thread, and waits for nothing


def is_on(kind: str) -> bool:
    """Return whether the caller is on a thread of the library of this kind: worker, keeper."""
    return threading.current_thread().name.startswith(f"scanqueue-{kind}")


def await_deadline(clock: FakeClock, deadline: float, count: int = 1) -> None:
    """Wait, in real time, until so many threads wait for a deadline of the clock."""
    await_that(lambda: clock.deadlines().count(deadline) >= count)
