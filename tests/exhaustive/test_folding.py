"""Queues that are folded into one behave as one, and copies do not share."""

import random

import attrs
import pytest

from tests.bare_queue import BareQueue
from tests.exhaustive import unfolding
from tests.exhaustive.folding import copy_of
from tests.exhaustive.moments import is_still, observe
from tests.exhaustive.offers import moves
from tests.exhaustive.unfolding import Unfolded
from tests.exhaustive.worlds import LARGE, World
from tests.stores.answers import answers, outcome, plain

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("world", "unfolded"),
    [
        pytest.param(world, unfolded, id=f"{world.name}-{unfolded.__name__}")
        for world, unfolded in unfolding.QUICK
    ],
)
def test_what_is_alike_leads_to_what_is_alike(world: World, unfolded: Unfolded) -> None:
    """So it is enough to go on from one of the queues that differ in what is folded."""
    queues, keys = unfolding.unfold(world, unfolded)
    assert queues > keys


@pytest.mark.parametrize("seed", range(2))
def test_a_copy_is_equal_and_on_its_own(seed: int) -> None:
    """A copy does what the original does, and the original does not notice."""
    chance = random.Random(seed)
    world = attrs.evolve(LARGE[0], can_pass_time=True)
    queue = BareQueue()
    for _ in range(60):
        moment = observe(queue)
        changed = copy_of(queue)
        assert is_still(changed, moment)
        move = chance.choice(list(moves(world, moment)))
        outcome(move.make, changed)
        assert is_still(queue, moment)
        outcome(move.make, queue)
        assert plain(answers(queue, world.libraries)) == plain(answers(changed, world.libraries))
