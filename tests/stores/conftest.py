"""Stores on files, closed after the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scanqueue.stores import _block
from scanqueue.stores.sqlite import SQLiteStore
from tests.stores.crowd import Crowd
from tests.stores.tools import OpenStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a queue may be."""
    return tmp_path / "queue.db"


@pytest.fixture
def open_store(path: Path) -> Iterator[OpenStore]:
    """Open stores on `path`, each for an owner of its own, and close them."""
    made: list[SQLiteStore] = []

    def open_one(owner: str = "me", *, durability: str = "full") -> SQLiteStore:
        store = SQLiteStore(path, durability=durability)  # type: ignore[arg-type]
        store.open(owner, 1000)
        made.append(store)
        return store

    yield open_one
    for store in made:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> SQLiteStore:
    """Return an open store."""
    return open_store()


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """Return an empty one, in which nobody looks for itself: who is not woken hangs."""
    monkeypatch.setattr(_block, "LOOK_AGAIN", -1.0)
    return Crowd()
