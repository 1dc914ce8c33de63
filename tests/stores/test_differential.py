"""The same calls on the table in memory and on the one in a database get the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from scanqueue.models import LibraryId, ScanScope, TaskPriority, WhenRunning
from scanqueue.records import Slot
from tests.bare_queue import AWAY, BROKEN, DONE, FIRST_REVISION, BareQueue
from tests.stores.answers import answers, outcome, plain
from tests.stores.tables import table_in_memory

LIBRARIES: list[LibraryId] = [1, "1", "a", "b", "c"]
SCOPES = [ScanScope(), ScanScope(paths=["x"]), ScanScope(paths=["x", "y/z"], deep=True)]


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
        assert plain(answers(memory, LIBRARIES)) == plain(answers(database, LIBRARIES))
    table._connection.close()


NIL = UUID(int=0)
