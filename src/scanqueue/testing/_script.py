"""What a scan of a `FakeScanner` will do, written down before it begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from scanqueue import _sync
from scanqueue._validate import (
    check_instance,
    check_int,
    check_optional_int,
    check_seconds,
    wrong_type,
)
from scanqueue.models import TaskResult
from scanqueue.protocols import ScanContext

if TYPE_CHECKING:
    from scanqueue.testing._scan import FakeScan

__all__ = ["ScanScript"]


class ScanScript:
    """What one scan of a `FakeScanner` will do; made by `on` and `always` of the scanner.

    >>> from scanqueue.testing import FakeScanner
    >>> scanner = FakeScanner()
    >>> scanner.on("music").reports(3, 10).reports(10, 10).returns(TaskResult(added_count=10))

    It is written as a sentence, and not as a list of steps that is passed in: a test then reads as
    it would be told, has nothing more to import, and its types are checked step by step. Steps can
    be chained; an end (`returns`, `returns_no_result`, `raises`, `holds`) can not, and ends it.
    Without an end, the scan goes on as it would without a script: it returns an empty result, or
    waits for the test if it is held.

    Between its steps the scan stops when it is cancelled, as a good scanner does, unless the script
    `ignores_cancel`. If the test ends the scan (`FakeScan.release`, `FakeScan.fail`), the steps
    that are left are dropped.

    Thread-safety: every method may be called from any thread. What is written after the scan has
    begun is refused.
    """

    def __init__(self, subject: str, lock: _sync.Lock) -> None:
        self._subject = subject
        self._lock = lock
        """The scanner's; protects all fields."""
        self._steps: list[Callable[[FakeScan], object]] = []
        self._end: Callable[[], TaskResult] | None = None
        self._end_name = ""
        self._has_begun = False
        self._obeys = True

    def __repr__(self) -> str:
        return f"<ScanScript for {self._subject}>"

    # --- steps ---

    def reports(
        self, scanned_paths: int, total_paths: int | None = None, message: str | None = None
    ) -> Self:
        """Have it report progress; published like any report, at most once in an interval.

        Args:
            scanned_paths: How many items are done.
            total_paths: How many there are in all; None when that is not known.
            message: What is being scanned.

        Raises:
            TypeError: A count is not an int, or the message not a str.
            ValueError: A count is negative, or does not fit 64 bits.
            RuntimeError: The script has its end, or the scan has begun.
        """
        check_int("scanned_paths", scanned_paths)
        check_optional_int("total_paths", total_paths)
        if message is not None:
            check_instance("message", message, str)
        return self._add(lambda scan: scan.report(scanned_paths, total_paths, message))

    def sleeps(self, seconds: float) -> Self:
        """Have it wait, by the clock of the queue.

        Args:
            seconds: How long.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative or NaN.
            RuntimeError: The script has its end, or the scan has begun.
        """
        seconds = check_seconds("seconds", seconds)
        return self._add(lambda scan: scan._sleep(seconds))  # noqa: SLF001 - the same fake

    def does(self, action: Callable[[ScanContext], object]) -> Self:
        """Have it call a function, on the thread of the scan.

        Args:
            action: What to call, with the context. What it raises, the scanner raises.

        Raises:
            TypeError: `action` cannot be called.
            RuntimeError: The script has its end, or the scan has begun.
        """
        if not callable(action):
            wrong_type("action", action, "a function of the context")
        return self._add(lambda scan: action(scan.context))

    def ignores_cancel(self) -> Self:
        """Have it go on when it is asked to stop, wherever in the script this stands.

        Raises:
            RuntimeError: The script has its end, or the scan has begun.
        """
        with self._lock:
            self._refuse_if_over()
            self._obeys = False
        return self

    # --- ends ---

    def returns(self, result: TaskResult | None = None) -> None:
        """Have it return a result.

        Args:
            result: What it returns; an empty `TaskResult` when None.

        Raises:
            TypeError: `result` is not a `TaskResult`.
            RuntimeError: The script has an end, or the scan has begun.
        """
        found = TaskResult() if result is None else result
        check_instance("result", found, TaskResult)
        self._finish("returns", lambda: found)

    def returns_no_result(self, value: object = None) -> None:
        """Have it return what is no `TaskResult`, as a scanner with a mistake does.

        Args:
            value: What it returns.

        Raises:
            TypeError: `value` is a `TaskResult`.
            RuntimeError: The script has an end, or the scan has begun.
        """
        if isinstance(value, TaskResult):
            wrong_type("value", value, "something else than a TaskResult")
        wrong: TaskResult = value  # type: ignore[assignment]  # that is the point
        self._finish("returns_no_result", lambda: wrong)

    def raises(self, error: BaseException) -> None:
        """Have it raise.

        Args:
            error: What it raises: `LibraryUnavailable`, any other exception, `SystemExit`.

        Raises:
            TypeError: `error` is not an exception, or is a class of them.
            RuntimeError: The script has an end, or the scan has begun.
        """
        if not isinstance(error, BaseException):
            wrong_type("error", error, "an exception")

        def fail() -> TaskResult:
            raise error.with_traceback(None)  # not that of the scan before

        self._finish("raises", fail)

    def holds(self) -> None:
        """Have it wait for the test, as after `FakeScanner.hold`.

        Raises:
            RuntimeError: The script has an end, or the scan has begun.
        """
        self._finish("holds", None)

    # --- for the scanner ---

    @property
    def _is_held(self) -> bool:
        """Whether the scan waits for the test in the end, whatever the scanner says."""
        return self._end_name == "holds"

    def _begin(self) -> None:
        """Take no more steps. Requires the lock."""
        self._has_begun = True

    def _add(self, step: Callable[[FakeScan], object]) -> Self:
        with self._lock:
            self._refuse_if_over()
            self._steps.append(step)
        return self

    def _finish(self, name: str, end: Callable[[], TaskResult] | None) -> None:
        with self._lock:
            self._refuse_if_over()
            self._end, self._end_name = end, name

    def _refuse_if_over(self) -> None:
        if self._end_name:
            message = (
                f"the script for {self._subject} has its end already, {self._end_name}():"
                " begin that of another scan with on()"
            )
            raise RuntimeError(message)
        if self._has_begun:
            message = (
                f"the script for {self._subject} is being played already:"
                " write all of it before the library is submitted"
            )
            raise RuntimeError(message)
