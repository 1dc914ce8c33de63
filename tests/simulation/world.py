"""Puts a scheduler in the place of the system: threads, locks, time, and what is random."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from threading import get_ident
from types import SimpleNamespace
from typing import Protocol
from unittest.mock import patch
from uuid import UUID
from weakref import WeakSet

from scanqueue import _clock, _core, _forks, _requests, _service, _sync
from scanqueue._context import LiveContext
from scanqueue.stores import _block
from tests.simulation.primitives import (
    SimCondition,
    SimEvent,
    SimLocal,
    SimLock,
    WorldThread,
)
from tests.simulation.scheduler import Scheduler

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""The wall clock at the beginning of each run."""


class Connection(Protocol):
    """What a process has open."""

    process: int

    def close(self) -> None:
        """Close it."""


class World:
    """The scheduler of the run that is on, and the numbers that its ids are made of."""

    def __init__(self) -> None:
        self._thread = get_ident()
        """The thread of the system that all of it runs on: others know nothing of it."""
        self._scheduler: Scheduler | None = None
        self.connections: WeakSet[Connection] = WeakSet()
        """Those to databases."""
        self.errors: list[str] = []
        """What the library logged as an error during the run."""
        self._task_numbers = count(1)
        self._owner_numbers = count(1)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler of the run that is on."""
        assert self._scheduler is not None, "only inside a run"
        return self._scheduler

    def begin(self, scheduler: Scheduler) -> None:
        """Begin a run: its ids are those of every other run."""
        self._scheduler = scheduler
        self.errors.clear()
        self._task_numbers = count(1)
        self._owner_numbers = count(1)

    def point(self, kind: str, line: int = 0) -> None:
        """Come to a point, if a run is on."""
        if self._scheduler is not None and get_ident() == self._thread:
            self._scheduler.point(kind, line)

    def monotonic(self) -> float:
        """Return the virtual time; a point."""
        self.scheduler.point("clock")
        return self.scheduler.time

    def now(self, zone: tzinfo) -> datetime:
        """Return the virtual moment; a point."""
        return (BEGINNING + timedelta(seconds=self.monotonic())).astimezone(zone)

    def close_connections(self, process: int) -> None:
        """Close those of a process that has died, as the system does."""
        for connection in list(self.connections):
            if connection.process == process:
                connection.close()

    def new_task_id(self) -> UUID:
        """Return the next id; the order of tasks is the order of their ids."""
        return UUID(int=next(self._task_numbers))

    def new_owner(self) -> UUID:
        """Return the id of the next service."""
        return UUID(int=next(self._owner_numbers))

    def replacements(self) -> Iterable[tuple[object, str, object]]:
        """Yield what is replaced: where, its name, and by what."""

        def thread(
            *, target: Callable[..., object], name: str, daemon: bool, args: Iterable[object] = ()
        ) -> WorldThread:
            assert daemon, "the library starts daemon threads only"
            return WorldThread(self.scheduler, target, args, name)

        def barge(lock: SimLock) -> None:
            lock.acquire()  # without turning round and round until it is free

        yield _sync, "Lock", lambda: SimLock(self.scheduler)
        yield _sync, "Condition", lambda lock: SimCondition(self.scheduler, lock)
        yield _sync, "Event", lambda: SimEvent(self.scheduler)
        yield _sync, "Local", lambda: SimLocal(self.scheduler)
        yield _sync, "Thread", thread
        yield _sync, "get_ident", lambda: self.scheduler.running().number
        yield _sync, "current_thread", lambda: self.scheduler.running().known_as
        yield _sync, "barge", barge
        yield _sync, "await_release", lambda lock: None  # who acquires it then waits in line
        yield _clock, "time", SimpleNamespace(monotonic=self.monotonic)
        yield _clock, "datetime", SimpleNamespace(now=self.now)
        yield _requests, "new_task_id", self.new_task_id
        yield _core, "uuid4", self.new_owner
        # What is left over must not be closed when the interpreter exits, nor prepared for forks
        # of other tests.
        yield _service, "close_at_exit", lambda core: None
        yield _forks, "register", lambda forkable: None
        yield _forks, "register_hooks", lambda hooks: None
        # By address, the order of a set would differ from run to run.
        yield LiveContext, "__hash__", _hash


def _hash(context: LiveContext) -> int:
    return hash((context.slot.task_id.int, context.slot.attempt))


class _ErrorLog(logging.Handler):
    """Keeps the errors that the library logs."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._errors.append(f"{record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


def _only_here(original: object, replacement: object) -> object:
    """Return what stands in on this thread, and leaves to others what they had.

    Threads of other tests may linger for a moment.
    """
    if isinstance(replacement, SimpleNamespace):
        functions = vars(replacement)
        return SimpleNamespace(
            **{name: _only_here(getattr(original, name), functions[name]) for name in functions}
        )
    assert callable(original)
    assert callable(replacement)
    thread = get_ident()

    def chosen(*arguments: object, **options: object) -> object:
        function = replacement if get_ident() == thread else original
        return function(*arguments, **options)

    return chosen


@contextmanager
def installed(world: World) -> Iterator[None]:
    """Have the library use a world instead of the system."""
    with ExitStack() as stack:
        for where, name, replacement in world.replacements():
            here = _only_here(getattr(where, name), replacement)
            stack.enter_context(patch.object(where, name, here))
        # Who is not woken would look for itself, and hide that it was not.
        stack.enter_context(patch.object(_block, "LOOK_AGAIN", -1.0))
        handler = _ErrorLog(world.errors)
        logger = logging.getLogger("scanqueue")
        logger.addHandler(handler)
        stack.callback(logger.removeHandler, handler)
        yield
