"""What a case is, and how it is measured: in turns, A B C A B C, so that noise hits all alike."""

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from functools import lru_cache
from itertools import repeat
from statistics import median
from time import perf_counter
from typing import TypeAlias, TypeVar

from attrs import frozen

T = TypeVar("T")

OURS = "scanqueue"

Values: TypeAlias = Mapping[str, float]
"""What one slice measured, by the name of the metric: seconds, or bytes."""

Contenders: TypeAlias = Mapping[str, Callable[[], Values]]
"""Who is compared, by name. A call measures one slice."""

Samples: TypeAlias = Mapping[str, Sequence[Values]]
"""What each contender's slices measured, round by round."""


@frozen(kw_only=True)
class Scale:
    """How much is measured."""

    rounds: int
    """How many slices of each contender."""
    calls: int
    """Calls in a slice."""
    tasks: int
    """Tasks in a slice, from submission to end."""
    starts: int
    """Tasks in a slice whose start is timed."""
    items: int
    """Reported items in a slice."""
    reads: int
    """Reads in a slice that are timed one by one."""
    sizes: tuple[int, ...]
    """Tasks pending, for what should not depend on it."""
    memory_sizes: tuple[int, ...]
    """Tasks pending, for their memory."""
    imports: int
    """Fresh interpreters."""
    commits: int
    """Calls in a slice that each reach the disk."""
    stored: int
    """Tasks pending in a file that is opened."""


TINY = Scale(
    rounds=1,
    calls=20,
    tasks=20,
    starts=3,
    items=500,
    reads=20,
    sizes=(50, 100),
    memory_sizes=(5_000,),
    imports=1,
    commits=16,
    stored=100,
)
"""To see that it works."""

QUICK = Scale(
    rounds=5,
    calls=1_000,
    tasks=5_000,
    starts=50,
    items=50_000,
    reads=5_000,
    sizes=(1_000, 20_000),
    memory_sizes=(10_000,),
    imports=3,
    commits=400,
    stored=10_000,
)
"""To look at while one changes things."""

FULL = Scale(
    rounds=11,
    calls=4_000,
    tasks=20_000,
    starts=100,
    items=200_000,
    reads=20_000,
    sizes=(1_000, 10_000, 100_000, 1_000_000),
    memory_sizes=(100_000, 1_000_000),
    imports=11,
    commits=500,
    stored=100_000,
)
"""For the table in the documentation."""


class Unit(Enum):
    """How a value is shown."""

    TIME = "time"
    """Seconds, as a duration."""
    RATE = "rate"
    """Seconds for one, as so many a second."""
    BYTES = "bytes"


class Versus(Enum):
    """What the ratio of two values says."""

    RATE = "x the rate"
    """How many times as many a second as the other: more is better."""
    COST = "x the cost"
    """How many times as dear as the other: less is better."""


@frozen(kw_only=True)
class Comparison:
    """One line of the table."""

    title: str
    metric: str
    subject: str = OURS
    reference: str | None = None
    """Whom to compare with; None: nobody, the target is a value."""
    versus: Versus = Versus.COST
    unit: Unit = Unit.TIME
    target: float | None = None
    """What the ratio, or the value, should reach. None: it is there to be known."""
    aim: float | None = None
    """What would be better still."""


@frozen(kw_only=True)
class Case:
    """Something to measure.

    Args:
        name: What `--only` calls it.
        prepare: Opens what is measured; it is closed after the last round.
        compare: The lines of the table.
        rounds: How many slices of each contender; those of the scale if None.
    """

    name: str
    prepare: Callable[[Scale], AbstractContextManager[Contenders]]
    compare: Callable[[Scale], Iterable[Comparison]]
    rounds: Callable[[Scale], int] = lambda scale: scale.rounds
    warm_up: bool = True


@frozen(kw_only=True)
class Line:
    """One line of the table, measured."""

    comparison: Comparison
    value: float
    other: float | None
    ratios: tuple[float, ...]
    """Round by round."""

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return median(self.ratios) if self.ratios else None

    def reaches(self, goal: float) -> bool:
        """Tell whether the line is as good as a goal."""
        if self.ratio is None:
            return self.value <= goal
        if self.comparison.versus is Versus.RATE:
            return self.ratio >= goal
        return self.ratio <= goal


def run(case: Case, scale: Scale) -> list[Line]:
    """Measure a case and return its lines."""
    rounds = case.rounds(scale)
    samples: dict[str, list[Values]] = {}
    with case.prepare(scale) as contenders:
        names = list(contenders)
        if case.warm_up:
            for name in names:
                contenders[name]()
        for number in range(rounds):
            # Each round another one goes first.
            first = number % len(names)
            for name in names[first:] + names[:first]:
                gc.collect()  # so that nobody pays for what another left behind
                samples.setdefault(name, []).append(contenders[name]())
    return [_line(comparison, samples) for comparison in case.compare(scale)]


def _line(comparison: Comparison, samples: Samples) -> Line:
    metric = comparison.metric
    ours = [values[metric] for values in samples[comparison.subject]]
    if comparison.reference is None:
        return Line(comparison=comparison, value=median(ours), other=None, ratios=())
    theirs = [values[metric] for values in samples[comparison.reference]]
    pairs = zip(ours, theirs, strict=True)
    if comparison.versus is Versus.RATE:
        ratios = tuple(other / own for own, other in pairs)
    else:
        ratios = tuple(own / other for own, other in pairs)
    return Line(comparison=comparison, value=median(ours), other=median(theirs), ratios=ratios)


# --- timing -------------------------------------------------------------------------------------


def time_each(call: Callable[[T], object], arguments: Sequence[T]) -> float:
    """Return the seconds that a call with one argument takes, without those of the loop."""
    begin = perf_counter()
    for argument in arguments:
        call(argument)
    return max(0.0, perf_counter() - begin - _empty_loop(len(arguments))) / len(arguments)


def time_repeated(call: Callable[[], object], count: int) -> float:
    """Return the seconds that a call without arguments takes, without those of the loop."""
    begin = perf_counter()
    for _ in repeat(None, count):
        call()
    return max(0.0, perf_counter() - begin - _empty_loop(count)) / count


def time_iteration(iterable: Iterable[object], count: int) -> float:
    """Return the seconds for one of `count` items, without those of the loop."""
    begin = perf_counter()
    for _ in iterable:
        pass
    return max(0.0, perf_counter() - begin - _empty_loop(count)) / count


@lru_cache
def _empty_loop(count: int) -> float:
    """Return the seconds that a loop without a body takes, at its best."""
    durations = []
    for _ in range(5):
        begin = perf_counter()
        for _ in repeat(None, count):
            pass
        durations.append(perf_counter() - begin)
    return min(durations)
