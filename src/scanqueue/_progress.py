"""From what scanners report to changes that everybody sees."""

from __future__ import annotations

from logging import WARNING, getLogger
from typing import TYPE_CHECKING

from scanqueue import _rules
from scanqueue._logs import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue._context import LiveContext
    from scanqueue._core import Core
    from scanqueue.protocols import TaskTable
    from scanqueue.records import TaskRecord

logger = getLogger(__name__)


class Publisher:
    """Publishes the progress of each scan at most once in the interval of the store.

    The first report goes out at once, on the thread of the scanner; what follows too soon is
    marked, and goes out when it is due: by the next reader of the queue, or by the keeper.

    Thread-safety: any thread; `dirty` is only changed by single operations that are atomic.

    Args:
        core: Whose scans these are.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.dirty: set[LiveContext] = set()
        """Scans that reported something that is not published."""
        self._fails = False

    def touched(self, context: LiveContext) -> None:
        """Publish what a scan reported: now, or when its interval is over."""
        core = self._core
        if core.publisher is not self:  # pragma: no cover - a forked child: the scan is not its own
            return
        if core.clock.monotonic() >= context.due:
            self._publish(context)
        else:
            self.dirty.add(context)
            core.keeper.wake()

    def publish_due(self) -> None:
        """Publish what scans reported, where the interval since the last time is over."""
        now = self._core.clock.monotonic()
        for context in list(self.dirty):
            if now >= context.due:
                self._publish(context)

    def _publish(self, context: LiveContext) -> None:
        """Publish the progress of a scan. A store that fails loses it: the next one will do."""
        core = self._core
        self.dirty.discard(context)
        context.due = core.clock.monotonic() + core.store.progress_interval

        def report(table: TaskTable) -> TaskRecord | None:
            # Taken inside, so that of two publications the later one has the later numbers.
            return _rules.report(table, context.slot, context.progress())

        try:
            task = core.transact(report, sync=False)
        except BaseException as error:
            if not isinstance(error, Exception):  # an interrupt: another reader is to see to it
                self.dirty.add(context)
                raise
            context.progress()  # it counts as published, so that the next report is heard
            if not self._fails:
                log(logger, WARNING, "progress was lost: the store failed", error)
            self._fails = True
            return
        self._fails = False
        if task is not None:
            core.wake()

    def wait_in_scan(self, done: Callable[[], bool], seconds: float | None) -> None:
        """Wait until `done()`, at most so long by the clock."""
        core = self._core
        core.wait_for(lambda: done() or None, core.deadline(seconds))

    def wake(self) -> None:
        """Have everybody who waits in a scan look again."""
        self._core.wake()
