"""The same moves on a table in a database: every state is the same."""

import random

import attrs
import pytest

from tests.bare_queue import FIRST_REVISION, BareQueue
from tests.exhaustive.moments import observe
from tests.exhaustive.moves import Move
from tests.exhaustive.offers import moves, what_follows
from tests.exhaustive.worlds import IN_MEMORY, LARGE, OTHER_PART, PART, World
from tests.stores.answers import answers, outcome, plain
from tests.stores.tables import table_in_memory

WORLDS = (
    attrs.evolve(LARGE[0], can_pass_time=True),
    attrs.evolve(IN_MEMORY, scopes=(PART, OTHER_PART), can_pass_time=True),
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_both_tables_walk_the_same_way(world: World, seed: int) -> None:
    """On a random walk both give the same answer to each move, and to each question after it."""
    chance = random.Random(seed)
    memory, database = BareQueue(), BareQueue()
    table = table_in_memory(FIRST_REVISION)
    database.table = table  # type: ignore[assignment]
    follows: Move | None = None
    for _ in range(200):
        offered = list(moves(world, observe(memory)))
        kinds = dict.fromkeys(map(type, offered))
        kind = chance.choice(list(kinds))  # or half of all moves would be late ones
        move = follows or chance.choice([move for move in offered if type(move) is kind])
        said = [outcome(move.make, queue) for queue in (memory, database)]
        assert plain(said[0]) == plain(said[1])
        follows = what_follows(world, move, said[0])
        assert plain(answers(memory, world.libraries)) == plain(answers(database, world.libraries))
    table._cursor.connection.close()
