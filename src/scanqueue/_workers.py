"""The threads that claim tasks and run them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._runner import run_scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue._context import LiveContext
    from scanqueue._core import Core
    from scanqueue.models import LibraryId, TaskResult
    from scanqueue.protocols import ScanContext


class Workers:
    """A fixed number of threads, each running one scan at a time.

    They are daemons: a thread that waits would otherwise keep the interpreter from exiting,
    whatever is registered to run at exit. A shutdown ends them.

    Args:
        core: Whose tasks they run.
        scan: The scanner.
    """

    def __init__(self, core: Core, scan: Callable[[LibraryId, ScanContext], TaskResult]) -> None:
        self._core = core
        self._scan = scan
        self._threads: list[_sync.Thread] = []

    def start(self, count: int) -> None:
        """Start the threads.

        Args:
            count: How many.
        """
        for number in range(1, count + 1):
            thread = _sync.Thread(target=self._work, name=f"scanqueue-worker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def threads(self) -> tuple[_sync.Thread, ...]:
        """Return the threads that were started."""
        return tuple(self._threads)

    def _work(self) -> None:
        hub = self._core.hub
        with hub.lock:
            hub.workers += 1
        try:
            context = self._wait_for_scan()
            while context is not None:
                run_scan(self._core, self._scan, context)
                context = self._next_scan(context) or self._wait_for_scan()
        finally:
            with hub.lock:
                hub.workers -= 1

    def _next_scan(self, done: LiveContext) -> LiveContext | None:
        """Record the end of a scan, and claim the next one if there is one."""
        core = self._core
        context = core.persist(partial(core.scans.turn, done, claims=True), until_closed=False)
        if context is None:
            with core.hub.lock:
                core.hub.busy -= 1
        return context

    def _wait_for_scan(self) -> LiveContext | None:
        """Wait for a task and claim it; None once the queue is closed."""
        core, hub = self._core, self._core.hub
        while not hub.closed:
            seen = hub.work_seq
            context = core.persist(partial(core.scans.turn, None, claims=True), until_closed=True)
            if context is not None:
                with hub.lock:
                    hub.busy += 1
                return context
            hub.wait_for_work(core.clock, seen)
        return None
