"""In every state of some small worlds, after every move, every invariant holds."""

from itertools import product

import pytest

from scanqueue._lifecycle import TRANSITIONS, Event, State
from tests.exhaustive import page
from tests.exhaustive.lifecycle import Rows
from tests.exhaustive.search import Found, Search
from tests.exhaustive.worlds import SMALL, World

# Whoever asks for `found` first waits for all searches.
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

each_small_world = pytest.mark.parametrize("world", SMALL, ids=lambda world: world.name)


@pytest.fixture(scope="module")
def found() -> dict[str, Found]:
    """Search each small world, once for all tests."""
    return {world.name: Search(world).run() for world in SMALL}


@each_small_world
def test_the_invariants_hold_and_the_page_has_the_numbers(
    world: World, found: dict[str, Found]
) -> None:
    """The search comes to its end, with as many states and transitions as the page says."""
    row = page.row(world, found[world.name])
    assert row in page.read(), "run: python -m tests.exhaustive --write"


def test_every_row_of_the_table_of_transitions_is_used(found: dict[str, Found]) -> None:
    """What no rule could ever do would not have to be in the table."""
    assert all_rows(found).used.keys() == TRANSITIONS.keys()


def test_every_pair_beside_the_table_was_tried_in_vain(found: dict[str, Found]) -> None:
    """A rule that could have done it was called, on a task in that state, and did not."""
    illegal = set(product(State, Event)) - TRANSITIONS.keys()
    assert illegal - all_rows(found).tried == set()


def test_the_page_has_every_world() -> None:
    """The large ones too, with the sizes that the code has."""
    assert page.missing_worlds() == set()


def test_the_page_knows_how_large_the_table_of_transitions_is() -> None:
    """It says how many rows and other pairs there are."""
    text = " ".join(page.PAGE.read_text("utf-8").split())
    others = len(set(product(State, Event)) - TRANSITIONS.keys())
    assert f"its {len(TRANSITIONS)} rows is used" in text
    assert f"the {others} pairs of state and event" in text


def all_rows(found: dict[str, Found]) -> Rows:
    """Return what all searches together have used and tried."""
    rows = Rows()
    for one in found.values():
        rows.update(one.rows)
    return rows
