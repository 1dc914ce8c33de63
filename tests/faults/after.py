"""What must hold of the file that a run left behind, wherever it was cut off."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs

from scanqueue import (
    LibraryId,
    ScanContext,
    ScanQueueService,
    ScanTask,
    TaskResult,
    TaskStatus,
)
from scanqueue.stores import SQLiteStore
from scanqueue.wire import task_from_dict
from tests.faults.script import JumpClock

ADDED = "(SELECT count(*) AS added FROM tasks, queue WHERE seq > queue.revision)"
"""How many tasks the row of the queue does not count yet."""

PAIRS = [
    *(
        f"(SELECT count(*) FROM tasks WHERE status = '{status.value}'), {status.value}"  # noqa: S608 - constants only
        for status in TaskStatus
        if status is not TaskStatus.PENDING
    ),
    "(SELECT count(*) FROM tasks WHERE status = 'pending'), pending + added",
    "(SELECT count(*) FROM slots), slots",
    "(SELECT count(*) FROM tasks WHERE ended_by IS NOT NULL AND holds_slot), stopping",
    "(SELECT count(*) FROM slots JOIN tasks ON id = task_id WHERE holds_slot), slots",
    "(SELECT count(*) FROM tasks WHERE holds_slot), slots",
    "(SELECT count(DISTINCT library_id) FROM tasks WHERE status = 'pending'), pending + added",
    "(SELECT count(DISTINCT library_id) FROM tasks WHERE status = 'running'), running",
    "(SELECT count(*) FROM tasks WHERE revision > queue.revision), added",
    "(SELECT count(*) FROM tasks WHERE seq > queue.revision AND revision = seq), added",
    "(SELECT count(*) FROM tasks WHERE seq > queue.revision + added), 0",
]
"""Numbers that must be the same."""


@attrs.define
class Log:
    """What a run has told before it was cut off."""

    lines: list[dict[str, Any]]

    @classmethod
    def read(cls, text: bytes) -> Log:
        """Read the lines that are whole."""
        return cls([json.loads(line) for line in text.split(b"\n")[:-1]])

    def of(self, *whats: str) -> list[dict[str, Any]]:
        """Return the lines of some kinds."""
        return [line for line in self.lines if line["what"] in whats]

    def tasks(self, what: str) -> list[ScanTask]:
        """Return the tasks of the lines of a kind."""
        return [task_from_dict(line["task"]) for line in self.of(what)]

    def is_done(self) -> bool:
        """Return whether the run came to its end."""
        return bool(self.of("done"))


def check_log(log: Log) -> None:
    """Check what can be seen from outside: no scan of an ended task, no two of one library."""
    ended: set[str] = set()
    scanning: dict[str, LibraryId] = {}
    attempts: set[tuple[str, int]] = set()
    for line in log.lines:
        if line["what"] == "ended":
            ended.add(line["task"]["id"])
        elif line["what"] == "began":
            assert line["id"] not in ended, f"an ended task ran again: {line}"
            assert line["library"] not in scanning.values(), f"two scans of a library: {line}"
            assert (line["id"], line["attempt"]) not in attempts, f"an attempt ran twice: {line}"
            attempts.add((line["id"], line["attempt"]))
            scanning[line["id"]] = line["library"]
        elif line["what"] == "returned":
            del scanning[line["id"]]


def check_file(file: Path, log: Log, *, is_lossy: bool = False) -> None:
    """Check that a queue opens, has all that was acknowledged, and comes to its end.

    Args:
        file: The database, if it was made at all.
        log: What was acknowledged.
        is_lossy: Whether what was acknowledged may be lost all the same.
    """
    ran: list[UUID] = []

    def scan(library: LibraryId, context: ScanContext) -> TaskResult:
        ran.append(context.task.id)
        return TaskResult()

    assert file.exists() or not log.of("started"), "the file is gone"
    queue = ScanQueueService(scan, store=SQLiteStore(file), workers=0, clock=JumpClock())
    try:
        queue.start()  # which recovers what the dead left
        check_rows(file)
        assert queue.list_running() == []
        before = {task.id: task for task in queue.list_tasks()}
        if not is_lossy:
            check_acknowledged(log, before, is_paused=queue.is_paused)
        queue.resume()
        pending = [task for task in before.values() if not task.is_ended]
        again = queue.submit_task("one more")
        ran_count = queue.run_pending()
        assert Counter(ran) == Counter({task.id: 1 for task in pending} | {again: 1})
        assert ran_count == len(ran)
        after = {task.id: task for task in queue.list_tasks()}
        assert before.keys() | {again} == after.keys()
        for task in after.values():
            assert task.is_ended
            assert not task.holds_slot, "a stuck slot"
            if task.id in ran:
                assert task.status is TaskStatus.COMPLETED
            else:
                assert task == before[task.id]
    finally:
        assert queue.shutdown(None)
    check_rows(file)
    names = [found.name for found in file.parent.iterdir()]
    assert names == [file.name], f"left behind: {names}"


def check_acknowledged(log: Log, found: dict[UUID, ScanTask], *, is_paused: bool) -> None:
    """Check that nothing is missing of what a caller was told."""
    for told in log.tasks("submitted"):
        task = found.get(told.id)
        assert task is not None, f"an acknowledged submission is lost: {told}"
        assert task.priority >= told.priority, f"an acknowledged upgrade is lost: {told}"
        assert task.scope.covers(told.scope), f"an acknowledged upgrade is lost: {told}"
        assert task.revision >= told.revision
        assert task.created_at == told.created_at
    for told in log.tasks("ended"):
        task = found.get(told.id)
        assert task is not None, f"an acknowledged ending is lost: {told}"
        known = (told.status, told.reason, told.completed_at, told.attempt, told.error)
        assert known == (task.status, task.reason, task.completed_at, task.attempt, task.error)
        assert told.result in {None, task.result}
    began = {line["id"] for line in log.of("began")}
    assert began <= {str(task_id) for task_id in found}
    paused = [line["paused"] for line in log.of("paused")]
    if len(paused) != 1:  # with one, it may have been resumed and not have told
        assert is_paused == (paused[-1] if paused else is_paused)


def check_rows(file: Path) -> None:
    """Check what is in the tables: whole, counted right, no two active tasks of a kind."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for pair in PAIRS:
            query = f"SELECT {pair} FROM queue, {ADDED}"  # noqa: S608 - constants only
            one, other = connection.execute(query).fetchone()
            assert one == other, f"{pair}: {one}, {other}"
