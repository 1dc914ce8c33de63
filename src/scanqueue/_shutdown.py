"""Ending a service: on request, and when the interpreter exits without one."""

from __future__ import annotations

import atexit
import warnings
from functools import partial
from logging import ERROR, getLogger
from typing import TYPE_CHECKING

from scanqueue import _rules, _sync
from scanqueue._clock import SystemClock
from scanqueue._logs import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanqueue._context import LiveContext
    from scanqueue._core import Core
    from scanqueue.protocols import TaskTable
    from scanqueue.records import TaskRecord

logger = getLogger(__name__)

SWEEP_BATCH = 500
"""How many pending tasks are ended in one transaction, so that readers get in between."""

NOTICE_PART = 0.1
LONGEST_NOTICE = 1.0
"""Scans get this part of a shutdown's timeout to stop when asked, at most so many seconds."""

STORE_TIMEOUT = 0.25
"""Real seconds that a store gets to end a claim, to record who was asked to stop, and to close,
also past the deadline."""

JOIN_TIMEOUT = 1.0
"""Seconds that threads get to end that have nothing left to do."""

LONGEST_JOIN = 86_400.0
"""Seconds that a store gets to close if a shutdown has no limit: the most that one can wait."""

EXIT_TIMEOUT = 2.0
"""Seconds by which forgotten services may delay the exit of the interpreter, all together."""


def shut_down(core: Core, timeout: float | None, *, interrupt_running: bool) -> bool:
    """Close a service and wait for its scans.

    Args:
        core: The service.
        timeout: When to leave them behind, in seconds; None: never.
        interrupt_running: Whether to ask them to stop at once.

    Returns:
        Whether none was left behind.
    """
    deadline = core.deadline(timeout)
    notice = core.clock.monotonic() if interrupt_running else _notice(deadline, timeout)
    own: LiveContext | None = core.scans.current()

    def others_are_over() -> bool | None:
        scans = core.scans
        return (not scans.is_claiming and all(scan is own for scan in scans.all())) or None

    core.close()
    _await_claims(core)
    batches = _end_pending(core)
    for _ in batches:
        if core.is_past(notice):
            break
    if not core.wait_for(others_are_over, notice):
        recorded = _ask_to_stop(core, own)
        recorded.wait(STORE_TIMEOUT)
        core.wait_for(lambda: recorded.is_set() or None, deadline)
    for _ in batches:
        pass
    core.wait_for(others_are_over, deadline)
    core.shutdown_returned = True  # from now on the last scan that ends gives up the store
    is_claiming = core.scans.is_claiming  # first: what was claimed meanwhile is among the scans
    left_behind = core.scans.all()
    others_left = is_claiming or any(scan is not own for scan in left_behind)
    _started.discard(core)
    if others_left:
        core.finish_telling()
        return False
    if left_behind:  # the caller's own: whoever follows along is told of its end
        core.nudge()
        return False
    _retire(core, deadline)
    _join(core, JOIN_TIMEOUT)
    return True


def _retire(core: Core, deadline: float | None) -> None:
    """Give up the store; one that hangs is left to a thread of its own once time is up."""
    core.finish_telling()
    thread = _sync.run_aside(core.retire, name="scanqueue-retire")
    if thread is not None:
        left = LONGEST_JOIN if deadline is None else max(0.0, deadline - core.clock.monotonic())
        thread.join(min(left + STORE_TIMEOUT, LONGEST_JOIN))


def _await_claims(core: Core) -> None:
    """Wait, in real time, for the workers that are about to claim; most of them find nothing."""
    clock = SystemClock()
    deadline = clock.monotonic() + STORE_TIMEOUT
    while True:
        seen = core.hub.news_seq
        if not core.scans.is_claiming or clock.monotonic() >= deadline:
            return
        core.hub.wait_for_news(clock, seen, deadline)


