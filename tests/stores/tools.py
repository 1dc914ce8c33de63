"""What the tests of the stores share."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from scanqueue import _rules
from scanqueue.models import LibraryId, TaskPriority, WhenRunning
from scanqueue.protocols import TaskStore, TaskTable
from scanqueue.records import Slot, TaskRecord
from scanqueue.stores.sqlite import SQLiteStore
from tests.bare_queue import NOON, WHOLE

PATIENCE = 10
"""Seconds to wait for what comes at once if it comes at all."""


class OpenStore(Protocol):
    """Opens a store."""

    def __call__(self, owner: str = "me", *, durability: str = "full") -> SQLiteStore:
        """Open one."""


def put(
    table: TaskTable,
    library_id: LibraryId,
    priority: TaskPriority = TaskPriority.NORMAL,
    when_running: WhenRunning = WhenRunning.JOIN,
) -> TaskRecord:
    """Submit a task inside a transaction."""
    task, _ = _rules.submit(
        *(table, library_id, priority, WHOLE, when_running),
        now=NOON,
        new_id=uuid4,
        max_pending=None,
    )
    return task


def submit(
    store: TaskStore,
    library_id: LibraryId,
    priority: TaskPriority = TaskPriority.NORMAL,
    when_running: WhenRunning = WhenRunning.JOIN,
) -> TaskRecord:
    """Submit a task."""
    with store.write() as table:
        return put(table, library_id, priority, when_running)


def claim(store: TaskStore, owner: str = "me") -> Slot:
    """Claim the next task, which there must be."""
    with store.write() as table:
        claimed = _rules.claim(table, owner, now=NOON, max_running=None)
    assert claimed is not None
    return claimed[1]


def waiting(store: TaskStore) -> list[LibraryId]:
    """Return the libraries of the pending tasks, in order of claim."""
    with store.read() as view:
        return [task.library_id for task in view.pending(None)]


def writing_connection(store: SQLiteStore) -> sqlite3.Connection:
    """Return the one connection that writes, which there must be."""
    cursor = store._writer._cursor
    assert cursor is not None
    return cursor.connection


def edit(path: Path, statement: str, *values: object) -> None:
    """Do to the database what this library never would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(statement, values).rowcount


def spoil(path: Path, task_id: UUID, column: str, value: object) -> None:
    """Put something into a record that does not belong there."""
    edit(path, f"UPDATE tasks SET {column} = ? WHERE id = ?", value, task_id.bytes)  # noqa: S608


class Call(threading.Thread):
    """A call on a thread of its own, started at once."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.function = function
        self.value: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self.value = self.function()
        except BaseException as error:
            self.error = error

    def result(self) -> object:
        """Wait for what it returned, or raise what it raised."""
        self.join(PATIENCE)
        assert not self.is_alive(), "the call hangs"
        if self.error is not None:
            raise self.error
        return self.value


class Waiting:
    """Takes the place of what `patiently` waits on, and has others go on meanwhile."""

    def __init__(self, goes_on: Callable[[], object]) -> None:
        self.goes_on = goes_on
        self.times = 0

    def __call__(self) -> Waiting:
        """Stand in for `Event`."""
        return self

    def wait(self, seconds: float) -> None:
        """Stand in for `Event.wait`."""
        assert 0 < seconds < 1
        self.times += 1
        if self.times == 3:
            self.goes_on()
