"""A run is the same each time, in every process, and a failing one says how to see it again."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.examples import ROOT
from tests.simulation.campaign import SCENARIOS, campaign
from tests.simulation.explore import Outcome, exploring, spell, unspell
from tests.simulation.mutants import MUTANTS

NAMES = ["queued/submit/cancel_task", "readers-of-changes", "sqlite-two-services"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weaves", [False, True], ids=["plain", "woven"])
def test_a_seed_and_its_decisions_give_the_same_trace(name: str, weaves: bool) -> None:
    """Every point of every thread, in the same order."""
    tell = SCENARIOS[name]
    with exploring(weaves=weaves) as explorer:
        traces = set()
        for seed in (6, 7):
            first = explorer.seeded(name, tell, seed, records=True)
            traces.add(first.trace)
            second = explorer.seeded(name, tell, seed, records=True)
            followed = explorer.follow(name, tell, unspell(spell(first.decisions)))
            assert first.failure is None
            assert first.trace == second.trace == followed.trace
    assert len(traces) == 2


def run_again(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in another process."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50
    )


def test_another_process_repeats_it() -> None:
    """Hashes are random there, and addresses are others."""
    name = "two-workers-three-libraries"
    with exploring() as explorer:
        outcome = explorer.seeded(name, SCENARIOS[name], 3, records=True)
    again = run_again(name, "--seed", "3")
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"{outcome.steps} points, trace {outcome.trace}\n"


def test_an_unknown_scenario_is_refused() -> None:
    """With a word about it."""
    again = run_again("no-such-scenario", "--seed", "1")
    assert again.returncode == 2
    assert "no scenario is called 'no-such-scenario'" in again.stderr


def failing(seeds: int) -> Outcome:
    """Return the first failing run of a mistake."""
    mutant = MUTANTS["wait-uncounted"]
    with exploring() as explorer, mutant.applied():
        for seed in range(seeds):
            outcome = explorer.seeded(mutant.scenario, SCENARIOS[mutant.scenario], seed)
            if outcome.failure is not None:
                return outcome
    raise AssertionError("the mistake was not found")


def test_a_report_names_scenario_seed_and_decisions() -> None:
    """And who waits for what, and what was called before."""
    report = failing(200).report()
    assert re.search(r"again: python -m tests\.simulation one-waiter --seed \d+\n", report)
    assert re.search(r"or: +python -m tests\.simulation one-waiter --decisions [\d,x]+", report)
    assert "2 client: condition" in report
    assert "submit('music',) -> " in report


def test_the_decisions_of_a_failing_run_fail_again() -> None:
    """With the same failure."""
    outcome = failing(200)
    mutant = MUTANTS["wait-uncounted"]
    with exploring() as explorer, mutant.applied():
        again = explorer.follow(mutant.scenario, SCENARIOS[mutant.scenario], outcome.decisions)
    assert repr(again.failure) == repr(outcome.failure)
    assert again.decisions == outcome.decisions


@pytest.mark.parametrize("decisions", [[], [1], [0, 0, 3, -1, 2, 2, 2]])
def test_decisions_are_spelled_and_read(decisions: list[int]) -> None:
    """Who, and how many times in a row."""
    assert unspell(spell(decisions)) == decisions


def test_a_campaign_gives_every_scenario_its_share() -> None:
    """A part of each kind is run, and what is told by hand more often."""
    parts = [part for part, _, _ in campaign(60, 0, weaves=False)]
    assert parts.count("cancel-against-completion") == 10
    assert len(set(parts)) >= 6
