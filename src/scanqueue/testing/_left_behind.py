"""Services that a test has left behind: finding, describing and closing them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from scanqueue import _forks, _sync
from scanqueue._clock import SystemClock
from scanqueue._core import Core
from scanqueue._shutdown import shut_down
from scanqueue.testing._scanner import FakeScanner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scanqueue._context import LiveContext

GRACE = 2.0
"""Real seconds that scans get to return once they were asked to, or their service was shut down."""


def living_cores() -> WeakSet[Core]:
    """Return the services of this process that were made and are not forgotten yet."""
    return WeakSet(entry for entry in _forks.registered() if isinstance(entry, Core))


def report_left_behind(cores: Iterable[Core]) -> str:
    """Close what a test has left behind, and say what it was.

    Args:
        cores: The services that the test has made.

    Returns:
        A few lines of text about services that were not shut down, and about scans that still run
        2 real seconds after their service was; empty when there are none.
    """
    left = [core for core in cores if _is_left_behind(core)]
    if not left:
        return ""
    lines = ["the test has left workers behind:"]
    for core in left:
        lines += _describe(core)
        close(core)
    lines.append(
        "call shutdown(), use the service as a context manager or the fixture"
        " scanqueue_make_service; a scan has to end when its context says `cancelled`"
    )
    return "\n".join(lines)


def close(core: Core) -> None:
    """Shut a service down, in real time whatever its clock is, as well as can be.

    Its scans are asked to stop, those of a `FakeScanner` are released, and each gets 2 seconds to
    return.
    """
    shut_down(core, 0.0, interrupt_running=True)
    if core.workers is not None:
        _release(core.workers.scan, core.scans.all())
    if _await_scans(core):
        shut_down(core, 0.0, interrupt_running=False)  # joins the threads, now that they can end


def _is_left_behind(core: Core) -> bool:
    if core.started and not core.hub.closed and not core.forked:
        # Without threads, whether it is still there is for the garbage collector to say.
        return core.store.shared or bool(_workers(core))
    return not _await_scans(core)


def _await_scans(core: Core) -> bool:
    """Wait, in real time, until no scan is left; return whether that is so."""
    clock = SystemClock()
    deadline = clock.monotonic() + GRACE
    while True:
        seen = core.hub.news_seq
        if not core.scans or clock.monotonic() >= deadline:
            return not core.scans
        core.hub.wait_for_news(clock, seen, deadline)


def _release(scan: object, contexts: list[LiveContext]) -> None:
    """Release the scans of a `FakeScanner`, those that ignore a cancel too."""
    scanner = getattr(scan, "__self__", None)
    if isinstance(scanner, FakeScanner):
        for fake in scanner.scans:
            if fake.context in contexts:
                fake.release()


def _describe(core: Core) -> list[str]:
    how = "shut down, but a scan of it still runs" if core.hub.closed else "not shut down"
    scanner = "" if core.workers is None else f" of scanner {_name(core.workers.scan)}"
    threads = {thread.ident: thread.name for thread in _sync.living_threads()}
    scans = core.scans.all()
    lines = [f"- ScanQueueService{scanner} on {core.store!r}: {how}"]
    for scan in scans:
        name = threads.pop(scan.thread, "a thread that has ended")
        lines.append(f"  - {name} scans library {scan.library_id!r}, task {scan.slot.task_id}")
    others = [*_workers(core), *core.keeper.threads()]
    idle = [thread.name for thread in others if thread.ident in threads]
    return [*lines, *(f"  - {name} waits for work" for name in idle)]


def _workers(core: Core) -> tuple[_sync.Thread, ...]:
    return () if core.workers is None else core.workers.threads()


def _name(scan: object) -> str:
    """Return the name of a scanner: of the function, or of the class of the object."""
    named = scan if hasattr(scan, "__qualname__") else type(scan)
    return f"{named.__module__}.{named.__qualname__}"
