"""A store whose calls fail when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from scanqueue import StoreError
from scanqueue.protocols import TaskStore, TaskTable, TaskView
from tests.service.tools import is_on


class FailingStore:
    """Wraps a store; calls fail before they do anything.

    Thread-safety: any thread.

    Args:
        store: The store that does the work.
    """

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._fails: Callable[[int, str], BaseException | None] = lambda number, call: None
        self.calls: list[str] = []
        """What was called, in order: "open", "read", "write", "report" (a write that need not be
        safe on disk), "dead_owners", "close"."""

    # --- for the test

    def fail_at(self, *numbers: int, error: Callable[[], BaseException] = StoreError) -> None:
        """Have the calls of these numbers fail, counted from 0 from now on."""
        self.fail_when(lambda number, call: error() if number in numbers else None)

    def fail(self, *calls: str, error: Callable[[], BaseException] = StoreError) -> None:
        """Have all calls of these kinds fail from now on; none: every call."""
        self.fail_when(lambda number, call: error() if not calls or call in calls else None)

    def fail_when(self, fails: Callable[[int, str], BaseException | None]) -> None:
        """Have the calls fail for which the function returns an error."""
        with self._lock:
            self.calls.clear()
            self._fails = fails

    def before_next(self, call: str, action: Callable[[], object]) -> None:
        """Have an action happen once, when a call of this kind has begun and done nothing yet.

        Calls of workers do not count: one that looks for tasks may come before what the test does.
        """
        actions = [action]

        def act(number: int, name: str) -> None:
            if name == call and actions and not is_on("worker"):
                actions.pop()()

        self.fail_when(act)

    def recover(self) -> None:
        """Have no call fail any more."""
        self.fail_when(lambda number, call: None)

    def _call(self, name: str) -> None:
        with self._lock:
            number = len(self.calls)
            self.calls.append(name)
            fails = self._fails
        error = fails(number, name)
        if error is not None:
            raise error

    # --- the store

    @property
    def durable(self) -> bool:
        """Whether tasks outlive the process."""
        return self._store.durable

    @property
    def shared(self) -> bool:
        """Whether several processes may use the same queue."""
        return self._store.shared

    @property
    def progress_interval(self) -> float:
        """Return that of the store."""
        return self._store.progress_interval

    @property
    def poll_interval(self) -> float | None:
        """Return that of the store."""
        return self._store.poll_interval

    def open(self, owner: str, first_revision: int) -> None:
        """Fail, or do it."""
        self._call("open")
        self._store.open(owner, first_revision)

    def close(self) -> None:
        """Fail, or do it."""
        self._call("close")
        self._store.close()

    def after_fork(self) -> None:
        """Do it."""
        self._store.after_fork()

    def read(self) -> AbstractContextManager[TaskView]:
        """Fail, or do it."""
        self._call("read")
        return self._store.read()

    def write(self, *, sync: bool = True) -> AbstractContextManager[TaskTable]:
        """Fail, or do it."""
        self._call("write" if sync else "report")
        return self._store.write(sync=sync)

    def dead_owners(self, owners: Collection[str]) -> Collection[str]:
        """Fail, or do it."""
        self._call("dead_owners")
        return self._store.dead_owners(owners)

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Do it."""
        self._store.attach(on_foreign_change)
