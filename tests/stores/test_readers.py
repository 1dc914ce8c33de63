"""The connections of readers, without a database: who counts, and what fails on the way."""

from __future__ import annotations

import gc
import sqlite3
from typing import cast

import pytest

from scanqueue.errors import StoreError
from scanqueue.stores._readers import Readers, Reading
from scanqueue.stores._sqlite_file import DatabaseFile
from scanqueue.stores._unreadable import Unreadable
from tests.interrupts import Interrupt


class FakeConnection:
    """A connection on which calls fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.is_closed = False

    def cursor(self) -> FakeCursor:
        """Stand in for `cursor`."""
        return FakeCursor(self)

    def execute(self, statement: str) -> None:
        """Stand in for `execute`."""
        if "execute" in self.failing:
            raise sqlite3.OperationalError("disk I/O error")

    def close(self) -> None:
        """Stand in for `close`."""
        self.is_closed = True
        if "close" in self.failing:
            raise sqlite3.OperationalError("disk I/O error")


class FakeCursor:
    """A cursor of a connection on which calls fail."""

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection

    def execute(self, statement: str) -> None:
        """Stand in for `execute`."""
        self.connection.execute(statement)

    def close(self) -> None:
        """Stand in for `close`."""


class FakeFile:
    """A database that gives the connections that it was made with."""

    path = "/queue.db"

    def __init__(self, *connections: FakeConnection) -> None:
        self.connections = list(connections)

    def check_identity(self) -> None:
        """Stand in for `check_identity`."""

    def connect(self, *, read_only: bool = False) -> FakeConnection:
        """Stand in for `connect`."""
        assert read_only is True
        return self.connections.pop(0)


def readers_of(*connections: FakeConnection) -> Readers:
    """Return readers who get these connections, one after another."""
    return Readers(cast("DatabaseFile", FakeFile(*connections)), Unreadable())


class Interrupted(FakeConnection):
    """A connection on which a statement is interrupted."""

    def execute(self, statement: str) -> None:
        """Stand in for `execute`."""
        if statement in self.failing:
            raise Interrupt


@pytest.mark.parametrize("statements", [["BEGIN"], ["ROLLBACK"], ["BEGIN", "ROLLBACK"]])
def test_a_read_that_is_interrupted_counts_no_more(statements: list[str]) -> None:
    """Neither in its begin nor in its end; then the connection is of no use any more."""
    connection = Interrupted(*statements)
    readers = readers_of(connection)
    with pytest.raises(Interrupt), Reading(readers):
        pass
    assert is_quiet(readers)
    assert connection.is_closed == ("ROLLBACK" not in statements)  # as the idle ones are


def is_quiet(readers: Readers) -> bool:
    """Return whether a fork would find nobody reading."""
    try:
        return readers.hold(0)
    finally:
        readers.let_go()


def test_a_reader_counts_until_it_gives_back() -> None:
    """Also while the idle connections are closed: a fork must wait for it."""
    readers = readers_of(FakeConnection())
    reader = Reading(readers)
    connection = readers.take(reader)
    readers.close_idle()
    assert not is_quiet(readers)
    readers.give_back(reader, connection)
    assert is_quiet(readers)


def test_a_reader_that_is_lost_counts_no_more() -> None:
    """An interrupt came before it could give back: no fork waits for it for ever."""
    readers = readers_of(FakeConnection())
    reader = Reading(readers)
    reader.__enter__()
    assert not is_quiet(readers)
    del reader
    gc.collect()
    assert is_quiet(readers)


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_connection_that_cannot_be_closed_is_no_error(is_closed: bool) -> None:
    """It is of no use any more, and nobody reads."""
    connection = FakeConnection("close")
    readers = readers_of(connection)
    reader = Reading(readers)
    taken = readers.take(reader)
    if is_closed:
        readers.close()
        readers.give_back(reader, taken)
    else:
        readers.give_back(reader, taken)
        readers.close()
    assert connection.is_closed
    assert is_quiet(readers)


def test_a_read_that_cannot_begin_says_why() -> None:
    """Its connection is closed, and it counts no more."""
    connection = FakeConnection("execute", "close")
    readers = readers_of(connection)
    text = r"^the queue in '/queue\.db' failed: SQLite refused \(disk I/O error\)$"
    with pytest.raises(StoreError, match=text), Reading(readers):
        pass
    assert connection.is_closed
    assert is_quiet(readers)


def test_a_view_knows_its_file() -> None:
    """Errors that it finds name it."""
    with Reading(readers_of(FakeConnection())) as view:
        assert view._path == "/queue.db"


def test_a_read_that_fails_under_way_names_its_file() -> None:
    """As an error of the library."""
    text = r"^the queue in '/queue\.db' failed: SQLite refused \(disk I/O error\)$"
    with pytest.raises(StoreError, match=text), Reading(readers_of(FakeConnection())):
        raise sqlite3.OperationalError("disk I/O error")
