"""Mistakes are found, and the page on testing says how soon."""

from __future__ import annotations

import re

import pytest

from tests.simulation.__main__ import PAGE
from tests.simulation.campaign import STRATEGIES, runs_until_found
from tests.simulation.explore import exploring
from tests.simulation.mutants import MUTANTS

ROW = re.compile(r"^\| (.+) \| `(.+)` \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = {
    mistake.removesuffix(" (woven)"): (scenario, counts)
    for mistake, scenario, *counts in ROW.findall(PAGE.read_text("utf-8"))
}


def test_the_page_lists_every_mistake() -> None:
    """In its words, with the scenario that finds it."""
    assert {m.mistake: m.scenario for m in MUTANTS.values()} == {
        mistake: scenario for mistake, (scenario, _) in ROWS.items()
    }


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_found(name: str) -> None:
    """By the strategy that was the first to find it when the page was written."""
    mutant = MUTANTS[name]
    _, counts = ROWS[mutant.mistake]
    found = {
        strategy: int(count.replace(",", ""))
        for strategy, count in zip(STRATEGIES, counts, strict=True)
        if count != "-"
    }
    assert found, "no strategy finds it"
    strategy = min(found, key=lambda strategy: found[strategy])
    with exploring(weaves=mutant.needs_weaving) as explorer:
        assert runs_until_found(explorer, mutant, strategy) is not None
