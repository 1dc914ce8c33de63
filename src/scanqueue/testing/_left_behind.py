"""Services that a test has left behind: finding, describing and closing them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

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

_clock = SystemClock()
_deadlines: WeakKeyDictionary[Core, float] = WeakKeyDictionary()
"""Until when the scans of a service may return: who looks again does not wait again."""


def living_cores() -> WeakSet[Core]:
    """Return the services of this process that were made and are not forgotten yet."""
    return WeakSet(entry for entry in _forks.registered() if isinstance(entry, Core))


def busy_cores() -> WeakSet[Core]:
    """Return those of them that were started, or scan on somebody's thread."""
    return WeakSet(core for core in living_cores() if core.started or core.scans)


def report_left_behind(cores: Iterable[Core]) -> str:
    """Close what a test has left behind, and say what it was.

    Args:
        cores: The services that the test has made or started.

    Returns:
        A few lines of text about services that were not shut down, and about scans that still run
        2 real seconds after their service was; empty when there are none.
    """
    cores = list(cores)
    at_work = [core for core in cores if _has_threads(core)]
    others = [core for core in cores if core not in at_work and core.scans]
    _grant(others)
    lines = [line for core in at_work for line in _describe(core)]
    close(at_work)
    late = [core for core in others if not _await_scans(core)]
    lines += [line for core in late for line in _describe(core)]
    if not lines:
        return ""
    advice = []
    if at_work or not all(core.hub.closed for core in late):
        advice.append(
            "call shutdown(), or use the service as a context manager or the fixture"
            " scanqueue_make_service"
        )
    close(late)
    if any(core.scans for core in [*at_work, *late]):
        advice.append("a scan has to end when its context says `cancelled`")
    return "\n".join(["the test has left workers behind:", *lines, *advice])


def close(cores: Iterable[Core]) -> None:
    """Shut services down, in real time whatever their clocks are, as well as can be.

    Their scans are asked to stop, those of a `FakeScanner` are released, and all together get 2
    seconds to return; none when they have had them before.

    Args:
        cores: The services.
    """
    cores = list(cores)
    for core in cores:
        was_closed = core.hub.closed
        shut_down(core, 0.0, interrupt_running=True)
        released = core.workers is not None and _release(core.workers.scan, core.scans.all())
        if released or not was_closed:
            _deadlines.pop(core, None)
    _grant(cores)
    for core in cores:
        if _await_scans(core):
            shut_down(core, 0.0, interrupt_running=False)  # joins the threads, now they can end


def _has_threads(core: Core) -> bool:
    """Return whether a service was started and not shut down, and has threads.

    Without them, whether it is still there is for the garbage collector to say.
    """
    is_open = core.started and not core.hub.closed and not core.forked
    return is_open and (core.store.shared or bool(_workers(core)))


def _grant(cores: Iterable[Core]) -> None:
    """Give scans until a deadline to return, the same for all that have none yet."""
    deadline = _clock.monotonic() + GRACE
    for core in cores:
        _deadlines.setdefault(core, deadline)


def _await_scans(core: Core) -> bool:
    """Wait, in real time, until no scan is left; return whether that is so."""
    deadline = _deadlines[core]
    while True:
        seen = core.hub.news_seq
        if not core.scans or _clock.monotonic() >= deadline:
            return not core.scans
        core.hub.wait_for_news(_clock, seen, deadline)


def _release(scan: object, contexts: list[LiveContext]) -> bool:
    """Release the scans of a `FakeScanner`, those that ignore a cancel too.

    Args:
        scan: The scanner.
        contexts: Those of the scans.

    Returns:
        Whether there were any that the test had not told to return.
    """
    scanner = getattr(scan, "__self__", None)
    if not isinstance(scanner, FakeScanner):
        return False
    held = [fake for fake in scanner.scans if fake.context in contexts]
    are_new = [not fake._is_ended_by_test for fake in held]  # noqa: SLF001 - the same kit
    for fake in held:
        fake.release()
    return any(are_new)


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
