"""The stores on which every rule of the contract holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from scanqueue import MemoryStore
from scanqueue.protocols import TaskStore
from scanqueue.stores import SQLiteStore

STORE_KINDS = ("memory", "sqlite")

NewStore: TypeAlias = Callable[[], TaskStore]
"""What the fixture `new_store` gives: it makes the store of a new queue."""


def _refuse() -> TaskStore:
    raise AssertionError("a test that is marked `own_store` brings its own")


@contextmanager
def new_stores(kind: str) -> Iterator[NewStore]:
    """Give what makes stores of a kind, each with a queue of its own; remove their files after."""
    if kind == "memory":
        yield MemoryStore
        return
    if kind != "sqlite":
        yield _refuse
        return
    with TemporaryDirectory() as folder:
        numbers = count()
        # Not "full", since the machines that run the tests do not crash.
        yield lambda: SQLiteStore(Path(folder, f"{next(numbers)}.db"), durability="normal")
