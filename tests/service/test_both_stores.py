"""The same calls on a service in memory and on one in a file get the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import TypeAlias
from uuid import UUID

import attrs
import pytest

from scanqueue import (
    LibraryId,
    LibraryUnavailable,
    QueueStats,
    ScanContext,
    ScanQueueError,
    ScanQueueService,
    ScanScope,
    ScanTask,
    Submission,
    SubmitOutcome,
    TaskNotCancellableError,
    TaskPriority,
    TaskResult,
    WhenRunning,
)
from scanqueue.protocols import TaskStore
from scanqueue.stores import SQLiteStore
from scanqueue.testing import FakeClock
from tests.both_stores import STORE_KINDS, new_stores


def raising(error: type[BaseException], message: str) -> Callable[[], object]:
    """Return what raises a new error of this type."""

    def fail() -> object:
        raise error(message)

    return fail


LIBRARIES: list[LibraryId] = [1, "1", "a", "b", "c"]
SCOPES = [ScanScope(), ScanScope(paths=["x"]), ScanScope(paths=["x", "y/z"], deep=True)]
ENDINGS: list[Callable[[], object]] = [
    *(partial(TaskResult, added_count=3), TaskResult, lambda: None),
    *(raising(ValueError, "bad\udc80"), raising(LibraryUnavailable, "gone")),
    raising(SystemExit, "out"),
]
WRONG: tuple[type[BaseException], ...] = (
    *(ScanQueueError, ValueError, RuntimeError, TimeoutError, SystemExit),
)


class World:
    """A service with a clock of its own, and what it was asked.

    Args:
        store: Where its tasks are.
    """

    def __init__(self, store: TaskStore) -> None:
        self.store = store
        self.clock = FakeClock()
        self.queue = self.opened(store)
        self.first_revision = self.queue.revision
        self.ids: list[UUID] = []
        """The tasks, by order of creation."""
        self.scripts: list[Script] = []
        """What the next scans do."""
        self.heard: list[object] = []
        """What calls inside of scans were answered."""

    def opened(self, store: TaskStore) -> ScanQueueService:
        """Return a service on a store."""
        return ScanQueueService(
            self._scan, store=store, clock=self.clock, workers=0, max_running=1, max_pending=4
        )

    def _scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        calls, ending = self.scripts.pop(0) if self.scripts else ([], TaskResult)
        self.heard.append(self.plain(context.task))
        for n, call in enumerate(calls):
            context.report(n, 9, f"file {n}")
            self.heard.append((self.answer(call), context.cancelled))
            self.clock.advance(1)  # so that each report is published at once
        return ending()  # type: ignore[return-value]  # anything is returned

    def task_id(self, number: int) -> UUID:
        """Return the id of the n-th task, or one that never was."""
        return self.ids[number] if number < len(self.ids) else UUID(int=number)

    def answer(self, call: Call) -> object:
        """Make a call, and return what it returns or raises, in a form to compare."""
        try:
            found = call(self)
        except WRONG as error:
            task = error.task if isinstance(error, TaskNotCancellableError) else None
            return type(error), self.plain(str(error)), self.plain(task)
        is_new = isinstance(found, Submission) and found.outcome in {
            SubmitOutcome.CREATED,
            SubmitOutcome.FOLLOW_UP,
        }
        if isinstance(found, Submission) and is_new:
            self.ids.append(found.task_id)
        return self.plain(found)

    def plain(self, found: object) -> object:
        """Return an answer with ids by order of creation, and revisions from the first on."""
        if isinstance(found, ScanTask):
            values = attrs.asdict(found, recurse=False)
            values["revision"] -= self.first_revision
            return {name: self.plain(value) for name, value in values.items()}
        if isinstance(found, Submission):
            return found.outcome, self.plain(found.task)
        if isinstance(found, UUID):
            return self.ids.index(found)
        if isinstance(found, str):
            for number, task_id in enumerate(self.ids):
                found = found.replace(str(task_id), f"#{number}")
            return found
        if isinstance(found, list | tuple):
            return [self.plain(part) for part in found]
        return attrs.asdict(found) if isinstance(found, QueueStats) else found

    def everything(self, chance: random.Random) -> dict[str, object]:
        """Ask all questions."""
        queue, now = self.queue, self.clock.now()
        limit, number = chance.choice([None, 0, 1, 3]), chance.randint(0, 60)
        since = now - timedelta(hours=chance.randint(0, 60))
        library_id = chance.choice(LIBRARIES)
        questions: dict[str, Call] = {
            "revision": lambda w: queue.revision - w.first_revision,
            "paused": lambda w: queue.is_paused,
            "pending count": lambda w: queue.pending_count(),
            "stats": lambda w: queue.stats(),
            "pending": lambda w: queue.list_pending(limit),
            "running": lambda w: queue.list_running(),
            "history": lambda w: queue.list_history(limit),
            "history since": lambda w: queue.list_history(since=since, library_id=library_id),
            "tasks": lambda w: queue.list_tasks(limit),
            "all tasks": lambda w: queue.list_tasks(),
            "changes": lambda w: queue.list_changes(w.first_revision + number, limit=limit),
            "library": lambda w: queue.get_library_task(library_id),
            "each": lambda w: [queue.get_task(task_id) for task_id in w.ids],
        }
        return {name: self.answer(question) for name, question in questions.items()}


Call: TypeAlias = Callable[[World], object]
Script: TypeAlias = tuple[list[Call], Callable[[], object]]
"""The calls from inside a scan, and how it ends."""


def random_call(chance: random.Random, depth: int = 0) -> Call:
    """Return a call that does the same in every world."""
    library_id, number = chance.choice(LIBRARIES), chance.randint(0, 30)
    priority, scope = chance.choice(list(TaskPriority)), chance.choice(SCOPES)
    when, limit = chance.choice(list(WhenRunning)), chance.choice([None, 0, 1, 2])
    seconds, quiet = chance.choice([0.1, 5, 3600, 40_000]), chance.random() < 0.5
    state = chance.getstate()

    def run(world: World) -> object:
        world.scripts = [*scripts]
        world.heard = []
        try:
            return world.queue.run_pending(limit), world.heard
        finally:
            world.scripts = []

    def submit(world: World) -> object:
        return world.queue.submit(library_id, priority, scope=scope, when_running=when)

    def look(world: World) -> object:
        same = random.Random()
        same.setstate(state)
        return sorted(world.everything(same).items())

    calls: list[tuple[int, Call]] = [
        (10, submit),
        (3, lambda w: w.queue.cancel_task(w.task_id(number))),
        (1, lambda w: w.queue.cancel_library(library_id)),
        (1, lambda w: w.queue.pause()),
        (3, lambda w: w.queue.resume()),
        (2, lambda w: w.queue.wait(w.task_id(number), 0, quiet=quiet)),
        (2, lambda w: w.clock.advance(seconds)),
        (1, lambda w: w.clock.set_back(timedelta(seconds=seconds))),
        (2, look),
        (6, run if depth == 0 else lambda w: w.queue.run_pending(limit)),  # inside it is refused
    ]
    scripts: list[Script] = []
    if depth == 0:
        for _ in range(3):
            inside = [random_call(chance, 1) for _ in range(chance.randint(0, 4))]
            scripts.append((inside, chance.choice(ENDINGS)))
    (chosen,) = chance.choices([call for _, call in calls], [weight for weight, _ in calls])
    return chosen


@contextmanager
def worlds() -> Iterator[list[World]]:
    """Make a world on each store, and shut them down."""
    with ExitStack() as resources:
        made = []
        for kind in STORE_KINDS:
            world = World(resources.enter_context(new_stores(kind))())
            resources.callback(lambda w=world: w.queue.shutdown(0))  # type: ignore[misc]
            made.append(world)
        yield made


@pytest.mark.logs_errors
@pytest.mark.parametrize("seed", range(8))
def test_both_stores_give_the_same_answers(seed: int) -> None:
    """Whatever happens: 80 random calls, and after each of them every question."""
    chance = random.Random(seed)
    with worlds() as (memory, file):
        for _ in range(80):
            call = random_call(chance)
            said = [world.answer(call) for world in (memory, file)]
            assert said[0] == said[1]
            state = chance.getstate()
            expected = memory.everything(chance)
            chance.setstate(state)
            assert file.everything(chance) == expected
        assert memory.clock.now() == file.clock.now()
        assert memory.ids

        # Nothing of it is in the service: one that is made anew says the same of the tasks.
        assert isinstance(file.store, SQLiteStore)
        file.queue.shutdown(0)
        file.queue = file.opened(SQLiteStore(file.store.path, durability="normal"))
        state = chance.getstate()
        expected = memory.everything(chance)
        chance.setstate(state)
        found = file.everything(chance)
        assert {**found, "stats": None} == {**expected, "stats": None}
