"""A durable queue that several services share, each as if in a process of its own."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from scanqueue.protocols import TaskTable, TaskView
from scanqueue.stores import SQLiteStore
from scanqueue.stores._table import MemoryTable


class SharedQueue:
    """What would be a file: it outlives the services, which come and go.

    A transaction works on a copy of the table, which takes the place of the table when it is
    committed: so it can be rolled back, and readers see the last commit meanwhile, as they do in
    a database.

    Thread-safety: any thread.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Protects the fields; transactions are serial."""
        self.writing = threading.Lock()
        self.table: MemoryTable | None = None
        self.alive: set[str] = set()
        """Owners whose process is alive."""
        self.stores: list[SharedStore] = []
        self.before_commit: Callable[[str], None] = lambda owner: None
        """Called with the owner before the commit of each change."""
        self.after_commit: Callable[[str], None] = lambda owner: None
        """Called with the owner after it, when the others were told and the owner was not."""

    def store(
        self,
        kind: type[SharedStore] | None = None,
        *,
        poll_interval: float | None = 0.5,
        tells: bool = False,
        durable: bool = True,
    ) -> SharedStore:
        """Return a handle for one service.

        Args:
            kind: Of which class; None: `SharedStore`.
            poll_interval: How often the service looks for what others did.
            tells: Whether the store calls back when another service commits.
            durable: Whether tasks outlive the services.
        """
        make = SharedStore if kind is None else kind
        store = make(self, poll_interval=poll_interval, tells=tells, durable=durable)
        self.stores.append(store)
        return store


class SharedFile:
    """A file that several services share.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self) -> SQLiteStore:
        """Return a handle for one service."""
        return SQLiteStore(self.path, durability="normal")


class SharedStore:
    """The handle of one service on a shared queue.

    Args:
        queue: What it shares.
        poll_interval: How often the service looks for what others did.
        tells: Whether the store calls back when another service commits.
        durable: Whether tasks outlive the services.
    """

    shared = True
    progress_interval = 0.5

    def __init__(
        self, queue: SharedQueue, *, poll_interval: float | None, tells: bool, durable: bool
    ) -> None:
        self.durable = durable
        self.poll_interval = poll_interval
        self.owner = ""
        self.is_closed = False
        self.queue = queue
        self._tells = tells
        self._on_foreign_change: Callable[[], None] = lambda: None

    def kill(self) -> None:
        """Let the process of this handle die, as others see it: nothing of it arrives any more.

        The service, which is no process and cannot be killed, goes on in a world of its own.
        """
        shared, alone = self.queue, SharedQueue()
        with shared.writing, shared.lock:
            shared.alive.discard(self.owner)
            shared.stores.remove(self)
            alone.table = copy_of(self.table())
            alone.alive.add(self.owner)
            self.queue = alone

    def table(self) -> MemoryTable:
        """Return the last commit."""
        assert self.queue.table is not None, "the store is not open"
        return self.queue.table

    # --- the store

    def open(self, owner: str, first_revision: int) -> None:
        """Join the queue, or make it; the owner is alive from now on."""
        assert not self.owner, "open is called once"
        with self.queue.lock:
            if self.queue.table is None:
                self.queue.table = MemoryTable(first_revision)
            self.owner = owner
            self.queue.alive.add(owner)

    def close(self) -> None:
        """Give up the sign of life; reads still answer."""
        assert not self.is_closed, "close is called once"
        self.is_closed = True
        with self.queue.lock:
            self.queue.alive.discard(self.owner)

    def after_fork(self) -> None:
        """Do nothing: nobody forks these."""

    @contextmanager
    def _reading(self) -> Iterator[TaskView]:
        with self.queue.lock:
            table = self.table()
        yield table

    def read(self) -> AbstractContextManager[TaskView]:
        """Return the last commit."""
        return self._reading()

    @contextmanager
    def _writing(self) -> Iterator[TaskTable]:
        queue = self.queue
        with queue.writing:
            with queue.lock:
                table = copy_of(self.table())
            before = table.revision()
            yield table
            has_changed = table.revision() != before
            if has_changed:
                queue.before_commit(self.owner)
            with queue.lock:
                queue.table = table
        if has_changed:
            for store in queue.stores:
                if store is not self:
                    store.tell()
            queue.after_commit(self.owner)

    def write(self, *, sync: bool = True) -> AbstractContextManager[TaskTable]:
        """Return a transaction, rolled back if it is left by an exception."""
        assert not self.is_closed, "a closed store is not written to"
        return self._writing()

    def tell(self) -> None:
        """Say that another service changed the queue, if this store can tell."""
        if self._tells:
            self._on_foreign_change()

    def dead_owners(self, owners: Collection[str]) -> Collection[str]:
        """Return those that are not alive."""
        with self.queue.lock:
            return set(owners) - self.queue.alive

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Take whom to tell."""
        self._on_foreign_change = on_foreign_change


def copy_of(table: MemoryTable) -> MemoryTable:
    """Return a table of its own with the same records, which never change."""
    records = {id(record): record for record in table._tasks.values()}
    return copy.deepcopy(table, records)  # what is in the memo is not copied


class DurableStore(SharedStore):
    """The handle of the one service that may use a queue at a time."""

    shared = False
