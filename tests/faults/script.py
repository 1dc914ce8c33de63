"""A run of a queue that says what was acknowledged: ``python -m tests.faults.script FILE LOG``.

Three lives of a service on one file, with all that a queue does. A step that fails with a typed
error is tried again; any other error ends the run. Time passes when somebody waits for it, and
the names of the files beside the database are always the same, so that faults can be aimed.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from unittest import mock
from uuid import UUID

from scanqueue import (
    LibraryId,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    StoreError,
    TaskPriority,
    TaskResult,
    WhenRunning,
    _core,
)
from scanqueue._clock import SystemClock
from scanqueue.stores import SQLiteStore, _sqlite_file, _writer
from scanqueue.wire import task_to_dict
from tests.bare_queue import WHOLE

T = TypeVar("T")

TRIES = 3
PATIENCE = 40.0
"""Real seconds to wait for another thread."""

CHECKPOINT = 12
"""Pages of the log after which SQLite moves them into the database: often, as in a long run."""

LOGS = ("-wal", "-shm", "-journal")


class JumpClock(SystemClock):
    """The time of the system, but short waits are over at once: the clock jumps to their end."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self._offset

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Jump to the deadline if it is near; the keeper and long waits take their time."""
        is_keeper = threading.current_thread().name == "scanqueue-keeper"
        left = None if deadline is None else max(0.0, deadline - self.monotonic())
        if left is not None and not is_keeper and left < _core.LAST_RETRY + 1:
            with self._lock:
                self._offset += left
        else:
            condition.wait(left)


def names() -> Iterator[UUID]:
    """Yield what stands in the names of files: the same in each run."""
    return (UUID(int=number) for number in itertools.count(1))


def files(file: Path, lives: int = 3) -> list[Path]:
    """Return all files that a run makes, and their folder."""
    mains = [file, *(file.with_name(f"{file.name}-new-{name.hex}") for name in first(names()))]
    with_logs = [main.with_name(main.name + suffix) for main in mains for suffix in LOGS]
    owners = [file.with_name(f"{file.name}-owner-{name.hex}") for name in first(names())]
    return [file.parent, *mains, *with_logs, *owners[:lives]]


def first(found: Iterator[T], count: int = 3) -> list[T]:
    """Return the first few."""
    return list(itertools.islice(found, count))


class LogHandler(logging.Handler):
    """Tells what the library logs: the errors that only workers hear of."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, StoreError):
            self._tell("logged", kind=type(error).__name__, error=str(error))


