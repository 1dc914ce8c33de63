"""A scanner whose scans do as a test says."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._validate import check_instance, check_seconds, wrong_type
from scanqueue.models import TaskResult
from scanqueue.testing._clock import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue._context import LiveContext
    from scanqueue.models import LibraryId, ScanTask
    from scanqueue.protocols import ScanContext

__all__ = ["FakeScan", "FakeScanner"]


class FakeScan:
    """One scan of a `FakeScanner`, in the hand of a test.

    Thread-safety: every method may be called from any thread.

    Attributes:
        library_id: The library that is scanned.
        task: The task, as it was claimed.
        context: What the scanner was given.
    """

    def __init__(self, context: LiveContext) -> None:
        self.library_id: LibraryId = context.library_id
        self.task: ScanTask = context.task
        self.context: ScanContext = context
        self._live = context
        self._orders: deque[Callable[[], TaskResult | None]] = deque()
        self._obeys = True
        self._returned = _sync.Event()

    @property
    def has_returned(self) -> bool:
        """Whether its scanner has returned, or raised."""
        return self._returned.is_set()

    def report(
        self, scanned_paths: int, total_paths: int | None = None, message: str | None = None
    ) -> None:
        """Report progress, as the scanner would; published like any report.

        Args:
            scanned_paths: How many items are done.
            total_paths: How many there are in all; None when that is not known.
            message: What is being scanned.
        """
        self.context.report(scanned_paths, total_paths, message)

    def ignore_cancel(self) -> None:
        """Go on when asked to stop, until `release` or `fail`."""
        self._obeys = False

    def do(self, action: Callable[[ScanContext], object]) -> None:
        """Have the thread of the scan call a function.

        Args:
            action: What to call, with the context. What it raises, the scanner raises.
        """

        def order() -> None:
            action(self.context)

        self._order(order)

    def release(self, result: TaskResult | None = None) -> None:
        """Let it return.

        Args:
            result: What it returns; an empty `TaskResult` when None.
        """
        found = TaskResult() if result is None else result
        check_instance("result", found, TaskResult)
        self._order(lambda: found)

    def fail(self, error: BaseException) -> None:
        """Let it raise.

        Args:
            error: What it raises.
        """
        if not isinstance(error, BaseException):
            wrong_type("error", error, "an exception")

        def order() -> None:
            raise error

        self._order(order)

    def _order(self, order: Callable[[], TaskResult | None]) -> None:
        self._orders.append(order)
        self._live.wake()

    def _run(self) -> TaskResult:
        try:
            while True:
                self._live.wait(self._has_something_to_do)
                while self._orders:
                    result = self._orders.popleft()()
                    if result is not None:
                        return result
                if self._obeys:
                    self.context.raise_if_cancelled()
        finally:
            self._returned.set()

    def _has_something_to_do(self) -> bool:
        return bool(self._orders) or (self._obeys and self.context.cancelled)


class FakeScanner:
    """A `Scanner` for tests.

    Its scans return an empty result at once, or, after `hold`, wait for the test:

    >>> from scanqueue import ScanQueueService
    >>> scanner = FakeScanner()
    >>> scanner.hold()
    >>> with ScanQueueService(scanner) as queue:
    ...     task_id = queue.submit_task("music")
    ...     scan = scanner.next_scan()
    ...     scan.report(3, 10)
    ...     print(queue.get_task(task_id).progress.fraction)
    ...     scan.release(TaskResult(added_count=10))
    ...     print(queue.wait(task_id).result.added_count)
    0.3
    10

    A held scan stops when it is cancelled, unless told to `ignore_cancel`.

    Thread-safety: every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = _sync.Lock()
        """Protects all fields; no other lock is taken while it is held."""
        self._begun = _sync.Condition(self._lock)
        self._held = False
        self._held_libraries: set[LibraryId] = set()
        self._scans: list[FakeScan] = []
        self._unseen: deque[FakeScan] = deque()

    @property
    def scans(self) -> list[FakeScan]:
        """All scans that have begun, in order."""
        with self._lock:
            return list(self._scans)

    def hold(self, *library_ids: LibraryId) -> None:
        """Hold every scan that begins from now on.

        Args:
            library_ids: Hold only scans of these libraries; none: of all.
        """
        with self._lock:
            if library_ids:
                self._held_libraries.update(library_ids)
            else:
                self._held = True

    def let_go(self) -> None:
        """Release all that is held, and hold no more."""
        with self._lock:
            self._held = False
            self._held_libraries.clear()
            scans = list(self._scans)
        for scan in scans:
            if not scan.has_returned:
                scan.release()

    def next_scan(self, timeout: float = PATIENCE) -> FakeScan:
        """Wait, in real time, for the next scan to begin, and return it; each once, in order.

        Args:
            timeout: How long to wait, in seconds.

        Raises:
            TimeoutError: None has begun in time.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        timeout = check_seconds("timeout", timeout)
        with self._lock:
            if not self._begun.wait_for(lambda: bool(self._unseen), timeout):
                message = f"no scan has begun within {timeout} seconds"
                raise TimeoutError(message)
            return self._unseen.popleft()

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Scan, as the test says; called by the queue.

        Args:
            library_id: The library.
            context: The context of the queue.
        """
        scan = FakeScan(context)  # type: ignore[arg-type]  # the queue's own, which can be woken
        with self._lock:
            is_held = self._held or library_id in self._held_libraries
            self._scans.append(scan)
            self._unseen.append(scan)
            self._begun.notify_all()
        if not is_held:
            scan.release()
        return scan._run()  # noqa: SLF001 - the other half of the same fake
