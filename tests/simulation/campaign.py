"""Many schedules of all scenarios, small scenarios in all ways, and how soon mistakes are found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from time import perf_counter

import attrs

from tests.simulation.explore import Explorer, Outcome, Tell, exploring
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.scenarios import NAMED, all_scenarios
from tests.simulation.strategies import Priorities, RandomWalk

SCENARIOS: dict[str, Tell] = dict(all_scenarios())

EXHAUSTED = (
    ("group-commit-2", 1),
    ("functions-0-2", 1),
    ("idle/submit/submit", 1),
    ("new/submit/cancel_library", 3),
    ("new/submit/submit", 3),
    ("new/submit_high/list_tasks", 3),
    ("one-waiter", 2),
)
"""Scenarios, and with how many preemptions the suite runs them in all ways."""

EXHAUSTED_MORE = (
    ("cancel-against-completion", 1),
    ("group-commit-2", 2),
    ("functions-0-2", 2),
    ("group-commit-3", 1),
    ("idle/submit/wait", 2),
    ("new/submit/cancel_library", 4),
    ("new/submit/submit", 4),
    ("one-waiter", 3),
    ("queued/submit_high/cancel_task", 1),
)
"""The same, but these take minutes."""

FEWER = 20
"""A scenario with files takes so much longer than others, and is run so much less often."""

MORE = 10
"""A scenario that is told by hand is run so much more often than a pair of calls."""

MOST = 2_000
"""How many schedules of a strategy a mistake gets to show itself."""


@attrs.define
class Tally:
    """How a part of a campaign went."""

    schedules: int = 0
    steps: int = 0
    seconds: float = 0.0
    failures: int = 0

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count a run."""
        self.schedules += 1
        self.steps += outcome.steps
        self.seconds += seconds
        self.failures += outcome.failure is not None

    def line(self, name: str) -> str:
        """Return a row of the table."""
        rate = self.schedules / self.seconds if self.seconds else 0.0
        steps = self.steps / max(1, self.schedules)
        numbers = f"{self.schedules:>11,}{steps:>8,.0f}{rate:>10,.0f}{self.failures:>10}"
        return f"{name:<32}{numbers}"


HEADER = f"{'scenario':<32}{'schedules':>11}{'points':>8}{'a second':>10}{'failures':>10}"


def part_of(name: str) -> str:
    """Return under which name a scenario is counted: pairs by the state in which they begin."""
    if name in NAMED:
        return "failing-store-*" if name.startswith("failing-store") else name
    return f"{name.partition('/')[0]}/*"


def schedules(seed: int) -> Iterator[tuple[str, int]]:
    """Yield scenarios and seeds, without end; each round gives every scenario its share."""
    round_number = 0
    while True:
        for name in SCENARIOS:
            if name not in NAMED:
                yield name, seed + round_number
            elif not name.startswith("sqlite"):
                yield from ((name, seed + round_number * MORE + more) for more in range(MORE))
            elif round_number % FEWER == 0:
                yield name, seed + round_number // FEWER
        round_number += 1


def campaign(count: int, seed: int, *, weaves: bool) -> Iterator[tuple[str, Outcome, float]]:
    """Run so many schedules; yield the part, the outcome and the seconds of each."""
    with exploring(weaves=weaves) as explorer:
        for _, (name, number) in zip(range(count), schedules(seed), strict=False):
            began = perf_counter()
            outcome = explorer.seeded(name, SCENARIOS[name], number)
            yield part_of(name), outcome, perf_counter() - began


def tallies() -> defaultdict[str, Tally]:
    """Return an empty table."""
    return defaultdict(Tally)


# --- mistakes -----------------------------------------------------------------------------------


def runs_until_found(explorer: Explorer, mutant: Mutant, strategy: str) -> int | None:
    """Return the number of the schedule that finds a mistake; None: not among the first."""
    with mutant.applied():
        for number, outcome in enumerate(_runs(explorer, mutant.scenario, strategy), 1):
            if outcome.failure is not None:
                return number
    return None


def _runs(explorer: Explorer, name: str, strategy: str) -> Iterator[Outcome]:
    tell = SCENARIOS[name]
    if strategy == "walk":
        for seed in range(MOST):
            yield explorer.run(name, tell, RandomWalk(seed), strategy)
    elif strategy == "priorities":
        length = explorer.length(name, tell)
        for seed in range(MOST):
            yield explorer.run(name, tell, Priorities(seed, length), strategy)
    else:
        left = MOST
        for bound in range(3):
            for outcome in explorer.exhaust(name, tell, bound, limit=left):
                left -= 1
                yield outcome


STRATEGIES = ("walk", "priorities", "search")


def mutant_rows() -> Iterator[tuple[str, list[int | None]]]:
    """Yield each mistake, and how many schedules of each strategy find it."""
    for weaves in (False, True):
        with exploring(weaves=weaves) as explorer:
            for name, mutant in MUTANTS.items():
                if mutant.needs_weaving is weaves:
                    yield name, [runs_until_found(explorer, mutant, s) for s in STRATEGIES]


def mutant_table() -> str:
    """Return the table of the page on testing."""
    lines = ["| mistake | scenario | walk | priorities | search |", "|---|---|--:|--:|--:|"]
    for name, counts in mutant_rows():
        mutant = MUTANTS[name]
        mistake = mutant.mistake + (" (woven)" if mutant.needs_weaving else "")
        numbers = " | ".join("-" if count is None else f"{count:,}" for count in counts)
        lines.append(f"| {mistake} | `{mutant.scenario}` | {numbers} |")
    return "\n".join(lines)