def _notice(deadline: float | None, timeout: float | None) -> float | None:
    """Return when to ask scans to stop, so that they have some time for it before the deadline."""
    if deadline is None or timeout is None:
        return None
    return deadline - min(LONGEST_NOTICE, NOTICE_PART * timeout)


def _end_pending(core: Core) -> Iterator[None]:
    """End the pending tasks of a queue that ends with its process, a batch at each step."""
    if not core.ready or core.retired or core.store.durable:
        return
    try:
        sweep = partial(_rules.end_pending, now=core.now(), limit=SWEEP_BATCH)
        while len(core.end(sweep)) == SWEEP_BATCH:
            yield
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        if not core.retired:  # by another call of `shutdown` at the same time
            log(logger, ERROR, "the store failed; pending tasks were left as they are", error)


def _ask_to_stop(core: Core, own: LiveContext | None = None) -> _sync.Event:
    """Ask the scans of this process to stop, but for the caller's own; start to record it.

    Returns:
        Set once a thread of its own has recorded it, since a store may take long. What it misses
        is recorded when the scan ends.
    """
    core.asks_to_stop = True
    contexts = [context for context in core.scans.all() if context is not own]
    for context in contexts:
        context.shut_down()
    core.wake()
    recorded = _sync.Event()
    if contexts:
        _sync.run_aside(_record_stop, core, contexts, recorded, name="scanqueue-shutdown")
    else:
        recorded.set()
    return recorded


def _record_stop(core: Core, contexts: list[LiveContext], recorded: _sync.Event) -> None:
    """Record that scans were asked to stop: their tasks end, or wait for the next start."""
    stopped: list[TaskRecord] = []

    try:
        now = core.now()  # the clock is the host's: not asked inside of the transaction

        def stop(table: TaskTable) -> list[TaskRecord]:
            stopped.extend(core.scans.stop(contexts, table, now=now))
            return [task for task in stopped if task.status.is_ended]

        core.end(stop)
        core.scans.note_sent_back(stopped)
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        if not core.retired:
            message = "the store failed; it learns of the shutdown when the scan ends"
            log(logger, ERROR, message, error)
    finally:
        recorded.set()
    core.wake()


def _join(core: Core, timeout: float) -> None:
    """Wait for the threads of a service to end, at most so many real seconds."""
    clock = SystemClock()
    deadline = clock.monotonic() + timeout
    threads = [*core.keeper.threads(), *(core.workers.threads() if core.workers else ())]
    for thread in threads:
        if thread.is_alive():  # one that is about to be started cannot be joined
            thread.join(max(0.0, deadline - clock.monotonic()))


_started: set[Core] = set()
"""Kept alive, until they are shut down: a service that is forgotten may have no thread."""


def close_at_exit(core: Core) -> None:
    """Have a service that was started closed when the interpreter exits, if nobody did before."""
    _started.add(core)


def let_go(core: Core) -> None:
    """Take that back, for a service of which nothing could be started."""
    if not (core.workers and core.workers.threads()):
        _started.discard(core)


@atexit.register
def _close_forgotten() -> None:
    """Ask the scans of forgotten services to stop, and say that they were forgotten.

    Workers are daemons: they are still at work when this runs, and vanish after it.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + EXIT_TIMEOUT
    # A shutdown that Ctrl-C has ended, or that a daemon thread is still at, has asked nobody yet.
    unfinished = [core for core in list(_started) if not core.forked]
    forgotten = [core for core in unfinished if not core.hub.closed]
    for core in unfinished:
        core.close()
        core.finish_telling()
    for recorded in [_ask_to_stop(core) for core in unfinished]:
        recorded.wait(max(0.0, deadline - clock.monotonic()))
    for core in unfinished:
        _join(core, deadline - clock.monotonic())
    if forgotten:
        warnings.warn(
            f"{len(forgotten)} ScanQueueService(s) not shut down: call shutdown(),"
            " or use it as a context manager",
            ResourceWarning,
            stacklevel=1,
        )
