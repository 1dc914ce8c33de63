"""Run schedules: many, all, or one again.

::

    python -m tests.simulation explore [--schedules N] [--seed N] [--woven]
    python -m tests.simulation exhaust
    python -m tests.simulation mutants
    python -m tests.simulation SCENARIO --seed N | --decisions LIST | --bound N  [--woven]
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from tests.simulation.campaign import (
    EXHAUSTED,
    EXHAUSTED_MORE,
    HEADER,
    SCENARIOS,
    Tally,
    campaign,
    mutant_table,
    tallies,
)
from tests.simulation.explore import Outcome, exploring, unspell

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "testing.md"
BEGIN, END = "<!-- mutants: begin -->\n", "<!-- mutants: end -->"
PROGRESS_EVERY = 20_000
MOST_WAYS = 1_000_000


def with_table(page: str, table: str) -> str:
    """Return the page with another table of mistakes."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table}\n{END}{after}"


def _explore(arguments: argparse.Namespace) -> int:
    table, failures = tallies(), 0
    total = Tally()
    seed = arguments.seed or 0
    for part, outcome, seconds in campaign(arguments.schedules, seed, weaves=arguments.woven):
        table[part].add(outcome, seconds)
        total.add(outcome, seconds)
        if outcome.failure is not None:
            failures += 1
            print(outcome.report(), flush=True)
        if total.schedules % PROGRESS_EVERY == 0:
            print(total.line("so far"), flush=True)
    print(HEADER)
    for part in sorted(table):
        print(table[part].line(part))
    print(total.line("all"))
    return failures


def _exhaust() -> int:
    failures = 0
    with exploring() as explorer:
        for name, bound in EXHAUSTED + EXHAUSTED_MORE:
            ways = 0
            for outcome in explorer.exhaust(name, SCENARIOS[name], bound, limit=MOST_WAYS):
                ways += 1
                if outcome.failure is not None:
                    failures += 1
                    print(outcome.report())
            print(f"{name}: {ways:,} ways with at most {bound} preemptions", flush=True)
    return failures


def _again(arguments: argparse.Namespace) -> int:
    name, tell = arguments.what, SCENARIOS[arguments.what]
    outcomes: list[Outcome] = []
    with exploring(weaves=arguments.woven) as explorer:
        if arguments.decisions is not None:
            outcomes.append(explorer.follow(name, tell, unspell(arguments.decisions)))
        elif arguments.bound is not None:
            found = explorer.exhaust(name, tell, arguments.bound, limit=MOST_WAYS)
            outcomes += (outcome for outcome in found if outcome.failure is not None)
        else:
            outcomes.append(explorer.seeded(name, tell, arguments.seed or 0, records=True))
    for outcome in outcomes:
        if outcome.failure is not None:
            traceback.print_exception(outcome.failure)
            print(outcome.report())
        print(f"{outcome.steps} points, trace {outcome.trace}")
    return sum(outcome.failure is not None for outcome in outcomes)


def main() -> int:
    """Do what the arguments say; return how many schedules failed, at most 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("what", help="explore, exhaust, mutants, or a scenario")
    parser.add_argument("--schedules", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--decisions", help="who went on, as a failing run printed it")
    parser.add_argument("--bound", type=int, help="all ways with so many preemptions")
    parser.add_argument("--woven", action="store_true", help="points between statements, too")
    arguments = parser.parse_args()
    if arguments.what == "explore":
        return min(1, _explore(arguments))
    if arguments.what == "exhaust":
        return min(1, _exhaust())
    if arguments.what == "mutants":
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), mutant_table()), "utf-8")
        return 0
    if arguments.what not in SCENARIOS:
        parser.error(f"no scenario is called {arguments.what!r}")
    return min(1, _again(arguments))


if __name__ == "__main__":
    sys.exit(main())
