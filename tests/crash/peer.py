"""A process that does as it is told: ``python -m tests.crash.peer FILE SETTINGS``.

It makes a service, starts it, and then makes the calls that come in by the standard input, pickled
as the name of a method and its arguments. What goes out is pickled too: first `("ready", None)`,
then `("answer", value)` or `("error", exception)` for each call, and, whenever it happens, what
its scanner does: `("event", Event)`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import sys
import threading
import time
from typing import BinaryIO

from scanqueue import LibraryId, ScanContext, ScanQueueService, TaskResult
from scanqueue.stores import SQLiteStore
from tests.crash.event import Event


class HeldScanner:
    """Scans until it is let go, or until it is asked to stop, unless the library is stubborn."""

    def __init__(self, output: BinaryIO, *, holds: bool) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._holds = holds
        self._go_on = threading.Condition()
        self._reports: dict[LibraryId, int] = {}
        self._released: set[LibraryId] = set()

    def send(self, kind: str, value: object) -> None:
        """Tell the driver something."""
        with self._lock:
            pickle.dump((kind, value), self._output)
            self._output.flush()

    def release(self, library_id: LibraryId) -> None:
        """Let the scan of a library return."""
        with self._go_on:
            self._released.add(library_id)
            self._go_on.notify_all()

    def report(self, library_id: LibraryId, count: int) -> None:
        """Have the scan of a library report its progress."""
        with self._go_on:
            self._reports[library_id] = count
            self._go_on.notify_all()

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Tell what happens, and wait for what is asked for."""
        self._tell("begin", context)
        if library_id == "fork":
            self._tell("forked", context, child=fork())
        elif library_id == "multiprocessing":
            self._tell("forked", context, child=fork_as_multiprocessing_does())
        asked = False
        while self._holds:
            with self._go_on:
                if library_id in self._released:
                    self._released.discard(library_id)
                    break
                self._go_on.wait(0.005)
                count = self._reports.pop(library_id, None)
            if count is not None:
                context.report(count)
            if context.cancelled and not asked:
                asked = True
                self._tell("asked to stop", context)
                if library_id != "stubborn":
                    break
        self._tell("end", context)
        return TaskResult(added_count=1)

    def _tell(self, what: str, context: ScanContext, child: int = 0) -> None:
        attempt = context.task.attempt
        self.send("event", Event(what, context.library_id, attempt, time.monotonic(), child))


def fork() -> int:
    """Fork a child that lives until it is killed; return its id."""
    child = os.fork()
    if child == 0:
        _live_on()
    return child


def fork_as_multiprocessing_does() -> int:
    """Fork a worker of `multiprocessing` that lives until it is killed; return its id."""
    process = multiprocessing.get_context("fork").Process(target=_live_on)
    process.start()
    assert process.pid is not None
    return process.pid


def _live_on() -> None:
    while True:
        time.sleep(60)


def main(file: str, settings: str) -> None:
    """Do as told until the input ends."""
    output = os.fdopen(os.dup(1), "wb")
    keywords = json.loads(settings)
    scanner = HeldScanner(output, holds=keywords.pop("holds"))
    scans = keywords["workers"] > 0
    queue = ScanQueueService(scanner if scans else None, store=SQLiteStore(file), **keywords)
    queue.start()
    scanner.send("ready", None)
    while True:
        try:
            name, arguments, keywords = pickle.load(sys.stdin.buffer)  # noqa: S301
        except EOFError:
            break
        try:
            target = scanner if hasattr(scanner, name) else queue
            value = getattr(target, name)
            scanner.send("answer", value(*arguments, **keywords) if callable(value) else value)
        except Exception as error:
            scanner.send("error", error)


if __name__ == "__main__":
    main(*sys.argv[1:])
