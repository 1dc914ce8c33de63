"""A search that goes on from queues that are alike: folding is right if nothing comes of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import attrs

from scanqueue.records import Slot, TaskRecord
from tests.bare_queue import BareQueue
from tests.exhaustive.folding import Key, copy_of, forget, key_of
from tests.exhaustive.moments import Moment, observe
from tests.exhaustive.offers import moves
from tests.exhaustive.worlds import NORMAL, ONE_LIBRARY, PART, TWO_LIBRARIES, WITH_HISTORY, World
from tests.stores.answers import outcome

Unfolded: TypeAlias = Callable[[TaskRecord, Slot | None], object]
"""What is told apart of a task, and of the slot of its library."""


def names(task: TaskRecord, slot: Slot | None) -> object:
    """Return which library, which scope and which owner it is."""
    return task.library_id, task.scope, slot and (slot.task_id == task.id, slot.owner)


def numbers(task: TaskRecord, slot: Slot | None) -> object:
    """Return attempts and deaths, of which there must be an end."""
    return min(task.attempt, 3), min(task.interruptions, 3)


def record(task: TaskRecord, slot: Slot | None) -> object:
    """Return what is for the record."""
    return task.progress, task.result, task.error is None, task.created_at, task.started_at


def what_it_was(task: TaskRecord, slot: Slot | None) -> object:
    """Return what a task was like, also when it has ended."""
    return task.priority, task.scope, task.reason


ONE_PRIORITY = attrs.evolve(TWO_LIBRARIES, priorities=(NORMAL,))

ONE_SCOPE = attrs.evolve(ONE_LIBRARY, scopes=(PART,), can_pause=False)

QUICK: tuple[tuple[World, Unfolded], ...] = (
    (attrs.evolve(ONE_PRIORITY, owners=("one",)), names),
    (attrs.evolve(ONE_LIBRARY, can_pause=False), names),
    (ONE_SCOPE, numbers),
    (ONE_SCOPE, record),
    (ONE_SCOPE, what_it_was),
)
"""What the suite unfolds."""

SLOW: tuple[tuple[World, Unfolded], ...] = (
    (ONE_PRIORITY, names),
    (ONE_LIBRARY, names),
    (ONE_LIBRARY, numbers),
    (ONE_LIBRARY, record),
    (ONE_LIBRARY, what_it_was),
    (attrs.evolve(WITH_HISTORY, history=1), numbers),
)
"""What takes its time."""


def unfold(world: World, unfolded: Unfolded) -> tuple[int, int]:
    """Check that of all queues with one key the moves lead to queues of the same keys.

    Returns:
        How many queues there are that differ in what is unfolded, and how many keys.

    Raises:
        AssertionError: Two queues have the same key, and their moves lead to others.
    """

    def finer_key(moment: Moment) -> object:
        tasks = sorted(moment.changed, key=lambda task: task.id)
        parts = tuple(unfolded(task, moment.slot_of(task.library_id)) for task in tasks)
        return key_of(moment, world), parts

    waiting = deque([BareQueue()])
    seen = {finer_key(observe(waiting[0]))}
    led_to: dict[Key, set[Key]] = {}
    while waiting:
        queue = waiting.popleft()
        moment = observe(queue)
        keys = set()
        for move in moves(world, moment):
            changed = copy_of(queue)
            outcome(move.make, changed)
            after = observe(changed)
            keys.add(key_of(after, world))
            if forget(changed, after, world):
                after = observe(changed)
            key = finer_key(after)
            if key not in seen:
                seen.add(key)
                waiting.append(changed)
        assert led_to.setdefault(key_of(moment, world), keys) == keys
    return len(seen), len(led_to)
