"""Ending a service: on request, and when the interpreter exits without one."""

from __future__ import annotations

import atexit
import warnings
from functools import partial
from logging import ERROR, getLogger
from typing import TYPE_CHECKING
from weakref import WeakSet

from scanqueue import _rules
from scanqueue._clock import SystemClock
from scanqueue._logs import log

if TYPE_CHECKING:
    from scanqueue._context import LiveContext
    from scanqueue._core import Core

logger = getLogger(__name__)

SWEEP_BATCH = 500
"""How many pending tasks are ended in one transaction, so that readers get in between."""

NOTICE_PART = 0.1
LONGEST_NOTICE = 1.0
"""Scans get this part of a shutdown's timeout to stop when asked, at most so many seconds."""

JOIN_TIMEOUT = 1.0
"""Seconds that threads get to end that have nothing left to do."""

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
    notice: float | None = None
    if interrupt_running:
        notice = core.clock.monotonic()
    elif timeout is not None and deadline is not None:
        notice = deadline - min(LONGEST_NOTICE, NOTICE_PART * timeout)
    own: LiveContext | None = core.scans.current()

    def others_are_over() -> bool | None:
        return all(scan is own for scan in core.scans.all()) or None

    core.close()
    _settle(core)
    if not core.wait_for(others_are_over, notice):
        _ask_to_stop(core, own)
        core.wait_for(others_are_over, deadline)
    core.shutdown_returned = True  # from now on the last scan that ends gives up the store
    left_behind = core.scans.all()
    if any(scan is not own for scan in left_behind):
        core.finish_telling()
    if left_behind:
        return False  # if only the caller's own: whoever follows along is told of its end
    core.retire()
    _join(core, JOIN_TIMEOUT)
    return True


def _settle(core: Core) -> None:
    """See all claims through, and end the pending tasks of a queue that ends with its process.

    A claim asks inside its transaction whether the queue is closed; so after one more transaction
    it is known which scans there are.
    """
    if not core.ready or core.retired:
        return
    now = core.now()
    sweep = partial(_rules.end_pending, now=now, limit=SWEEP_BATCH)
    try:
        with core.write():
            pass
        while not core.store.durable and len(core.end(sweep)) == SWEEP_BATCH:
            pass
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        if not core.retired:  # by another call of `shutdown` at the same time
            log(logger, ERROR, "the store failed; pending tasks were left as they are", error)


def _ask_to_stop(core: Core, own: LiveContext | None = None) -> None:
    """Ask the scans of this process to stop, but for the caller's own.

    Their tasks end, or wait for the next start.
    """
    for context in core.scans.all():
        if context is own:
            continue
        core.publisher.publish_before_end(context)
        context.shut_down()
        try:
            core.end(partial(core.scans.stop, context, now=core.now()))
        except Exception as error:  # noqa: BLE001 - whatever a store raises
            if not core.retired:
                message = "the store failed; it learns of the shutdown when the scan ends"
                log(logger, ERROR, message, error)
        context.stop()
        core.wake()


def _join(core: Core, timeout: float) -> bool:
    """Wait for the threads of a service to end; return whether they have."""
    clock = SystemClock()
    deadline = clock.monotonic() + timeout
    threads = [*core.keeper.threads(), *(core.workers.threads() if core.workers else ())]
    for thread in threads:
        thread.join(max(0.0, deadline - clock.monotonic()))
    return not any(thread.is_alive() for thread in threads)


_started: WeakSet[Core] = WeakSet()


def close_at_exit(core: Core) -> None:
    """Have a service that was started closed when the interpreter exits, if nobody did before."""
    _started.add(core)


@atexit.register
def _close_forgotten() -> None:
    """Ask the scans of forgotten services to stop, and say that they were forgotten.

    Workers are daemons: they are still at work when this runs, and vanish after it.
    """
    forgotten = [core for core in _started if not core.hub.closed and not core.forked]
    for core in forgotten:
        core.close()
        core.finish_telling()
        _ask_to_stop(core)
    clock = SystemClock()
    deadline = clock.monotonic() + EXIT_TIMEOUT
    for core in forgotten:
        _join(core, max(0.0, deadline - clock.monotonic()))
    if forgotten:
        warnings.warn(
            f"{len(forgotten)} ScanQueueService(s) not shut down: call shutdown(),"
            " or use it as a context manager",
            ResourceWarning,
            stacklevel=1,
        )
