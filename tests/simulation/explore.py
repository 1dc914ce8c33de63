"""Runs scenarios under strategies, and says how to run a failing one again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import groupby
from types import ModuleType

import attrs

from scanqueue import (
    _context,
    _core,
    _hub,
    _keeper,
    _progress,
    _queries,
    _requests,
    _scans,
    _shutdown,
    _workers,
)
from scanqueue.stores import _block, _group, _liveness, _readers, _writer, memory, sqlite
from tests.simulation import mistakes
from tests.simulation.files import simulated_files
from tests.simulation.linearizability import Judge
from tests.simulation.scene import Scene
from tests.simulation.scheduler import Scheduler, Strategy
from tests.simulation.strategies import Follow, Priorities, RandomWalk, Search
from tests.simulation.weaving import woven
from tests.simulation.world import World, installed

Tell = Callable[[Scene], None]

WOVEN: tuple[ModuleType, ...] = (
    *(_context, _core, _hub, _keeper, _progress, _queries, _requests, _scans, _shutdown),
    *(_workers, mistakes, _block, _group, _liveness, _readers, _writer, memory, sqlite),
)
"""The modules that points are woven into, on demand."""

_COLLECT_EVERY = 200


@attrs.frozen
class Outcome:
    """How one run went."""

    scenario: str
    strategy: str
    decisions: tuple[int, ...]
    steps: int
    failure: BaseException | None
    story: str = ""
    trace: str = ""
    """The hash of everything that happened, if it was recorded."""

    def report(self) -> str:
        """Return what failed, and how to see it again."""
        return (
            f"{self.scenario}: {self.failure!r}\n{''.join(getattr(self.failure, '__notes__', []))}"
            f"{self.story}\nagain: python -m tests.simulation {self.scenario} {self.strategy}\n"
            f"or:    python -m tests.simulation {self.scenario} --decisions"
            f" {spell(self.decisions)}"
        )


def spell(decisions: Iterable[int]) -> str:
    """Return decisions as text: who, and how many times in a row."""
    runs = [(number, len(list(group))) for number, group in groupby(decisions)]
    return ",".join(f"{number}x{length}" for number, length in runs) or "-"


def unspell(text: str) -> list[int]:
    """Return the decisions that `spell` wrote."""
    if text == "-":
        return []
    pairs = (run.split("x") for run in text.split(","))
    return [int(number) for number, length in pairs for _ in range(int(length))]


class Explorer:
    """Runs scenarios in one world.

    Args:
        world: Which must be installed.
        is_woven: Whether points are woven into the code, which makes runs longer.
    """

    def __init__(self, world: World, *, is_woven: bool = False) -> None:
        self._world = world
        self._is_woven = is_woven
        self._judge = Judge()
        self._lengths: dict[str, int] = {}
        self.runs = 0

    def run(
        self, name: str, tell: Tell, strategy: Strategy, label: str, *, records: bool = False
    ) -> Outcome:
        """Run a scenario once."""
        self.runs += 1
        if self.runs % _COLLECT_EVERY == 0:
            gc.collect(1)  # the world before the first run is frozen
        scheduler = Scheduler(strategy, records=records)
        self._world.begin(scheduler)
        scenes: list[Scene] = []

        def begin() -> None:
            scenes.append(Scene(self._world, self._judge))
            tell(scenes[0])

        failure: BaseException | None = None
        try:
            scheduler.run(begin)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failure = error
        return Outcome(
            name,
            label + (" --woven" if self._is_woven else ""),
            tuple(scheduler.decisions) if failure or records else (),
            scheduler.steps,
            failure,
            scenes[0].explain() if failure and scenes else "",
            sha256(repr(scheduler.events).encode()).hexdigest() if records else "",
        )

    def length(self, name: str, tell: Tell) -> int:
        """Return how many choices a scenario has if nobody is preempted, about."""
        if name not in self._lengths:
            outcome = self.run(name, tell, Follow(()), "", records=True)
            self._lengths[name] = len(outcome.decisions)
        return self._lengths[name]

    def seeded(self, name: str, tell: Tell, seed: int, *, records: bool = False) -> Outcome:
        """Run a scenario as a seed says: even ones walk at random, odd ones by priorities."""
        by_priorities = seed % 2
        strategy: Strategy = (
            Priorities(seed, self.length(name, tell)) if by_priorities else RandomWalk(seed)
        )
        return self.run(name, tell, strategy, f"--seed {seed}", records=records)

    def follow(self, name: str, tell: Tell, decisions: Sequence[int]) -> Outcome:
        """Run a scenario as it was run before."""
        strategy = Follow(decisions, hurries=-1 in decisions)
        return self.run(name, tell, strategy, f"--decisions {spell(decisions)}", records=True)

    def exhaust(self, name: str, tell: Tell, bound: int, *, limit: int) -> Iterator[Outcome]:
        """Run a scenario in all ways with so many preemptions; at most `limit` of them."""
        search = Search(bound)
        for _ in range(limit):
            yield self.run(name, tell, search, f"--bound {bound}")
            if not search.again():
                return


@contextmanager
def exploring(*, weaves: bool = False) -> Iterator[Explorer]:
    """Give an explorer in a world of its own; no garbage is collected in the midst of a run."""
    world = World()
    modules = WOVEN if weaves else ()
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        with installed(world), simulated_files(world), woven(world, modules):
            yield Explorer(world, is_woven=weaves)
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
