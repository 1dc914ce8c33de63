"""Who called what, when, and what came of it."""

from __future__ import annotations

from itertools import count
from typing import TypeAlias

import attrs

from scanqueue import (
    QueueClosedError,
    QueueFullError,
    QueueStats,
    ScanQueueService,
    ScanTask,
    StoreError,
    Submission,
    TaskNotCancellableError,
    TaskNotFoundError,
)
from tests.simulation.world import World

Answer: TypeAlias = object
"""What a call returned or raised, reduced to what can be compared; hashable."""

_EXPECTED = (
    *(QueueClosedError, QueueFullError, TaskNotCancellableError, TaskNotFoundError),
    *(StoreError, TimeoutError),
)


@attrs.frozen
class Call:
    """One call, from a moment to a moment."""

    name: str
    arguments: tuple[object, ...]
    options: tuple[tuple[str, object], ...]
    answer: Answer
    thread: int
    begun_at: int
    ended_at: int


class Seen(tuple[object, ...]):
    """A task, as an answer shows it."""

    __slots__ = ()


def seen(task: ScanTask) -> Seen:
    """Return what is compared of a task."""
    return Seen((task.id, task.status, task.priority, task.reason, task.attempt, task.holds_slot))


def reduced(value: object) -> Answer:
    """Return what is compared of what a call returned."""
    if isinstance(value, ScanTask):
        return seen(value)
    if isinstance(value, Submission):
        return (value.outcome, seen(value.task))
    if isinstance(value, QueueStats):
        counts = (value.pending, value.running, value.completed, value.failed, value.cancelled)
        return (*counts, value.stopping, value.paused)
    if isinstance(value, list):
        return tuple(reduced(item) for item in value)
    return value


class History:
    """The calls of one run.

    Args:
        world: Where they are made.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.moment = count(1).__next__
        """Tells the next moment."""
        self.calls: list[Call] = []
        """In order of their end."""
        self.submissions: list[Submission] = []

    def call(
        self, queue: ScanQueueService, name: str, *arguments: object, **options: object
    ) -> object:
        """Call a method of a queue, or look at a property, and write it down.

        Raises:
            BaseException: What no caller should see.
        """
        thread = self._world.scheduler.running().number
        begun_at = self.moment()
        try:
            value = getattr(queue, name)
            if callable(value):
                value = value(*arguments, **options)
        except _EXPECTED as error:
            value = error
            answer: Answer = type(error).__name__
        else:
            answer = reduced(value)
        if isinstance(value, Submission):
            self.submissions.append(value)
        plain = tuple(options.items())
        self.calls.append(Call(name, arguments, plain, answer, thread, begun_at, self.moment()))
        return value
