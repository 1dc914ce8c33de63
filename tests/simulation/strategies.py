"""Who goes on where several threads can: anybody, by priorities, or all ways one after another."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.simulation.scheduler import SimThread

_STAYING = (0.0, 0.5, 0.8, 0.95)
"""How likely the same thread goes on; each run of a `RandomWalk` takes one of these."""

_HURRY = 0.02
"""How likely time passes at a choice, in a run that hurries."""


class RandomWalk:
    """Anybody, each time; some runs change threads all the time, and some rarely.

    Args:
        seed: Equal seeds choose equally.
    """

    def __init__(self, seed: int) -> None:
        random = Random(f"walk {seed}")
        self._random = random.random
        self._stays = random.choice(_STAYING)
        self.hurries = random.random() < 0.25

    def choose(self, ready: list[SimThread], current: SimThread | None) -> SimThread | None:
        """Choose at random."""
        random = self._random
        if self.hurries and random() < _HURRY:
            return None
        if current is not None and random() < self._stays:
            return current
        return ready[int(random() * len(ready))]


class Priorities:
    """The ready thread of the highest priority, with a few changes of priority at random moments.

    Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with Probabilistic
    Guarantees of Finding Bugs", ASPLOS 2010. With n threads, k steps and d - 1 changes, it finds
    a bug of depth d with a probability of at least 1 / (n * k ** (d - 1)).

    Args:
        seed: Equal seeds choose equally.
        length: How many choices a run has, about.
    """

    hurries = False

    def __init__(self, seed: int, length: int) -> None:
        random = Random(f"priorities {seed}")
        self._random = random.random
        changes = random.choice((1, 2, 3))
        self._changes = {random.randrange(max(1, length)): -place for place in range(changes)}
        self._priorities: dict[int, float] = {}
        self._step = 0

    def choose(self, ready: list[SimThread], current: SimThread | None) -> SimThread:
        """Choose the thread of the highest priority, after a change that is due."""
        priorities = self._priorities
        if len(priorities) < ready[-1].number + 1:
            for number in range(len(priorities), ready[-1].number + 1):
                priorities[number] = 1.0 + self._random()
        best = max(ready, key=lambda thread: priorities[thread.number])
        change = self._changes.get(self._step)
        self._step += 1
        if change is not None:
            priorities[best.number] = change
            best = max(ready, key=lambda thread: priorities[thread.number])
        return best


class Follow:
    """What somebody chose before, and from then on the same thread for as long as it can.

    Args:
        decisions: The numbers of the threads; -1 lets time pass.
    """

    def __init__(self, decisions: Sequence[int], *, hurries: bool = False) -> None:
        self._decisions = decisions
        self._place = 0
        self.hurries = hurries

    def choose(self, ready: list[SimThread], current: SimThread | None) -> SimThread | None:
        """Choose who was chosen before."""
        place = self._place
        self._place += 1
        if place < len(self._decisions):
            number = self._decisions[place]
            if number < 0:
                return None
            found = [thread for thread in ready if thread.number == number]
            assert found, f"decision {place}: thread {number} cannot go on; it is another scenario"
            return found[0]
        return current or ready[0]


class Search:
    """All ways, one after another, with at most so many preemptions in each.

    Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded
    Programs", PLDI 2007. Where a thread cannot go on, each of the others is tried; where it
    could, a change costs one of the preemptions. Call `again` after each run.

    Args:
        bound: The most preemptions in one run.
    """

    hurries = False

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._prefix: list[int] = []
        """What was chosen; the end of it is yet to be tried."""
        self._left: list[list[int]] = []
        """At each choice, who is still to be tried."""
        self._place = 0
        self._preemptions = 0

    def choose(self, ready: list[SimThread], current: SimThread | None) -> SimThread:
        """Choose as the time before, up to the place where this run differs."""
        place = self._place
        self._place += 1
        if place < len(self._prefix):
            number = self._prefix[place]
            for thread in ready:
                if thread.number == number:
                    self._preemptions += current is not None and thread is not current
                    return thread
            raise AssertionError("the scenario is not deterministic")
        chosen = current or ready[0]
        others = [] if current is not None and self._preemptions >= self._bound else ready
        self._prefix.append(chosen.number)
        self._left.append([t.number for t in reversed(others) if t is not chosen])
        return chosen

    def again(self) -> bool:
        """Begin the next run; return whether there is one."""
        del self._prefix[self._place :], self._left[self._place :]
        self._place = self._preemptions = 0
        while self._left and not self._left[-1]:
            self._left.pop()
            self._prefix.pop()
        if not self._left:
            return False
        self._prefix[-1] = self._left[-1].pop()
        return True
