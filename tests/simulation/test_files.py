"""SQLite under the scheduler: its locks are real, and only the waiting for them is not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.simulation.files import simulated_files
from tests.simulation.scheduler import Scheduler
from tests.simulation.strategies import Follow, RandomWalk
from tests.simulation.world import World, installed


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection as the stores make it."""
    return sqlite3.connect(path, isolation_level=None, timeout=5.0)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "close"])
def test_a_connection_waits_until_another_ends_its_transaction(tmp_path: Path, end: str) -> None:
    """However it ends; time does not pass meanwhile."""
    told: list[str] = []

    def tell() -> None:
        first, second = connect(tmp_path / "x"), connect(tmp_path / "x")
        first.execute("BEGIN IMMEDIATE")
        other = scheduler.spawn(lambda: wait(second), "other")
        scheduler.sleep(0.0)
        told.append("first is about to end")
        if end != "close":
            first.execute(end)
        first.close()
        scheduler.join(other)
        second.close()

    def wait(connection: sqlite3.Connection) -> None:
        told.append("second begins")
        connection.execute("BEGIN IMMEDIATE")
        told.append("second has begun")
        connection.execute("COMMIT")

    world, scheduler = World(), Scheduler(Follow(()))
    world.begin(scheduler)
    with installed(world), simulated_files(world):
        scheduler.run(tell)
    assert told == ["second begins", "first is about to end", "second has begun"]
    assert scheduler.time == 0.0


def test_it_gives_up_when_its_time_is_over(tmp_path: Path) -> None:
    """The 3 milliseconds that were asked for, or the 5 seconds of the connection."""

    def tell() -> None:
        first, second = connect(tmp_path / "x"), connect(tmp_path / "x")
        first.execute("BEGIN IMMEDIATE")
        for statement, seconds in (("SELECT 1", 5.0), ("PRAGMA busy_timeout = 3", 0.003)):
            second.execute(statement)
            began = scheduler.time
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                second.execute("BEGIN IMMEDIATE")
            assert scheduler.time - began == pytest.approx(seconds)
        first.close()
        second.close()

    world, scheduler = World(), Scheduler(Follow(()))
    world.begin(scheduler)
    with installed(world), simulated_files(world):
        scheduler.run(tell)


def test_two_writers_meet(tmp_path: Path) -> None:
    """In some order of their steps, each having what the other wrote."""
    waits = 0

    def tell() -> None:
        with_table = connect(tmp_path / str(seed))
        with_table.execute("CREATE TABLE t (x)")
        threads = [scheduler.spawn(write, f"writer {n}") for n in range(2)]
        for thread in threads:
            scheduler.join(thread)
        assert with_table.execute("SELECT count(*), max(x) FROM t").fetchone() == (2, 1)
        with_table.close()

    def write() -> None:
        nonlocal waits
        connection = connect(tmp_path / str(seed))
        connection.execute("BEGIN IMMEDIATE")
        (count,) = connection.execute("SELECT count(*) FROM t").fetchone()
        connection.execute("INSERT INTO t VALUES (?)", (count,))
        waits += any("locked" in thread.waits_for for thread in scheduler.threads)
        connection.execute("COMMIT")
        connection.close()

    for seed in range(10):
        world, scheduler = World(), Scheduler(RandomWalk(seed))
        world.begin(scheduler)
        with installed(world), simulated_files(world):
            scheduler.run(tell)
    assert waits, "they never met"
