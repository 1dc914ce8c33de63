"""The library under some 20,000 schedules: none breaks a promise of the contract.

Seeds are fixed, so that the same commit gets the same verdict. ``nox -s simulate`` runs a million.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.simulation.campaign import EXHAUSTED, SCENARIOS
from tests.simulation.explore import exploring
from tests.simulation.pairs import CALLS, MIXES, STATES
from tests.simulation.scenarios import NAMED

pytestmark = pytest.mark.slow

PAIR_SEEDS = 9
MIX_SEEDS = 20
NAMED_SEEDS = 120
WOVEN_SEEDS = 40
FILE_SEEDS = 24
WOVEN_FILE_SEEDS = 8
FEWEST_WAYS, MOST_WAYS = 200, 5_000

IN_MEMORY = [name for name in NAMED if not name.startswith("sqlite")]
WITH_FILES = [name for name in NAMED if name.startswith("sqlite")]


def check(names: Iterable[str], seeds: range, *, weaves: bool = False) -> int:
    """Run scenarios with seeds, fail with a report, and return how many schedules that were."""
    with exploring(weaves=weaves) as explorer:
        for name in names:
            for seed in seeds:
                outcome = explorer.seeded(name, SCENARIOS[name], seed)
                if outcome.failure is not None:
                    pytest.fail(outcome.report(), pytrace=False)
        return explorer.runs


@pytest.mark.parametrize("state", STATES)
def test_every_pair_of_calls(state: str) -> None:
    """At the same time, on one library, from each state."""
    names = [name for name in SCENARIOS if name.startswith(f"{state}/")]
    assert len(names) == len(CALLS) * (len(CALLS) + 1) / 2
    check(names, range(PAIR_SEEDS))


def test_mixes_of_calls() -> None:
    """Three clients, two calls each."""
    check([f"mix/{number}" for number in range(MIXES)], range(MIX_SEEDS))


@pytest.mark.parametrize("name", IN_MEMORY)
def test_what_is_told_by_hand(name: str) -> None:
    """With points at locks and clocks, and with points between statements, too."""
    check([name], range(NAMED_SEEDS))
    check([name], range(WOVEN_SEEDS), weaves=True)


@pytest.mark.parametrize("name", WITH_FILES)
def test_queues_in_files(name: str) -> None:
    """Real files, real transactions: one service, two that share the file, one that dies."""
    check([name], range(FILE_SEEDS))
    check([name], range(FILE_SEEDS, FILE_SEEDS + WOVEN_FILE_SEEDS), weaves=True)


@pytest.mark.parametrize(("name", "bound"), EXHAUSTED)
def test_small_scenarios_are_exhausted(name: str, bound: int) -> None:
    """In all ways with so many preemptions."""
    count = 0
    with exploring() as explorer:
        for outcome in explorer.exhaust(name, SCENARIOS[name], bound, limit=MOST_WAYS):
            count += 1
            if outcome.failure is not None:
                pytest.fail(outcome.report(), pytrace=False)
    assert FEWEST_WAYS < count < MOST_WAYS


def test_the_suite_runs_20_000_schedules() -> None:
    """By the numbers above."""
    pairs = (len(SCENARIOS) - len(NAMED) - MIXES) * PAIR_SEEDS + MIXES * MIX_SEEDS
    by_hand = len(IN_MEMORY) * (NAMED_SEEDS + WOVEN_SEEDS) + len(WITH_FILES) * FILE_SEEDS
    assert pairs + by_hand + len(EXHAUSTED) * FEWEST_WAYS >= 20_000
