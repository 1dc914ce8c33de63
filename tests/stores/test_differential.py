"""The same calls on the table in memory and on the one in a database get the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from scanqueue import _rules
from scanqueue.errors import ScanQueueError
from scanqueue.models import LibraryId, ScanScope, TaskPriority, WhenRunning
from scanqueue.protocols import TaskView
from scanqueue.records import Slot, TaskRecord
from tests.bare_queue import AWAY, BROKEN, DONE, FIRST_REVISION, NOON, BareQueue
from tests.stores.tables import table_in_memory, values_of

LIBRARIES: list[LibraryId] = [1, "1", "a", "b", "c"]
SCOPES = [ScanScope(), ScanScope(paths=["x"]), ScanScope(paths=["x", "y/z"], deep=True)]


def plain(answer: object) -> object:
    """Return what a rule or a view says in a form to compare."""
    if isinstance(answer, TaskRecord):
        return values_of(answer)
    if isinstance(answer, list | tuple):
        return [plain(part) for part in answer]
    return attrs.astuple(answer) if isinstance(answer, Slot) else answer


def answers(view: TaskView, queue: BareQueue) -> list[object]:
    """Ask a view everything."""
    since = queue.now - timedelta(minutes=2)
    found: list[object] = [
        *(view.revision(), view.paused(), view.counts(), view.counts(since)),
        *(view.slots(), view.first_claimable(), view.oldest_pending()),
        *(view.pending(None), view.pending(2), view.changed(0, None)),
        *(view.changed(view.revision() - 5, 3), view.ended(NOON, None, None)),
        *(_rules.running(view), _rules.claimable(view, 2)),
    ]
    for library_id in (None, *LIBRARIES):
        found.append(view.ended(since, 3, library_id))
        found.append(_rules.history(view, since, None, library_id))
    for library_id in LIBRARIES:
        found += [view.pending_of(library_id), view.slot_of(library_id)]
        found.append(_rules.active_of(view, library_id))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_both_tables_say_the_same(seed: int) -> None:
    """Whatever happens: 150 random calls, and after each of them every question."""
    chance = random.Random(seed)
    memory, database = BareQueue(), BareQueue()
    table = table_in_memory(FIRST_REVISION)
    database.table = table  # type: ignore[assignment]
    slots: list[Slot] = []
    ids: list[UUID] = []
    for _ in range(150):
        library_id = chance.choice(LIBRARIES)
        slot = chance.choice(slots) if slots else Slot(1, NIL, 1, "me")
        task_id = chance.choice(ids) if ids else NIL
        submission = (
            *(library_id, chance.choice(list(TaskPriority)), chance.choice(SCOPES)),
            chance.choice(list(WhenRunning)),
        )
        ending, seconds = chance.choice([DONE, BROKEN, AWAY]), chance.randint(-90, 200)
        owner, number = chance.choice(["me", "you"]), chance.randint(0, 5)
        calls: list[Callable[[BareQueue], object]] = [
            lambda q, s=submission: q.submit(*s, max_pending=4),  # type: ignore[misc]
            lambda q, s=submission: q.submit(*s),  # type: ignore[misc]
            lambda q, o=owner: q.try_claim(o, max_running=3),  # type: ignore[misc]
            lambda q, s=slot, n=number: q.report(s, n),  # type: ignore[misc]
            lambda q, s=slot, e=ending: q.finish(s, e),  # type: ignore[misc]
            lambda q, t=task_id: q.cancel(t),  # type: ignore[misc]
            lambda q, lib=library_id: q.cancel_library(lib),  # type: ignore[misc]
            lambda q, s=slot: q.stop(s, durable=True),  # type: ignore[misc]
            lambda q, o=owner: q.recover({o}, max_interruptions=2),  # type: ignore[misc]
            lambda q, n=number: q.prune(q.now - timedelta(minutes=n)),  # type: ignore[misc]
            lambda q, n=number: q.table.set_paused(n == 0),  # type: ignore[misc]
            lambda q, s=seconds: q.pass_time(s),  # type: ignore[misc]
        ]
        weights = [4, 4, 6, 2, 4, 1, 1, 1, 1, 1, 1, 3]
        (call,) = chance.choices(calls, weights)
        said = [outcome(call, queue) for queue in (memory, database)]
        assert plain(said[0]) == plain(said[1])
        if isinstance(said[0], tuple):
            task, extra = said[0]
            ids.append(task.id)
            slots += [extra] if isinstance(extra, Slot) else []
        assert plain(answers(memory.table, memory)) == plain(answers(table, database))
    table._connection.close()


NIL = UUID(int=0)


def outcome(call: Callable[[BareQueue], object], queue: BareQueue) -> object:
    """Return what a call returns, or the kind of error that it raises."""
    try:
        return call(queue)
    except ScanQueueError as error:
        return type(error)
