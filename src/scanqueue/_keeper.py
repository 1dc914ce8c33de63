"""The thread that sees to what nobody else is there to do."""

from __future__ import annotations

from logging import ERROR, INFO, WARNING, getLogger
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue._logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scanqueue._core import Core

logger = getLogger(__name__)

LINGER = 1.0
"""Seconds that the thread stays after the last scan, since another may follow soon."""

RECOVERY_INTERVAL = 2.0
"""Seconds between two looks for dead processes, where several share a queue."""


class Keeper:
    """Publishes the last report of a scan that has gone silent, and follows other processes.

    Its thread starts when it is needed. It is a daemon, since a thread that waits would otherwise
    keep the interpreter from exiting. It ends soon after the last scan, or, where a service was
    started and there are other processes to follow, with the shutdown.

    Args:
        core: Whose queue it keeps.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._thread: _sync.Thread | None = None
        self._foreign_change = False
        self._seen: object = None
        """How the queue was when its thread last looked."""

    def wake(self) -> None:
        """Have it look for something to do."""
        hub = self._core.hub
        thread: _sync.Thread | None = None
        try:
            with hub.lock:
                hub.call_keeper()
                if self._thread is not None or self._is_dismissed():
                    return
                thread = _sync.Thread(target=self._run, name="scanqueue-keeper", daemon=True)
                self._thread = thread
            thread.start()
        except RuntimeError as error:  # out of threads, or the interpreter exits
            self._thread = None
            log(logger, WARNING, "no thread could be started; progress is published late", error)
        except BaseException:  # Ctrl-C: it may run, or will, or will not
            with hub.lock:
                if thread is not None and self._thread is thread:
                    self._withdraw()
            raise

    def _withdraw(self) -> None:
        """Do without the thread; another is started when there is more to do. Requires the lock."""
        self._thread = None
        self._core.hub.tell()  # who has just seen it at work, and is about to wait, looks again

    def look(self) -> None:
        """Have it see what another process changed."""
        self._foreign_change = True
        self.wake()

    def threads(self) -> tuple[_sync.Thread, ...]:
        """Return its thread, if it was started."""
        thread = self._thread
        return () if thread is None or thread.ident is None else (thread,)

    def _run(self) -> None:
        core = self._core
        while not core.hub.try_clock(self._keep, core.hub.chores):
            pass

    def _keep(self) -> None:
        core = self._core
        hub = core.hub
        follow = self._follow() if core.is_shared else None
        lingers_until: float | None = None
        while not self._is_done(lingers_until):
            seen = hub.chores_seq
            core.publisher.publish_due()
            dues = [context.due for context in list(core.publisher.dirty)]
            if follow is not None:
                dues.append(next(follow))
            if self._is_needed():
                lingers_until = None
            else:
                if lingers_until is None:
                    lingers_until = core.clock.monotonic() + LINGER
                dues.append(lingers_until)
            hub.wait_for_chores(core.clock, seen, min(dues, default=None))

    def _is_done(self, lingers_until: float | None) -> bool:
        """Return whether the thread may end."""
        core = self._core
        is_idle = core.is_past(lingers_until)
        with core.hub.lock:
            if self._thread is not _sync.current_thread():  # it was withdrawn by Ctrl-C
                core.hub.call_keeper()  # that call may have been for the one that came after it
                return True
            done = self._is_dismissed() or (is_idle and not self._is_needed())
            if done:
                self._withdraw()
            return done

    def _is_dismissed(self) -> bool:
        """Return whether a shutdown is over; a scan that called it, and goes on, is kept still."""
        core = self._core
        return core.hub.finished and all(context.cancelled for context in core.scans.all())

    def _is_needed(self) -> bool:
        core = self._core
        follows = core.is_shared and (
            core.started or core.hub.readers > 0 or core.scans.is_claiming
        )
        return follows or bool(core.scans)

    @property
    def is_at_rest(self) -> bool:
        """Whether it has no thread."""
        return self._thread is None

    def rest(self) -> None:
        """Have the thread, if there is one, see that the last scan has ended."""
        if self._thread is not None:
            with self._core.hub.lock:
                self._core.hub.call_keeper()

    def _follow(self) -> Iterator[float]:
        """Look after other processes whenever asked to; yield when to ask again."""
        core = self._core
        poll_interval = core.store.poll_interval
        self._seen = None
        poll_at = recover_at = core.clock.monotonic()
        failing: set[Callable[[], None]] = set()
        while True:
            now = core.clock.monotonic()
            steps: list[Callable[[], None]] = []
            if self._foreign_change or (poll_interval is not None and now >= poll_at):
                poll_at = now + (poll_interval or 0.0)
                steps.append(self._see)
            if now >= recover_at:
                recover_at = now + RECOVERY_INTERVAL
                if not core.hub.closed:
                    steps.append(core.recover)
            for step in steps:
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - whatever a store raises
                    if not (failing or core.retired):
                        log(logger, ERROR, "the store failed; trying again until it works", error)
                    failing.add(step)
                else:
                    if failing == {step}:
                        log(logger, INFO, "the store works again")
                    failing.discard(step)
            yield recover_at if poll_interval is None else min(poll_at, recover_at)

    def _see(self) -> None:
        """Tell those who wait of what another process changed."""
        core = self._core
        self._foreign_change = False
        try:
            with core.read() as view:
                latest = (view.revision(), view.paused())
            if latest != self._seen:
                core.look_around()
                self._seen = latest
        except BaseException:
            self._foreign_change = True  # it is still to be seen
            raise
