"""The others that keep their tasks in an SQLite file: each in WAL mode, at the same durability.

All use `synchronous = FULL` or `synchronous = NORMAL` as asked: it is set where the library has no
setting for it. huey has one, `fsync=False`, that is weaker than NORMAL.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path
from queue import SimpleQueue
from time import time_ns
from typing import Any, Literal, TypeAlias

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ThreadPoolExecutor as JobExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from huey import SqliteHuey
from persistqueue import SQLiteAckQueue
from sqlalchemy import create_engine, event

from scanqueue import ScanQueueService, SQLiteStore
from scanqueue._ids import new_task_id
from scanqueue.stores._sqlite_file import PAGE_SIZE
from scanqueue.stores._sqlite_schema import MIGRATIONS
from tests.benchmarks import peers

BARE = "bare INSERT"
HUEY = "huey SqliteHuey"
HUEY_UNSAFE = "huey SqliteHuey, fsync=False"
PERSIST = "persist-queue SQLiteAckQueue"
APSCHEDULER = "APScheduler 3, SQLAlchemyJobStore"

Durability: TypeAlias = Literal["full", "normal"]

Submit: TypeAlias = Callable[[str], object]


@contextmanager
def idle_service(
    path: Path, durability: Durability, libraries: Sequence[str] = ()
) -> Iterator[ScanQueueService]:
    """Open ours, not started, with the tasks of some libraries pending."""
    queue = ScanQueueService(peers.no_scan, store=SQLiteStore(path, durability=durability))
    try:
        queue.pending_count()  # the first call opens the store
        for library in libraries:
            queue.submit_task(library)
        yield queue
    finally:
        queue.shutdown()


_COLUMNS = (
    "seq, id, library_id, created_at, revision, rank, priority, status, deep, scanned_paths,"
    " attempt, interruptions, holds_slot"
)
_INSERT = f"INSERT INTO tasks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 0, 'pending', 0, 0, 0, 0, 0)"  # noqa: S608 - our own text


def bare_rows(libraries: Sequence[str], revision: int | None = None) -> list[tuple[object, ...]]:
    """Return the rows that the pending tasks of some libraries are with us.

    Args:
        libraries: The libraries.
        revision: That of the queue before; None: that of a new queue.
    """
    first = 1 + (time_ns() // 1_000_000 if revision is None else revision)
    return [
        (number, new_task_id().bytes, library, time_ns() // 1000, number, number)
        for number, library in enumerate(libraries, first)
    ]


@contextmanager
def bare_connection(path: Path, durability: Durability) -> Iterator[sqlite3.Connection]:
    """Open a database with our tables and indexes, and nothing around it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        for statement in (statement for version in MIGRATIONS for statement in version):
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")
        yield connection


@contextmanager
def bare_insert(path: Path, durability: Durability) -> Iterator[Callable[[Any], object]]:
    """Return what inserts a row, one transaction each."""
    with bare_connection(path, durability) as connection:
        yield lambda row: connection.execute(_INSERT, row)


def fill(path: Path, count: int) -> None:
    """Make a queue with so many pending tasks."""
    with idle_service(path, "normal"):
        pass
    libraries = [f"library-{number}" for number in range(count)]
    with closing(sqlite3.connect(path)) as connection, connection:
        (revision,) = connection.execute("SELECT revision FROM queue").fetchone()
        connection.executemany(_INSERT, bare_rows(libraries, revision))


@contextmanager
def huey(path: Path, durability: Durability) -> Iterator[tuple[SqliteHuey, Submit]]:
    """Open huey, and what enqueues."""
    opened = SqliteHuey(filename=str(path), fsync=True)
    with _closing_huey(opened) as submit:
        opened.storage.conn.execute(f"PRAGMA synchronous = {durability}")
        yield opened, submit


@contextmanager
def huey_unsafe(path: Path) -> Iterator[Submit]:
    """Open huey with `fsync=False`: `synchronous = OFF`."""
    with _closing_huey(SqliteHuey(filename=str(path), fsync=False)) as submit:
        yield submit


@contextmanager
def _closing_huey(opened: SqliteHuey) -> Iterator[Submit]:
    try:
        yield opened.task()(peers.no_op)
    finally:
        opened.storage.close()


def run_huey(opened: SqliteHuey) -> None:
    """Run what is enqueued, on this thread, as its consumer's workers do."""
    while (task := opened.dequeue()) is not None:
        opened.execute(task)


@contextmanager
def persist_queue(folder: Path, durability: Durability) -> Iterator[SQLiteAckQueue]:
    """Open a persist-queue whose items are acknowledged when they are done."""
    with closing(SQLiteAckQueue(str(folder))) as queue:
        connection: Any = queue._putter  # its one connection, with no public way to it
        connection.execute(f"PRAGMA synchronous = {durability}")
        yield queue


def run_persist_queue(queue: SQLiteAckQueue) -> None:
    """Take, run and acknowledge what is in it, on this thread."""
    while not queue.empty():
        item = queue.get(block=False, raw=True)
        peers.no_op(item["data"])
        queue.ack(id=item["pqid"])


@contextmanager
def scheduler(path: Path, durability: Durability, *, paused: bool) -> Iterator[BackgroundScheduler]:
    """Open APScheduler, running jobs on one thread however late it comes to them."""
    engine = create_engine(f"sqlite:///{path}")

    def set_pragmas(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")

    event.listen(engine, "connect", set_pragmas)
    jobs = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        executors={"default": JobExecutor(1)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    jobs.start(paused=paused)
    try:
        yield jobs
    finally:
        if paused:
            jobs.remove_all_jobs()  # or it begins to run them while it shuts down
        jobs.shutdown()
        engine.dispose()


def run_scheduler(jobs: BackgroundScheduler, libraries: Sequence[str]) -> None:
    """Have APScheduler, which runs, do a job for each library, and wait for the last one."""
    executed: SimpleQueue[object] = SimpleQueue()
    jobs.add_listener(executed.put, EVENT_JOB_EXECUTED)
    for library in libraries:
        peers.add_job(jobs, library)
    for _ in libraries:
        executed.get()
