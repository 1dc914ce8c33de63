"""Runs what submits by itself in one process only, however many serve."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

STOP_WITHIN = 3.0
"""Seconds: to find all folders of a slow drive takes longer, and cannot be interrupted."""


class Trigger(Protocol):
    """What submits scans by itself."""

    def start(self) -> None:
        """Start; called once."""

    def stop(self) -> None:
        """End; called once."""


class OneProcess:
    """Runs triggers in one of the processes that share a queue; if that ends, in another one.

    Nothing is started, and no file opened, until `start`.

    Thread-safety: every method may be called from any thread.

    Args:
        lock: A file beside the queue's, locked by the process that runs them.
        triggers: What to run.
        look_every: Seconds between two looks whether the lock is free.
    """

    def __init__(self, lock: Path, triggers: Sequence[Trigger], look_every: float = 1.0) -> None:
        self._path = lock
        self._triggers = triggers
        self._look_every = look_every
        self._stop = Event()
        self._lock = Lock()
        """Protects the thread's start."""
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start, once the queue is started; a second call does nothing."""
        with self._lock:
            if self._thread is None and self._triggers:
                self._thread = Thread(target=self._run, name="triggers", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End, before the queue does: what has changed is submitted; a second call does nothing."""
        self._stop.set()
        with self._lock:
            if self._thread is not None:
                self._thread.join(STOP_WITHIN)

    def _run(self) -> None:
        lock = FileLock(self._path)  # here, since it must not be there before a fork
        while not self._stop.is_set():
            try:
                with lock.acquire(blocking=False), ExitStack() as running:
                    for trigger in self._triggers:
                        trigger.start()
                        running.callback(trigger.stop)
                    self._stop.wait()
            except Timeout:  # another process has it
                self._stop.wait(self._look_every)
            except OSError as error:
                logger.warning("cannot lock %s; trying again: %r", self._path, error)
                self._stop.wait(60 * self._look_every)