class Script:
    """The run.

    Args:
        file: Where the queue is.
        log: Where to tell of it, line by line.
        durability: That of the store.
    """

    def __init__(self, file: Path, log: Path, durability: str) -> None:
        self._file = file
        self._durability = durability
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._clock = JumpClock()
        self._long_began = threading.Event()
        self._queue: ScanQueueService

    def tell(self, what: str, **data: object) -> None:
        """Write a line."""
        os.write(self._log, json.dumps({"what": what, **data}).encode() + b"\n")

    def step(self, name: str, call: Callable[[], T]) -> T:
        """Do something until it is done, and tell of what was in the way."""
        for _ in range(TRIES):
            try:
                return call()
            except StoreError as error:
                self.tell("failed", step=name, kind=type(error).__name__, error=str(error))
        raise RuntimeError(f"{name}: fails for ever")

    def submit(
        self,
        library: str,
        priority: TaskPriority = TaskPriority.NORMAL,
        scope: ScanScope = WHOLE,
        when_running: WhenRunning = WhenRunning.JOIN,
    ) -> UUID:
        """Submit a library, and tell of the acknowledgement."""
        submission = self.step(
            "submit",
            lambda: self._queue.submit(library, priority, scope=scope, when_running=when_running),
        )
        self.tell("submitted", task=task_to_dict(submission.task), outcome=submission.outcome.value)
        return submission.task_id

    def cancel(self, task_id: UUID) -> None:
        """Cancel a task; a cancel that failed has changed nothing, so it can be repeated."""
        self.ended(self.step("cancel", lambda: self._queue.cancel_task(task_id)))

    def ended(self, *tasks: ScanTask) -> None:
        """Tell of tasks that have ended."""
        for task in tasks:
            assert task.is_ended, task
            self.tell("ended", task=task_to_dict(task))

    def history(self) -> None:
        """Tell of all that have ended."""
        self.ended(*self.step("list", self._queue.list_history))

    def live(self, workers: int) -> None:
        """Begin a life."""
        store = SQLiteStore(self._file, durability=self._durability)  # type: ignore[arg-type]
        self._queue = ScanQueueService(self.scan, store=store, workers=workers, clock=self._clock)
        self.step("start", self._queue.start)
        self.tell("started")

    def scan(self, library: LibraryId, context: ScanContext) -> TaskResult:
        """Scan a library, each in its own way."""
        task = context.task
        self.tell("began", id=str(task.id), library=library, attempt=task.attempt)
        try:
            for number in context.track(range(3)):
                context.sleep(1)
                if library == "music" and number == 1 and task.attempt == 1 and not task.scope.deep:
                    again = ScanScope(deep=True)
                    self.submit("music", scope=again, when_running=WhenRunning.FOLLOW_UP)
                if library == "films" and number == 1:
                    self.cancel(task.id)
                if library == "photos":
                    raise ValueError("no photos")
                if library == "long" and task.attempt == 1:
                    self._long_began.set()
                    context.sleep(1000)
        finally:
            self.tell("returned", id=str(task.id))
        return TaskResult(added_count=3)

    def run(self) -> None:
        """Live three times."""
        self.live(workers=0)
        self.submit("music")
        self.submit("music", TaskPriority.HIGH)
        self.submit("films", scope=ScanScope(paths=("a", "b")))
        self.submit("films", scope=ScanScope(paths=("c",)))
        self.cancel(self.submit("books"))
        self.step("pause", self._queue.pause)
        self.tell("paused", paused=True)
        self.submit("photos", TaskPriority.LOW)
        self.step("resume", self._queue.resume)
        self.tell("paused", paused=False)
        self.step("run", self._queue.run_pending)
        self.history()
        self.submit("late")
        self._queue.shutdown(None)

        self.live(workers=1)
        late = self.submit("late")
        self.ended(self.step("wait", lambda: self._queue.wait(late)))
        games = self.submit("games")
        self.ended(self.step("wait", lambda: self._queue.wait(games, quiet=True)))
        self.submit("long", TaskPriority.HIGH)
        if not self._long_began.wait(PATIENCE):
            faulthandler.dump_traceback()
            raise RuntimeError("no worker began the scan")
        self.submit("books")
        self._queue.shutdown(None, interrupt_running=True)

        self.live(workers=0)
        self.step("run", self._queue.run_pending)
        self.history()
        self.submit("last")
        self._queue.shutdown(None)
        self.tell("done")


def run(file: Path, log: Path, durability: str, *, lengthens: bool) -> None:
    """Run the script, with a small log and names that are known before.

    Args:
        file: The queue.
        log: Where to tell.
        durability: That of the store.
        lengthens: Whether SQLite's log is given its length at once.
    """
    script = Script(file, log, durability)
    logger = logging.getLogger("scanqueue")
    logger.addHandler(LogHandler(script.tell))
    logger.propagate = False
    connect = _sqlite_file.DatabaseFile.connect

    def connect_and_set(
        self: _sqlite_file.DatabaseFile, *, read_only: bool = False
    ) -> sqlite3.Connection:
        connection = connect(self, read_only=read_only)
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        return connection

    with (
        mock.patch.object(_sqlite_file.DatabaseFile, "connect", connect_and_set),
        mock.patch.object(_writer, "_LOG_PAGES", CHECKPOINT),
        mock.patch.object(_writer, "_LAZY_LOG_PAGES", CHECKPOINT),
        mock.patch.object(_writer, "_LENGTHEN_EVERY", 2 if lengthens else sys.maxsize),
        mock.patch.object(_sqlite_file, "uuid4", side_effect=names()),
        mock.patch.object(_core, "uuid4", side_effect=names()),
    ):
        script.run()


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], lengthens=sys.argv[4] == "lengthens")
