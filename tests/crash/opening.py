"""How long a process takes to come back to a large queue, and how much memory."""

from __future__ import annotations

import sqlite3
import tempfile
import time
import tracemalloc
from contextlib import closing
from pathlib import Path
from uuid import UUID

from scanqueue import ScanQueueService
from scanqueue.stores import SQLiteStore

COUNT = 100_000
PROMISED_SECONDS = 2.0
MEMORY = 1_000_000
"""Bytes that an open queue may take, however large it is: ten for each of so many tasks."""


def fill(file: Path, count: int) -> None:
    """Make a queue with so many pending tasks, faster than by submitting them."""
    with ScanQueueService(None, store=SQLiteStore(file)) as queue:
        queue.submit_task(count)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)")]
        template = connection.execute("SELECT * FROM tasks").fetchone()
        first = dict(zip(columns, template, strict=True))
        connection.executemany(
            f"INSERT INTO tasks VALUES ({', '.join('?' * len(columns))})",  # noqa: S608
            (
                tuple(
                    (
                        first
                        | {
                            "seq": first["seq"] + number,
                            "id": UUID(int=number).bytes,
                            "library_id": count - number,
                            "revision": first["revision"] + number,
                            "rank": first["rank"] + number,
                        }
                    ).values()
                )
                for number in range(1, count)
            ),
        )
        connection.execute("COMMIT")


def memory_to_open(file: Path, count: int) -> int:
    """Return the bytes at most that it takes to open a queue, count it and see what is first."""
    tracemalloc.start()
    try:
        with ScanQueueService(None, store=SQLiteStore(file)) as queue:
            assert queue.pending_count() == count
            assert [task.library_id for task in queue.list_pending(2)] == [count, count - 1]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measure_opening() -> None:
    """Hold the promise about large queues against this machine."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        file = Path(folder, "queue.db")
        fill(file, COUNT)
        queue = ScanQueueService(None, store=SQLiteStore(file))
        began = time.perf_counter()
        queue.start()
        assert queue.pending_count() == COUNT
        assert queue.list_pending(1)[0].library_id == COUNT
        seconds = time.perf_counter() - began
        queue.shutdown()
        memory = memory_to_open(file, COUNT)
    print(f"opened {COUNT:,} pending tasks in {seconds:.3f} s with {memory / 1000:.0f} kB")
    assert seconds <= PROMISED_SECONDS
    assert memory < MEMORY
