"""One scan of a `FakeScanner`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._context import LiveContext
from scanqueue._validate import check_instance, wrong_type
from scanqueue.models import LibraryId, ScanScope, ScanTask, TaskResult
from scanqueue.protocols import ScanContext
from scanqueue.testing._clock import PATIENCE, check_patience

if TYPE_CHECKING:
    from scanqueue.testing._script import ScanScript

__all__ = ["FakeScan"]


class _HeldInVain(SystemExit):
    """Ends a test that holds up itself; of what scanners raise, `run_pending` raises only such."""


class FakeScan:
    """One scan of a `FakeScanner`, in the hand of a test.

    Thread-safety: every method may be called from any thread.

    Attributes:
        library_id: The library that is scanned.
        scope: What is scanned of it.
        attempt: The number of this scan of its task: 1 for the first.
        task: The task, as it was claimed.
        context: What the scanner was given.
    """

    def __init__(self, context: LiveContext) -> None:
        self.library_id: LibraryId = context.library_id
        self.scope: ScanScope = context.scope
        self.attempt: int = context.task.attempt
        self.task: ScanTask = context.task
        self.context: ScanContext = context
        self._live = context
        self._orders: deque[Callable[[], TaskResult | None]] = deque()
        self._is_ended_by_test = False
        self._obeys = True
        self._held = _sync.Event()
        self._returned = _sync.Event()
        self._settled = _sync.Event()
        """Set with the first of the two."""
        self._was_cancelled = False
        """Whether it had been asked to stop when it returned."""

    def __repr__(self) -> str:
        state = "returned" if self.has_returned else "running"
        return f"<FakeScan of {self.library_id!r}, attempt {self.attempt}, {state}>"

    @property
    def has_returned(self) -> bool:
        """Whether its scanner has returned, or raised."""
        return self._returned.is_set()

    def report(
        self, scanned_paths: int, total_paths: int | None = None, message: str | None = None
    ) -> None:
        """Report progress, as the scanner would; published like any report.

        One that comes after the end of the scan changes nothing, as that of any scanner.

        Args:
            scanned_paths: How many items are done.
            total_paths: How many there are in all; None when that is not known.
            message: What is being scanned.

        Raises:
            TypeError: A count is not an int, or the message not a str.
            ValueError: A count is negative, or does not fit 64 bits.
        """
        self.context.report(scanned_paths, total_paths, message)

    def ignore_cancel(self) -> None:
        """Go on when asked to stop, until `release` or `fail`."""
        self._obeys = False

    def do(self, action: Callable[[ScanContext], object]) -> None:
        """Have the thread of the scan call a function, after its script.

        Args:
            action: What to call, with the context. What it raises, the scanner raises.

        Raises:
            TypeError: `action` cannot be called.
            RuntimeError: The scan has returned, and not because of a cancel, or was told to.
        """
        if not callable(action):
            wrong_type("action", action, "a function of the context")

        def order() -> None:
            action(self.context)

        self._refuse_if_over("do")
        self._orders.append(order)
        self._live.wake()

    def release(self, result: TaskResult | None = None) -> None:
        """Let it return. Without a result, nothing happens if it has returned already.

        Args:
            result: What it returns; an empty `TaskResult` when None.

        Raises:
            TypeError: `result` is not a `TaskResult`.
            RuntimeError: The scan has returned, and not because of a cancel, or was told to: the
                result would be lost.
        """
        found = TaskResult() if result is None else result
        check_instance("result", found, TaskResult)
        if result is not None:
            self._refuse_if_over("release")
        self._end(lambda: found)

    def fail(self, error: BaseException) -> None:
        """Let it raise.

        Args:
            error: What it raises.

        Raises:
            TypeError: `error` is not an exception.
            RuntimeError: The scan has returned, and not because of a cancel, or was told to.
        """
        if not isinstance(error, BaseException):
            wrong_type("error", error, "an exception")
        self._refuse_if_over("fail")

        def order() -> None:
            raise error

        self._end(order)

    def _end(self, order: Callable[[], TaskResult | None]) -> None:
        self._orders.append(order)
        self._is_ended_by_test = True
        self._live.wake()

    def _refuse_if_over(self, call: str) -> None:
        """Refuse what comes too late; whether a cancel has come before it is chance."""
        is_over = self.has_returned and not self._was_cancelled
        if is_over or self._is_ended_by_test:
            how = "has returned already" if self.has_returned else "was told to return already"
            message = f"{call}() comes too late for {self!r}: it {how}"
            raise RuntimeError(message)

    def await_held(self, timeout: float = PATIENCE) -> None:
        """Wait, in real time, until its script is played and it waits for the test.

        Args:
            timeout: How long to wait, in seconds.

        Raises:
            TimeoutError: It does not, in time.
            RuntimeError: It never will: it has returned without.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        is_settled = self._settled.wait(check_patience(timeout))
        if not is_settled:
            message = f"{self!r} does not wait for the test after {timeout} seconds"
            raise TimeoutError(message)
        if not self._held.is_set():
            message = f"{self!r} has never waited for the test: it was not held"
            raise RuntimeError(message)

    # --- on the thread of the scan ---

    def _run(self, script: ScanScript | None, *, is_held: bool) -> TaskResult:
        """Play the script, then do as the test says until it ends the scan."""
        try:
            if script is not None:
                self._obeys = self._obeys and script._obeys  # noqa: SLF001 - the same fake
                self._play(script._steps)  # noqa: SLF001 - same
                if script._end is not None and not self._is_ended_by_test:  # noqa: SLF001 - same
                    return script._end()  # noqa: SLF001 - same
            if not is_held and not self._is_ended_by_test:
                return TaskResult()
            return self._wait_for_orders()
        finally:
            self._was_cancelled = self.context.cancelled
            self._returned.set()
            self._settled.set()

    def _play(self, steps: list[Callable[[FakeScan], object]]) -> None:
        for step in steps:
            if not self._is_ended_by_test:
                step(self)
                self._stop_if_told_to()

    def _wait_for_orders(self) -> TaskResult:
        self._held.set()
        self._settled.set()
        while True:
            self._await_order()
            while self._orders:
                result = self._orders.popleft()()
                if result is not None:
                    return result
            self._stop_if_told_to()

    def _await_order(self) -> None:
        """Wait for the test; where its own thread may be the one that waits, not for ever."""
        if self._live.on_worker:
            self._live.wait(self._has_order)
            return
        has_order, is_late = _sync.Event(), _sync.Event()

        def watch() -> None:
            if not has_order.wait(PATIENCE):  # in real time, whatever the clock of the queue is
                is_late.set()
                self._live.wake()

        watcher = _sync.Thread(target=watch, name="scanqueue-fake-scan", daemon=True)
        watcher.start()
        try:
            self._live.wait(lambda: self._has_order() or is_late.is_set())
        finally:
            has_order.set()
        watcher.join()
        if not self._has_order():
            message = (
                f"{self!r} is held, and run_pending() runs it on the thread that called it: release"
                " it from another thread, or have a worker run it"
            )
            raise _HeldInVain(message)

    def _has_order(self) -> bool:
        return bool(self._orders) or self._is_told_to_stop()

    def _sleep(self, seconds: float) -> None:
        self._live.wait(lambda: self._is_ended_by_test or self._is_told_to_stop(), seconds)

    def _is_told_to_stop(self) -> bool:
        return self._obeys and self.context.cancelled

    def _stop_if_told_to(self) -> None:
        if self._is_told_to_stop():
            self.context.raise_if_cancelled()
