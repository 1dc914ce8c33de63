"""Who runs the tasks: threads that claim them one after the other, or the caller's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._runner import run_scan

if TYPE_CHECKING:
    from scanqueue._context import LiveContext
    from scanqueue._core import Core
    from scanqueue._runner import ScanFunction


class Workers:
    """A fixed number of threads, each running one scan at a time.

    They are daemons: a thread that waits would otherwise keep the interpreter from exiting,
    whatever is registered to run at exit. A shutdown ends them.

    Args:
        core: Whose tasks they run.
        scan: The scanner.

    Attributes:
        scan: The scanner.
    """

    def __init__(self, core: Core, scan: ScanFunction) -> None:
        self._core = core
        self.scan: ScanFunction = scan
        self._threads: list[_sync.Thread] = []
        self._begun: set[_sync.Thread] = set()
        """Those of them that run."""

    def start(self, count: int) -> None:
        """Start the threads that are missing.

        Args:
            count: How many there should be.

        Raises:
            RuntimeError: The system has no more threads.
        """
        for number in range(len(self._threads) + 1, count + 1):
            thread = _sync.Thread(target=self._work, name=f"scanqueue-worker-{number}", daemon=True)
            try:
                with self._core.hub.lock:
                    self._core.hub.workers += 1
                    self._threads.append(thread)
                thread.start()
            except BaseException:  # out of threads; or Ctrl-C, and it may run, or will, or will not
                self._withdraw(thread)
                raise

    def _withdraw(self, thread: _sync.Thread) -> None:
        """Do without a thread, if it does not run yet; if it does so later, it ends at once."""
        hub = self._core.hub
        with hub.lock:
            if thread in self._threads and thread not in self._begun:
                hub.workers -= 1
                self._threads.remove(thread)

    def _begins(self) -> bool:
        """Return whether the thread that begins is one that is counted."""
        thread = _sync.current_thread()
        with self._core.hub.lock:
            if thread in self._threads:
                self._begun.add(thread)
            return thread in self._begun

    def threads(self) -> tuple[_sync.Thread, ...]:
        """Return the threads that were started."""
        return tuple(self._threads)

    def _work(self) -> None:
        core = self._core
        if not self._begins():
            return
        try:
            context = self._wait_for_scan()
            while context is not None:
                run_scan(core, self.scan, context)
                context = core.persist(self._turn, context) or self._wait_for_scan()
        except BaseException:
            core.scans.abandon()
            raise
        finally:
            with core.hub.lock:
                core.hub.workers -= 1

    def _turn(self, done: LiveContext | None) -> LiveContext | None:
        return self._core.scans.turn(done, on_worker=True)

    def _wait_for_scan(self) -> LiveContext | None:
        """Wait for a task and claim it; None once the queue is closed."""
        core, hub = self._core, self._core.hub
        while not hub.closed:
            seen = hub.work_seq
            context = core.persist(self._turn, None, until_closed=True)
            if context is not None:
                return context
            core.hub.try_clock(partial(hub.wait_for_work, core.clock, seen), hub.work)
        return None


def run_here(core: Core, scan: ScanFunction, limit: int | None) -> int:
    """Run tasks on the calling thread until none can be claimed.

    Args:
        core: Whose tasks to run.
        scan: The scanner.
        limit: Run at most this many; None: all.

    Returns:
        How many ran.

    Raises:
        SystemExit: A scanner raised it; it was recorded.
        KeyboardInterrupt: The same, or somebody pressed Ctrl-C.
        QueueClosedError: The queue was shut down meanwhile.
        StoreError: The store failed before a scan began.
    """
    core.open_to_run()
    if core.is_shared:
        core.keeper.wake()  # which hears of cancels by other processes
    try:
        return _run(core, scan, limit)
    except BaseException:  # Ctrl-C between two steps, or while the store fails
        core.scans.abandon()
        raise


def _run(core: Core, scan: ScanFunction, limit: int | None) -> int:
    count = 0
    context = core.scans.turn(None, claims=limit != 0)
    while context is not None:
        leaves = run_scan(core, scan, context)
        count += 1
        turn = partial(core.scans.turn, claims=leaves is None and count != limit)
        context = core.persist(turn, context)
        if leaves is not None:
            raise leaves
    return count
