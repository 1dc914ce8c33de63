"""Writers that queue up for transactions which are a list."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from scanqueue.errors import StoreError, StoreFullError
from scanqueue.stores._block import Block
from scanqueue.stores._group import Writers
from tests.stores.tools import PATIENCE, Call


class FakeEngine:
    """Transactions over a list; writes down what is done with them.

    `fails` says what the next call of a method raises.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.stored: list[object] = []
        self.changes: list[object] = []
        self.kept: list[object] = []
        self.open = False
        self.is_lost = False
        self.before_commit: Callable[[], None] = lambda: None

    def _do(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails.pop(name)

    def begin(self, *, sync: bool) -> list[object]:
        """Stand in for `begin`."""
        assert not self.open
        self._do("begin" if sync else "begin lazily")
        self.open = True
        self.kept, self.changes = [], []
        return self.changes

    def enter(self) -> list[object]:
        """Stand in for `enter`."""
        assert self.open
        self._do("enter")
        self.changes = []
        return self.changes

    def keep(self) -> None:
        """Stand in for `keep`."""
        self._do("keep")
        self.kept += self.changes
        self.changes = []

    def undo(self) -> None:
        """Stand in for `undo`."""
        try:
            self._do("undo")
            self.changes = []
        except StoreError:
            self.open = False
            raise

    def commit(self) -> None:
        """Stand in for `commit`."""
        self.before_commit()
        try:
            self._do("commit")
        except StoreError:
            self.open = False
            raise
        self.stored += self.kept + self.changes
        self.open = False

    def rollback(self) -> None:
        """Stand in for `rollback`."""
        self._do("rollback")
        self.open = False

    def is_open(self) -> bool:
        """Stand in for `is_open`."""
        return self.open

    def close(self) -> None:
        """Stand in for `close`."""
        self._do("close")
        self.open = False

    def tell(self) -> None:
        """Stand in for `tell`."""

    def explain(self, error: BaseException) -> BaseException:
        """Stand in for `explain`."""
        return StoreError("explained") if isinstance(error, LookupError) else error


class Crowd:
    """A writer that stands inside its block, and others that queue behind it in order."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.writers: Writers[list[object]] = Writers(self.engine)
        self.inside = threading.Event()
        self.go_on = threading.Event()

    def first(self, *, sync: bool = True, error: BaseException | None = None) -> Call:
        """Enter a block, and stay until `go_on`."""

        def work() -> None:
            with Block(self.writers, sync=sync) as changes:
                changes.append("first")
                self.inside.set()
                assert self.go_on.wait(PATIENCE)
                if error is not None:
                    raise error

        call = Call(work)
        assert self.inside.wait(PATIENCE)
        return call

    def next(self, name: object, *, sync: bool = True, error: BaseException | None = None) -> Call:
        """Queue up for a block; return when that is so."""

        def work() -> None:
            with Block(self.writers, sync=sync) as changes:
                changes.append(name)
                if error is not None:
                    raise error

        return self.queued(work)

    def function(
        self, name: object, *, sync: bool = True, error: BaseException | None = None
    ) -> Call:
        """Queue up with a function that another one may call; it returns the name and its thread.

        Args:
            name: What it writes.
            sync: Whether it must be safe.
            error: What it raises then.
        """

        def write(changes: list[object]) -> tuple[object, int]:
            changes.append(name)
            if error is not None:
                raise error
            return name, threading.get_ident()

        return self.queued(lambda: Block(self.writers, sync=sync).run(write))

    def queued(self, work: Callable[[], object]) -> Call:
        """Make a call; return when it has queued up, or has ended without that."""
        before = self._arrivals()
        call = Call(work)
        end = time.monotonic() + PATIENCE
        while call.is_alive() and self._arrivals() == before:
            assert time.monotonic() < end, "it did not queue up"
            time.sleep(0)
        return call

    def _arrivals(self) -> int:
        """Return how many have queued up, ever: how many do so now goes down as well as up."""
        with self.writers._lock:
            return self.writers._arrivals

    def is_free(self) -> bool:
        """Return whether nobody is left inside, and nothing open."""
        return (
            self.writers._holder is None
            and self.writers._group is None
            and not any(self.writers._waiting.values())
            and not self.engine.open
        )


def failures(calls: list[Call]) -> list[StoreFullError]:
    """Return what calls raise that all fail for want of room: each an error of its own."""
    errors = []
    for call in calls:
        with pytest.raises(StoreFullError, match="no room") as caught:
            call.result()
        errors.append(caught.value)
    assert len({id(error) for error in errors}) == len(calls)
    return errors


def noted_limits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have each wait of a block note how many seconds it may last, and return where."""
    limits: list[float] = []
    wait = Block.wait

    def note(block: Block[object], is_over: Callable[[], bool], timeout: float = -1) -> None:
        limits.append(timeout)
        wait(block, is_over, timeout)

    monkeypatch.setattr(Block, "wait", note)
    return limits
