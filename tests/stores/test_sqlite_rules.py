"""The rules over the `SQLiteStore`, each in a transaction of its own, against a plain queue."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings

from scanqueue.records import TaskRecord
from scanqueue.stores.sqlite import SQLiteStore
from tests.bare_queue import FIRST_REVISION, BareQueue
from tests.stores.tables import Interning
from tests.test_rules_machine import DurableMachine, VolatileMachine

# A failure takes a while to shrink.
pytestmark = pytest.mark.timeout(600)

RULES = (
    *("submit", "try_claim", "report", "finish", "cancel", "cancel_library"),
    *("stop", "end_pending", "recover", "prune"),
)


class _Outside:
    """The table between two rules: each question is a read of its own, each change a write."""

    def __init__(self, queue: StoredQueue) -> None:
        self._queue = queue

    def __getattr__(self, name: str) -> Callable[..., object]:
        def ask(*arguments: object) -> object:
            return self._queue.transact(name == "set_paused", name, arguments)

        return ask


class StoredQueue(BareQueue):
    """A bare queue in a file, which is opened anew now and then."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.records: dict[UUID, TaskRecord] = {}
        self.folder = folder
        self.store = self.opened()
        self.table: Any = _Outside(self)
        for name in RULES:
            setattr(self, name, self.in_transaction(getattr(self, name)))

    def opened(self) -> SQLiteStore:
        """Return a new store on the file."""
        store = SQLiteStore(self.folder / "queue.db", durability="normal")
        store.open("me", FIRST_REVISION)
        return store

    def transact(self, writes: bool, name: str, arguments: tuple[object, ...]) -> object:
        """Ask or change one thing."""
        with self.store.write() if writes else self.store.read() as table:
            return getattr(Interning(self.records, table), name)(*arguments)  # type: ignore[arg-type]

    def in_transaction(self, rule: Callable[..., object]) -> Callable[..., object]:
        """Return a rule that runs in a transaction of its own."""

        def run(*arguments: object, **options: object) -> object:
            outside = self.table
            if not isinstance(outside, _Outside):
                return rule(*arguments, **options)
            try:
                with self.store.write() as table:
                    self.table = Interning(self.records, table)
                    return rule(*arguments, **options)
            finally:
                self.table = outside

        return run

    def close(self) -> None:
        """Give the file up."""
        self.store.close()
        shutil.rmtree(self.folder)


class StoredVolatileMachine(VolatileMachine):
    """Its rules do not ask where the tasks are."""

    def __init__(self) -> None:
        super().__init__()
        self.real: StoredQueue = StoredQueue(Path(tempfile.mkdtemp()))

    def teardown(self) -> None:
        """Remove the file."""
        self.real.close()


class StoredDurableMachine(DurableMachine):
    """The queue that a file is for."""

    def __init__(self) -> None:
        super().__init__()
        self.real: StoredQueue = StoredQueue(Path(tempfile.mkdtemp()))

    def teardown(self) -> None:
        """Remove the file, after a look at it through new eyes."""
        old = self.real.everything()
        self.real.store.close()
        self.real.store = self.real.opened()
        assert self.real.everything() == old
        self.real.close()


TestVolatileQueue = StoredVolatileMachine.TestCase
TestDurableQueue = StoredDurableMachine.TestCase
TestVolatileQueue.settings = TestDurableQueue.settings = settings(
    max_examples=max(1, settings().max_examples // 2),
)
