"""Which moves there are: in each state every call of every rule that can make a difference."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from uuid import UUID

import attrs

from scanqueue.models import LibraryId, WhenRunning
from scanqueue.records import Slot, TaskRecord
from tests.bare_queue import AWAY, BROKEN, DONE, NOON
from tests.exhaustive.moments import Moment
from tests.exhaustive.moves import (
    Cancel,
    CancelLibrary,
    Claim,
    EndPending,
    Finish,
    Move,
    PassTime,
    Prune,
    Recover,
    Report,
    SetPaused,
    Stop,
    Submit,
)
from tests.exhaustive.worlds import BETWEEN, END_OF_TIME, LATER, MAX_INTERRUPTIONS, World

NOBODY = UUID(int=0)
"""The id of no task."""

FIRST_REPORT = 1


def moves(world: World, moment: Moment) -> Iterator[Move]:
    """Yield every move; those that should change nothing first, since they are many."""
    yield from _late(world, moment)
    yield from _submissions(world, moment)
    yield from _scans(world, moment)
    yield from _cancels(world, moment)
    yield from _ends(world, moment)
    if world.can_pause:
        yield SetPaused(not moment.is_paused)
    if world.can_pass_time:
        yield PassTime(LATER - NOON if moment.now < BETWEEN else NOON - LATER)


def what_follows(world: World, move: Move, answer: object) -> Move | None:
    """Return the move that comes right after another, with nothing in between; None: there is none.

    A scan that has begun reports: it stands for one that has not, and what it said must not stay.
    In memory, what a shutdown sends back is an interrupted claim, which its thread ends at once.
    """
    if isinstance(move, Claim) and isinstance(answer, tuple):
        return Report(answer[1], FIRST_REPORT)
    if isinstance(move, Stop) and move.is_durable and not world.is_durable:
        return Finish(move.slot, BROKEN) if isinstance(answer, TaskRecord) else None
    return None


def _late(world: World, moment: Moment) -> Iterator[Move]:
    """Yield what scans may still say that do not hold their slot any more, or never did."""
    lost = (slot for library_id in world.libraries for slot in _lost(world, moment, library_id))
    for slot in lost:
        yield Report(slot, FIRST_REPORT + 1)
        yield from (Finish(slot, ending) for ending in (DONE, BROKEN))
        yield from (Stop(slot, is_durable) for is_durable in (True, False))


def _lost(world: World, moment: Moment, library_id: LibraryId) -> Iterator[Slot]:
    """Yield slots that nobody holds, of each task: of its last two attempts, by every owner."""
    held = moment.slot_of(library_id)
    for task in moment.changed:
        if task.library_id == library_id:
            attempts = range(max(task.attempt - 1, 0), task.attempt + 1)
            for attempt, owner in product(attempts, world.owners):
                slot = Slot(library_id, task.id, attempt, owner)
                if slot != held:
                    yield slot


def _submissions(world: World, moment: Moment) -> Iterator[Move]:
    pending = len(moment.pending)
    waiting = {task.library_id for task in moment.pending}
    for parts in product(world.libraries, world.priorities, world.scopes, WhenRunning):
        # Where a task waits none is made, so that a full queue must let it pass.
        limits = (pending,) if parts[0] in waiting else (None, pending, pending + 1)
        yield from (Submit(*parts, limit) for limit in limits)


def _scans(world: World, moment: Moment) -> Iterator[Move]:
    taken = len(moment.slots)
    limits = (None, taken, taken + 1) if taken else (None, 1)
    yield from (Claim(owner, limit) for owner, limit in product(_owners(world, moment), limits))
    for slot in map(attrs.evolve, moment.slots):  # equal, and another, as a database gives it
        yield from (Report(slot, number) for number in (FIRST_REPORT, FIRST_REPORT + 1))
        yield from (Finish(slot, ending) for ending in (DONE, BROKEN, AWAY))


def _owners(world: World, moment: Moment) -> Iterator[str]:
    """Yield the owners who hold slots, and one who holds none: he stands for the others."""
    busy = {slot.owner for slot in moment.slots}
    yield from sorted(busy)
    yield from [owner for owner in world.owners if owner not in busy][:1]


def _cancels(world: World, moment: Moment) -> Iterator[Move]:
    yield from (Cancel(task_id) for task_id in (NOBODY, *moment.tasks))
    yield from (CancelLibrary(library_id) for library_id in world.libraries)


def _ends(world: World, moment: Moment) -> Iterator[Move]:
    """Yield shutdowns and deaths, and what is forgotten."""
    for slot in map(attrs.evolve, moment.slots):
        yield Stop(slot, is_durable=True)  # in memory: an interrupted claim is given back
    busy = sorted({slot.owner for slot in moment.slots})
    if world.is_durable:
        idle = [owner for owner in world.owners if owner not in busy][:1]
        groups = [[owner] for owner in (*busy, *idle)] + ([busy] if len(busy) > 1 else [])
        yield from (
            Recover(frozenset(group), limit) for group, limit in product(groups, MAX_INTERRUPTIONS)
        )
    else:
        yield from (Stop(slot, is_durable=False) for slot in moment.slots)
        yield from (EndPending(limit) for limit in (1, len(moment.pending)))
    yield from (Prune(before) for before in (NOON, BETWEEN, END_OF_TIME))
