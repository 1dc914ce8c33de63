"""One process of the crash loop: ``python -m tests.crash.worker FILE LOG SEED MODE``.

It submits, cancels, waits and scans until it is killed, or asked by SIGTERM to shut down, and
writes down what it was told, after it was told. The modes: `work`; `poison`, which also submits a
library that kills whoever scans it; `drain`, which only scans, and ends when nothing is left.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from scanqueue import (
    LibraryId,
    ScanContext,
    ScanQueueService,
    ScanScope,
    TaskNotCancellableError,
    TaskPriority,
    TaskResult,
    WhenRunning,
)
from scanqueue.stores import SQLiteStore
from scanqueue.wire import task_to_dict
from tests.crash.log import Log

LIBRARIES: tuple[LibraryId, ...] = (
    *(1, "1", 2, 3, 4, 5),
    *("long-1", "long-2", "long-3", "long-4"),
    *("stubborn-1", "stubborn-2", "stubborn-3"),
    *("broken-1", "broken-2"),
)
MAX_RUNNING = 5
MAX_INTERRUPTIONS = 3
DRAIN_TIMEOUT = 60.0


class Scanner:
    """Scans as the name of the library says, and writes down when it began and ended."""

    def __init__(self, log: Log, rng: random.Random, mode: str) -> None:
        self._log = log
        self._rng = rng
        self._long = 20 if mode == "drain" else 400
        self.running: dict[UUID, LibraryId] = {}

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Scan for some milliseconds."""
        task = context.task
        ids = {"task": str(task.id), "attempt": task.attempt, "library": library_id}
        self._log.write("begin", **ids, interruptions=task.interruptions)
        if str(library_id).startswith("poison"):
            self._log.write("dying")
            os.kill(os.getpid(), signal.SIGKILL)
        self.running[task.id] = library_id
        how = "returned"
        try:
            self._work(str(library_id).partition("-")[0], context)
        except BaseException:
            how = "raised"
            raise
        finally:
            del self.running[task.id]
            self._log.write("end", **ids, how=how)
        return TaskResult(added_count=task.attempt)

    def _work(self, kind: str, context: ScanContext) -> None:
        if kind == "stubborn":  # whatever it is asked
            time.sleep(0.06)
            return
        steps = self._rng.randint(self._long // 4, self._long) if kind == "long" else 3
        for _ in context.track(range(steps)):
            time.sleep(0.001)
        if kind == "broken":
            raise OSError(5, "Input/output error")


class Host:
    """Does what the host of a queue does, at random."""

    def __init__(
        self, queue: ScanQueueService, scanner: Scanner, log: Log, rng: random.Random
    ) -> None:
        self._queue = queue
        self._scanner = scanner
        self._log = log
        self._rng = rng
        self._known: deque[UUID] = deque(maxlen=30)

    def act(self) -> None:
        """Do one thing."""
        self._rng.choices(
            (self._submit, self._cancel, self._cancel_library, self._wait), (12, 4, 1, 2)
        )[0]()

    def submit(self, library_id: LibraryId, when_running: WhenRunning = WhenRunning.JOIN) -> None:
        """Submit, and write down the answer."""
        priority = self._rng.choice(list(TaskPriority))
        paths = self._rng.choice(((), (), ("a",), ("b/c", "d")))
        mine = library_id in self._scanner.running.values()
        began = time.monotonic_ns()
        submission = self._queue.submit(
            library_id,
            priority,
            scope=ScanScope(paths=paths, deep=self._rng.random() < 0.1),
            when_running=when_running,
        )
        if library_id in LIBRARIES:
            self._known.append(submission.task_id)
        self._log.write(
            "submitted",
            began=began,
            priority=priority.value,
            paths=paths,
            outcome=submission.outcome.value,
            task=task_to_dict(submission.task),
            mine=mine,
        )

    def _submit(self) -> None:
        running = list(self._scanner.running.values())
        if running and self._rng.random() < 0.2:
            self.submit(self._rng.choice(running), WhenRunning.FOLLOW_UP)
        else:
            self.submit(self._rng.choice(LIBRARIES), self._rng.choice(list(WhenRunning)))

    def _cancel(self) -> None:
        running = list(self._scanner.running)
        task_id = self._rng.choice([*running, *running, *self._known, *self._known] or [None])
        if task_id is None:
            return
        mine = task_id in running
        with suppress(TaskNotCancellableError):
            task = self._queue.cancel_task(task_id)
            self._log.write("cancelled", task=task_to_dict(task), mine=mine)

    def _cancel_library(self) -> None:
        for task in self._queue.cancel_library(self._rng.choice(LIBRARIES)):
            self._log.write("cancelled", task=task_to_dict(task), mine=False)

    def _wait(self) -> None:
        if self._known:
            with suppress(TimeoutError):
                task = self._queue.wait(self._rng.choice(self._known), self._rng.random() * 0.05)
                self._log.write("ended", task=task_to_dict(task))

    def follow(self) -> None:
        """Write down every ending that the queue tells of."""
        for task in self._queue.changes():
            if task.is_ended:
                self._log.write("ended", task=task_to_dict(task), told=True)

    def drain(self) -> None:
        """Wait until nothing is left.

        Raises:
            TimeoutError: Something is.
        """
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while True:
            before = self._queue.revision
            stats = self._queue.stats()
            if not (stats.pending or stats.running or stats.stopping):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"still active: {self._queue.list_tasks(20)}")
            self._queue.list_changes(before, limit=1, timeout=1.0)


def main(file: str, log_file: str, seed: str, mode: str) -> None:
    """Work until killed or terminated."""
    log = Log(Path(log_file))
    log.write("born")
    logging.disable(logging.ERROR)  # broken libraries, and whoever comes late to a cancel
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    rng = random.Random(f"{seed} {mode}")
    scanner = Scanner(log, rng, mode)
    queue = ScanQueueService(
        scanner,
        store=SQLiteStore(file),
        workers=2,
        max_running=MAX_RUNNING,
        max_interruptions=MAX_INTERRUPTIONS,
    )
    host = Host(queue, scanner, log, rng)
    log.write("starting", owner=queue._core.owner)
    queue.start()
    log.write("started")
    follower = threading.Thread(target=host.follow, daemon=True)
    follower.start()
    if mode == "drain":
        host.drain()
    elif mode == "poison":
        host.submit(f"poison-{seed}")
    while mode != "drain" and not stop.is_set():
        host.act()
        stop.wait(rng.random() * 0.005)
    log.write("closing")
    timeout = 5.0 if mode == "drain" else rng.choice((0.02, 0.2, 1.0))
    is_whole = queue.shutdown(timeout, interrupt_running=rng.random() < 0.7)
    log.write("closed", is_whole=is_whole)


if __name__ == "__main__":
    main(*sys.argv[1:])
