"""One scan of a scanner that is checked, and everything that it says meanwhile."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import attrs

from scanqueue import _sync
from scanqueue._clock import SystemClock
from scanqueue._context import LiveContext
from scanqueue.errors import ScanCancelled
from scanqueue.models import TaskPriority, TaskResult, TaskStatus
from scanqueue.records import Slot, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scanqueue.models import LibraryId, ScanScope, TaskProgress
    from scanqueue.protocols import ScanContext

T = TypeVar("T")


class Desk:
    """Takes what a scan reports: what a service does for the context of a real scan.

    Args:
        cancel_at: Ask the scan to stop at its so manieth report; None: never.
        meanwhile: What happens while the scan is under way: once, at its second report.
    """

    def __init__(self, cancel_at: int | None, meanwhile: Callable[[], object] | None) -> None:
        self.reports: list[TaskProgress] = []
        """Everything that was reported, in order."""
        self._cancel_at = cancel_at
        self._actions = [] if meanwhile is None else [meanwhile]
        self._clock = SystemClock()
        self._changed = _sync.Condition()
        self._news = 0

    def touched(self, context: LiveContext) -> None:
        """Take a report."""
        self.reports.append(context.progress())
        if self._cancel_at is not None and len(self.reports) >= self._cancel_at:
            context.stop()
            self.wake()
        if len(self.reports) > 1:
            with self._changed:  # a scan may report from several threads
                actions, self._actions = self._actions, []
            for action in actions:
                action()

    def wait_in_scan(self, done: Callable[[], bool], seconds: float | None) -> None:
        """Wait until `done()`, at most so long."""
        deadline = None if seconds is None else self._clock.monotonic() + seconds
        with self._changed:
            while not done() and (deadline is None or self._clock.monotonic() < deadline):
                self._clock.wait_until(self._changed, deadline)

    def wake(self) -> None:
        """Have everybody who waits in the scan look again."""
        with self._changed:
            self._changed.notify_all()


class WatchedContext(LiveContext):
    """The context of the queue, which also notes what the scanner asks of it."""

    __slots__ = ("_cancel_at", "looks", "raised")

    def __init__(self, task: TaskRecord, slot: Slot, desk: Desk, cancel_at: int | None) -> None:
        super().__init__(task, slot, desk, on_worker=False)
        self._cancel_at = cancel_at
        self.looks: int = 0
        """How often the scanner gave it a chance to say that it should stop."""
        self.raised: int = 0
        """How often it has raised `ScanCancelled` on the thread of the scan. What a scan has given
        to other threads is more than one piece, and each may be told by a raise of its own."""

    def _look(self) -> None:
        self.looks += 1
        if self._cancel_at is not None and self.looks >= self._cancel_at:
            self.stop()
            self.wake()

    @property
    def cancelled(self) -> bool:
        """Whether the scan should stop."""
        self._look()
        return super().cancelled

    def raise_if_cancelled(self) -> None:
        """Raise `ScanCancelled` if the scan should stop."""
        self._look()
        try:
            super().raise_if_cancelled()
        except ScanCancelled:
            self.raised += _sync.get_ident() == self.thread
            raise

    def track(self, iterable: Iterable[T], total: int | None = None) -> Iterator[T]:
        """Yield the items, count them, and raise `ScanCancelled` if the scan should stop."""
        self._look()
        return self._looking(super().track(iterable, total))

    def _looking(self, items: Iterator[T]) -> Iterator[T]:
        for item in items:
            self._look()
            yield item


class Scan:
    """One call of a scanner, and what became of it.

    Args:
        scan: The scanner, as a function.
        library_id: What it scans.
        scope: What of it.
        cancel_at: Ask it to stop at its so manieth report; 0: before it begins; None: never.
        cancel_at_look: Ask it to stop when it asks for the so manieth time; None: never.
        meanwhile: What happens while it is under way: once, at its second report.
    """

    def __init__(
        self,
        scan: Callable[[LibraryId, ScanContext], TaskResult],
        library_id: LibraryId,
        scope: ScanScope,
        *,
        cancel_at: int | None = None,
        cancel_at_look: int | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        self._desk = Desk(cancel_at or None, meanwhile)
        task = TaskRecord(
            id=uuid4(),
            library_id=library_id,
            priority=TaskPriority.NORMAL,
            status=TaskStatus.RUNNING,
            scope=scope,
            created_at=datetime.now(UTC),
            revision=2,
            rank=1,
            started_at=datetime.now(UTC),
            attempt=1,
            holds_slot=True,
        )
        slot = Slot(library_id, task.id, task.attempt, "check")
        self.context: WatchedContext = WatchedContext(task, slot, self._desk, cancel_at_look)
        if cancel_at == 0:
            self.context.stop()
        self.returned: object = None
        self.raised: BaseException | None = None
        call: Callable[..., object] = scan
        try:
            self.returned = call(library_id, self.context)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the check judges it
            self.raised = error
        self.context.close()
        if inspect.iscoroutine(self.returned):
            self.returned.close()  # so that it does not warn that nobody awaited it

    @property
    def reports(self) -> list[TaskProgress]:
        """What it reported, in order, with what it had reported when it returned."""
        return [*self._desk.reports, self.context.progress()]

    @property
    def counted(self) -> int:
        """How many items it counted: as it reported, or, where that is less, in its result."""
        result = self.returned
        found = sum(attrs.astuple(result)) if isinstance(result, TaskResult) else 0
        return max(found, self.reports[-1].scanned_paths)
