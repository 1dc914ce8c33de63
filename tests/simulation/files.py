"""SQLite in a world: real files and real transactions, but it is the scheduler that waits.

Inside SQLite a connection that finds the database locked sleeps and asks again, and no other thread
of the simulation could go on meanwhile. Here it does not wait at all; the connection waits for a
transaction to end, or for its time to be over, and then asks again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from scanqueue import SQLiteStore, TaskPriority, WhenRunning
from scanqueue.stores._sqlite_file import create
from tests.simulation.scene import FIRST, Scene
from tests.simulation.scheduler import SimThread
from tests.simulation.world import BEGINNING, World

_BUSY_TIMEOUT = "PRAGMA busy_timeout = "
_ENDS = ("COMMIT", "ROLLBACK")


class SimCursor(sqlite3.Cursor):
    """A cursor that comes to a point before each statement, and waits in virtual time."""

    connection: SimConnection

    def execute(self, sql: str, parameters: object = (), /) -> SimCursor:
        """Execute a statement, as soon as no other connection is in the way."""
        execute = super().execute
        self.connection.run(lambda sql: execute(sql, parameters), sql)  # type: ignore[arg-type]
        return self


class SimConnection(sqlite3.Connection):
    """A connection whose cursors wait in virtual time."""

    world: World
    patience = 5.0
    """Virtual seconds that it waits for others; SQLite itself waits for nothing."""
    waiting: list[SimThread]
    """Those who found a database locked, in any connection of the world."""
    process = 0
    """Whose it is: that of the thread that used it last."""

    def cursor(self, factory: object = None) -> SimCursor:  # type: ignore[override]
        """Return a cursor that waits."""
        return super().cursor(SimCursor)

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        """Execute a statement with a cursor that waits."""
        return self.cursor().execute(sql, parameters)

    def run(self, execute: Callable[[str], object], sql: str) -> None:
        """Execute a statement, as soon as no other connection is in the way."""
        if sql.startswith(_BUSY_TIMEOUT):
            self.patience = float(sql.removeprefix(_BUSY_TIMEOUT)) / 1000
            sql = _BUSY_TIMEOUT + "0"
        scheduler = self.world.scheduler
        self.process = scheduler.running().process
        self.world.connections.add(self)
        scheduler.point("statement")
        deadline = scheduler.time + self.patience
        while True:
            try:
                execute(sql)
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or scheduler.is_over or scheduler.time >= deadline:
                    raise
                self.waiting.append(scheduler.running())
                scheduler.block("a database that is locked", deadline - scheduler.time)
            else:
                if sql in _ENDS:
                    self._let_others_try()
                return

    def close(self) -> None:
        """Close it, and with that end its transaction."""
        super().close()
        self._let_others_try()

    def _let_others_try(self) -> None:
        for thread in self.waiting:
            self.world.scheduler.wake(thread)
        self.waiting.clear()


@cache
def _empty_queue() -> bytes:
    """Return the bytes of a file that holds an empty queue."""
    with TemporaryDirectory() as folder:
        made = Path(folder, "queue.db")
        create(str(made), int(BEGINNING.timestamp() * 1000))
        return made.read_bytes()


@contextmanager
def simulated_files(world: World) -> Iterator[None]:
    """Have every connection that is made wait in a world."""

    class Connection(SimConnection):
        pass

    Connection.world, Connection.waiting = world, []
    _empty_queue()  # once, and not in the midst of a run
    connect = partial(sqlite3.connect, factory=Connection)
    with patch.object(sqlite3, "connect", lambda *a, **o: connect(*a, **{**o, "timeout": 0})):
        yield


# --- scenarios ----------------------------------------------------------------------------------

MUSIC, FILMS = "music", "films"
HIGH = TaskPriority.HIGH
FOLLOW_UP = WhenRunning.FOLLOW_UP


def _new_file(folder: str) -> Path:
    """Return an empty queue, a copy of one that was made before the run."""
    path = Path(folder, "queue.db")
    path.write_bytes(_empty_queue())
    return path


def one_service(scene: Scene) -> None:
    """Writers of one service share commits; each has what it wrote when it returns."""
    scene.is_durable = True
    with TemporaryDirectory() as folder:
        store = SQLiteStore(_new_file(folder), durability="normal")
        with scene.scheduler.calm():
            scene.make(store=store)
            scene.call("start")
        scene.client(partial(scene.call, "submit", MUSIC))
        scene.client(partial(scene.call, "submit", MUSIC, HIGH, when_running=FOLLOW_UP))
        scene.client(partial(scene.call, "submit", FILMS), partial(scene.call, "list_tasks"))
        scene.client(partial(scene.call, "cancel_task", FIRST))
        scene.end()


def two_services(scene: Scene) -> None:
    """Two services on one file are one queue, in which everything has one order."""
    with TemporaryDirectory() as folder:
        path = _new_file(folder)
        with scene.scheduler.calm():
            first, second = (
                scene.make(store=SQLiteStore(path, durability="normal")) for _ in range(2)
            )
            first.start()
            second.start()
        first_call = partial(scene.history.call, first)
        second_call = partial(scene.history.call, second)
        scene.client(
            partial(first_call, "submit", MUSIC),
            partial(first_call, "submit", MUSIC, when_running=FOLLOW_UP),
            partial(first_call, "list_tasks"),
        )
        scene.client(
            partial(second_call, "submit", MUSIC, HIGH),
            partial(second_call, "cancel_task", FIRST),
            partial(second_call, "submit", FILMS),
        )
        scene.join()
        with scene.scheduler.calm():
            for task in first.list_tasks():
                second_call("wait", task.id, quiet=True)
            tasks = {task.id: task for task in first.list_tasks()}
            for queue in (first, second):
                assert queue.shutdown(None), "a scan was left behind"
        scene.check_order(tasks)


def one_process_dies(scene: Scene) -> None:
    """When a process dies, another frees its slots, and what it scanned is scanned again."""
    with TemporaryDirectory() as folder:
        path = _new_file(folder)
        dying: list[SQLiteStore] = []
        born = scene.gate()

        def live() -> None:
            scene.scheduler.running().process = 1
            born.set()
            dying.append(SQLiteStore(path, durability="normal"))
            queue = scene.make(store=dying[0])
            queue.start()
            for library_id in (MUSIC, FILMS, MUSIC):
                queue.submit_task(library_id, when_running=FOLLOW_UP)

        def die() -> None:
            born.wait()
            scene.scheduler.kill(1)
            scene.world.close_connections(1)
            scene.log.forget(1)
            liveness = dying[0]._liveness if dying else None
            if liveness is not None:
                liveness.forget()  # as the system does: the file stays, and its lock is gone

        with scene.scheduler.calm():
            survivor = scene.make(store=SQLiteStore(path, durability="normal"))
            survivor.start()
        scene.client(live)
        scene.client(partial(survivor.submit, MUSIC), partial(survivor.list_tasks), die)
        scene.join()
        with scene.scheduler.calm():
            for task in survivor.list_tasks():
                survivor.wait(task.id, 60.0, quiet=True)
            tasks = survivor.list_tasks()
            assert survivor.shutdown(None), "a scan was left behind"
        assert all(task.is_ended and not task.holds_slot for task in tasks), tasks
        assert not scene.world.errors, scene.world.errors


SCENARIOS = {
    "sqlite-one-service": one_service,
    "sqlite-two-services": two_services,
    "sqlite-one-process-dies": one_process_dies,
}
"""Each scenario that needs `simulated_files`, by its name."""
