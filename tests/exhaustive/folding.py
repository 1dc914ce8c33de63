"""Which queues are alike, so that one of them stands for all.

Two queues are alike when no rule can tell them apart, but for names:

- Libraries stand for each other, and so do owners, and within a library the scopes.
- Ids, ranks and revisions are folded to the order of submission, and attempts to nothing: rules
  compare them, and that is all.
- What an active task is in the record for is folded away: its progress, its moments. Deaths beyond
  what a limit can tell apart are as good as fewer.
- A task that has ended and holds its slot is folded to that. Those without a slot are remembered
  by status and age, as many as a world says, and when there are more all are forgotten: no rule
  looks at more of them than the one that it was asked for.

What is folded away is checked before it is, at the end of each step.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from itertools import permutations
from typing import Any, TypeAlias

from sortedcontainers import SortedDict

from scanqueue.models import LibraryId, ScanScope, TaskStatus
from scanqueue.records import TaskRecord
from scanqueue.stores._lane import Lane
from scanqueue.stores._table import MemoryTable
from tests.bare_queue import BareQueue
from tests.exhaustive.moments import Moment, submission
from tests.exhaustive.worlds import BETWEEN, END_OF_TIME, MAX_INTERRUPTIONS, World

Key: TypeAlias = tuple[Any, ...]
"""What is left of a queue: numbers, and tuples of such."""

_TELLING = max(MAX_INTERRUPTIONS) - 1
"""With so many deaths, one more is too many by any limit."""

_CODES = {status: code for code, status in enumerate(TaskStatus)}


def key_of(moment: Moment, world: World) -> Key:
    """Return the same key for queues that are alike, and another for others."""
    views = _views(moment, world)
    history = [
        (task.library_id, _CODES[task.status], _is_old(task)) for task in remembered(moment, world)
    ]
    arrangements = []
    for libraries in permutations(world.libraries):
        owners: dict[str, int] = {}  # in the order in which they appear
        parts = []
        for library_id in libraries:
            slot = moment.slot_of(library_id)
            owner = -1 if slot is None else owners.setdefault(slot.owner, len(owners))
            parts.append((views[library_id], owner))
        past = [(libraries.index(library_id), *rest) for library_id, *rest in history]
        arrangements.append((tuple(parts), tuple(past)))
    return moment.is_paused, moment.now < BETWEEN, *min(arrangements)


def _views(moment: Moment, world: World) -> dict[LibraryId, Key]:
    """Return of each library what matters of its tasks."""
    seen: dict[LibraryId, list[Key]] = {library_id: [] for library_id in world.libraries}
    scopes: dict[LibraryId, list[ScanScope]] = {library_id: [] for library_id in world.libraries}
    place = 0
    for task in sorted(moment.changed, key=submission):
        if task.status.is_active:
            scopes[task.library_id].append(task.scope)
            what = (task.priority.value, place, min(task.interruptions, _TELLING))
            place += 1
        elif task.holds_slot:
            what = (world.history > 0 and _is_old(task), 0, 0)
        else:
            continue
        seen[task.library_id].append((_CODES[task.status], task.holds_slot, *what))
    return {
        library_id: (tuple(views), _pattern(tuple(scopes[library_id]), world.scopes))
        for library_id, views in seen.items()
    }


@lru_cache
def _pattern(scopes: tuple[ScanScope, ...], wanted: tuple[ScanScope, ...]) -> Key:
    """Return which scopes cover what, but for which is which."""
    return tuple(sorted(tuple(scope.covers(part) for scope in scopes) for part in wanted))


def _is_old(task: TaskRecord) -> bool:
    assert task.completed_at is not None
    return task.completed_at < BETWEEN


def remembered(moment: Moment, world: World) -> list[TaskRecord]:
    """Return the ended tasks that a world remembers, in order of ending; of too many, none."""
    past = [task for task in moment.changed if task.status.is_ended and not task.holds_slot]
    return sorted(past, key=lambda task: task.rank) if len(past) <= world.history else []


def forget(queue: BareQueue, moment: Moment, world: World) -> bool:
    """Have a queue forget what its world does not remember; return whether there was something."""
    return not remembered(moment, world) and queue.prune(END_OF_TIME) > 0


def copy_of(queue: BareQueue) -> BareQueue:
    """Return a queue of its own with the same tasks, which are never changed."""
    copy = BareQueue.__new__(BareQueue)  # and nothing made that is thrown away at once
    vars(copy).update(vars(queue))
    copy.table = MemoryTable.__new__(MemoryTable)
    vars(copy.table).update((name, _copied(part)) for name, part in vars(queue.table).items())
    return copy


def _copied(part: Any) -> Any:  # noqa: ANN401 - whatever a table is made of
    if type(part) is dict:
        return {key: _copied(value) for key, value in part.items()}
    if isinstance(part, SortedDict) and not part:
        return SortedDict()  # which is faster
    if isinstance(part, dict | list | deque):
        return part.copy()
    if isinstance(part, Lane):
        lane = Lane.__new__(Lane)
        for name in Lane.__slots__:
            setattr(lane, name, _copied(getattr(part, name)))
        return lane
    return part
