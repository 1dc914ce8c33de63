"""Threads that run one at a time, in an order that a strategy chooses, under virtual time.

A simulated thread is a greenlet. It runs until it comes to a *point*: an operation on a lock, a
condition or a clock, or, in woven modules, a statement. There the strategy says who goes on. What
lies between two points of a thread is one step, and nothing comes in between. When all threads
wait, time jumps to the next deadline; when there is none either, they are deadlocked.
"""

from __future__ import annotations

import sys
import traceback
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

STEP_LIMIT = 20_000
"""Points of one run; a run that has not ended by then is taken for a livelock."""

LONGEST_HURRY = 10.0
"""Virtual seconds that may pass while threads can go on: a machine may be slow, but not by days."""

_KILLS = 20
"""How often a thread that is left over may catch what ends it."""

_number = attrgetter("number")


class SimulationError(Exception):
    """What went wrong in a run, as the scheduler sees it."""


class DeadlockError(SimulationError):
    """Every thread waits, and none for a deadline."""


class LivelockError(SimulationError):
    """The threads are busy and come to no end."""


class SimThread:
    """One thread of a simulation.

    Args:
        number: Its place in the order of creation; 0 is the one that tells the scenario.
        name: What it is called in reports.
        run: What it does.
    """

    def __init__(self, number: int, name: str, run: Callable[[], object]) -> None:
        self.number = number
        self.name = name
        self.run = run
        self.greenlet: greenlet | None = None
        self.deadline: float | None = None
        """When it stops waiting, if it waits for that."""
        self.waits_for = ""
        """What it waits for; empty while it can go on."""
        self.timed_out = False
        """Whether its last wait ended by its deadline."""
        self.is_over = False
        self.joiners: list[SimThread] = []
        self.process = 0
        """In which process it is: that of the thread that started it, unless told otherwise."""
        self.known_as: object = self
        """What the library has for it."""

    def __repr__(self) -> str:
        return f"{self.number} {self.name}"

    def stack(self) -> str:
        """Return where it stands, in the code of the library and of the scenario."""
        is_current = self.greenlet is getcurrent()
        frame = sys._getframe() if is_current else getattr(self.greenlet, "gr_frame", None)
        if not isinstance(frame, FrameType):
            return ""
        summary = traceback.extract_stack(frame)
        shown = [entry for entry in summary if _is_of_interest(entry.filename)]
        return "".join(
            f"    {Path(entry.filename).name}:{entry.lineno} in {entry.name}\n" for entry in shown
        )


def _is_of_interest(filename: str) -> bool:
    return Path(filename).name not in {"scheduler.py", "primitives.py", "contextlib.py"}


class Strategy(Protocol):
    """Who goes on."""

    @property
    def hurries(self) -> bool:
        """Whether it lets time pass while threads can go on, as on a machine that is too slow."""

    def choose(self, ready: list[SimThread], current: SimThread | None) -> SimThread | None:
        """Choose who goes on; None lets time pass to the next deadline, if the strategy hurries.

        Args:
            ready: Who can go on, in order of creation; at least two if the strategy does not hurry.
            current: Who did the last step, and could go on; None: the last one waits or is over.
        """


class Scheduler:
    """Runs one scenario once.

    Args:
        strategy: Who goes on, where there is a choice.
        step_limit: After how many points the run is a livelock.
        records: Whether to keep every event, for a report or a comparison.
    """

    def __init__(
        self, strategy: Strategy, *, step_limit: int = STEP_LIMIT, records: bool = False
    ) -> None:
        self._choose = strategy.choose
        self._hurries = strategy.hurries
        self._step_limit = step_limit
        self._root: greenlet = getcurrent()
        self.events: list[tuple[int, str, int]] | None = [] if records else None
        """Thread, point and the number of the lock or line, in order, if they are kept."""
        self.decisions: list[int] = []
        """The number of who was chosen, where there was a choice; -1: time passed."""
        self.threads: list[SimThread] = []
        self.ready: list[SimThread] = []
        self.sleepers: list[SimThread] = []
        self.current: SimThread | None = None
        self.time = 0.0
        """Virtual seconds since the beginning."""
        self.steps = 0
        self.failure: BaseException | None = None
        self.is_calm = False
        """Whether nobody is preempted, and nothing is chosen."""
        self.has_hurried = False
        """Whether time passed while threads could go on: what waits for it may be late."""
        self.is_over = False
        self._is_killing = False
        self._things = 0

    # --- for scenarios ---

    def spawn(self, run: Callable[[], object], name: str) -> SimThread:
        """Make a thread that can run from now on."""
        thread = SimThread(len(self.threads), name, run)
        thread.greenlet = greenlet(lambda: self._body(thread), self._root)
        thread.process = self.current.process if self.current is not None else 0
        self.threads.append(thread)
        self.ready.append(thread)
        return thread

    def join(self, thread: SimThread, timeout: float | None = None) -> None:
        """Wait until a thread is over."""
        self.point("join", thread.number)
        if not thread.is_over:
            current = self.running()
            thread.joiners.append(current)
            self.block(f"the end of {thread}", timeout)

    def sleep(self, seconds: float) -> None:
        """Let time pass; all who can go on do so before."""
        self.block("time to pass", seconds)

    def process_of(self, number: int) -> int:
        """Return the process of a thread."""
        return self.threads[number].process

    def kill(self, process: int) -> None:
        """Have the threads of a process, which must be another one, do nothing any more."""
        for thread in self.threads:
            if thread.process == process and not thread.is_over:
                self.wake(thread)
                self.ready.remove(thread)
                thread.is_over = True
                for joiner in thread.joiners:
                    self.wake(joiner)

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Have nobody preempted inside, so that nothing is spent on what is not in question."""
        before, self.is_calm = self.is_calm, True
        try:
            yield
        finally:
            self.is_calm = before

    def run(self, scenario: Callable[[], object]) -> None:
        """Run a scenario and all threads that it starts to their end.

        Raises:
            BaseException: What a thread of it raised first, or a `SimulationError`.
        """
        self.spawn(scenario, "scenario")
        try:
            while self.failure is None and (thread := self._next()) is not None:
                self.current = thread
                assert thread.greenlet is not None
                thread.greenlet.switch()
        except DeadlockError as error:
            error.add_note(self.state())
            self.failure = error
        finally:
            self.is_over = True
            self._kill_all()
        if self.failure is not None:
            raise self.failure

    def state(self) -> str:
        """Return who waits for what, and where."""
        return "".join(
            f"  {thread}: {thread.waits_for or 'can go on'}\n{thread.stack()}"
            for thread in self.threads
            if not thread.is_over
        )

    # --- for the primitives ---

    def running(self) -> SimThread:
        """Return the thread that calls."""
        assert self.current is not None
        return self.current

    def number(self) -> int:
        """Return the number of a new lock or event."""
        self._things += 1
        return self._things

    def point(self, kind: str, thing: int = 0) -> None:
        """Let another thread go on, if the strategy says so.

        Args:
            kind: What the thread is about to do, or has just done.
            thing: With which lock or event, or on which line.
        """
        if self.is_over:
            self._leave()
            return
        self.steps += 1
        if self.events is not None:
            self.events.append((self.running().number, kind, thing))
        if self.steps > self._step_limit:
            self.fail(LivelockError(f"no end after {self.steps} points"))
        if self.is_calm or (len(self.ready) < 2 and not (self._hurries and self.sleepers)):
            return
        current = self.running()
        chosen = self._decide(current)
        if chosen is not current:
            self._switch_to(chosen)

    def block(self, waits_for: str, timeout: float | None = None) -> bool:
        """Wait until `wake`, at most so long; return whether it came."""
        if self.is_over:
            self._leave()
            return True
        current = self.running()
        current.waits_for = waits_for
        current.timed_out = False
        self.ready.remove(current)
        if timeout is not None:
            current.deadline = self.time + max(0.0, timeout)
            self.sleepers.append(current)
        try:
            chosen = self._next()
        except SimulationError as error:
            self.fail(error)
        if chosen is None:
            self.fail(DeadlockError("all threads wait, and none for a deadline"))
        if chosen is not current:
            self._switch_to(chosen)
        return not current.timed_out

    def wake(self, thread: SimThread) -> None:
        """End the wait of a thread."""
        if thread.waits_for:
            thread.waits_for = ""
            if thread.deadline is not None:
                thread.deadline = None
                self.sleepers.remove(thread)
            insort(self.ready, thread, key=_number)

    # --- inside ---

    def _decide(self, current: SimThread | None) -> SimThread:
        while True:
            chosen = self._choose(self.ready, current)
            if chosen is not None:
                self.decisions.append(chosen.number)
                return chosen
            self.decisions.append(-1)
            if self.sleepers and self._next_deadline() <= self.time + LONGEST_HURRY:
                self.has_hurried = True
                self._pass_time()

    def _next(self) -> SimThread | None:
        """Return who goes on when the current thread cannot; None: nobody is left."""
        while not self.ready:
            if not self.sleepers:
                if all(thread.is_over for thread in self.threads):
                    return None
                raise DeadlockError("all threads wait, and none for a deadline")
            self._pass_time()
        if self.is_calm or (len(self.ready) == 1 and not (self._hurries and self.sleepers)):
            return self.ready[0]
        return self._decide(None)

    def _next_deadline(self) -> float:
        return min(thread.deadline for thread in self.sleepers if thread.deadline is not None)

    def _pass_time(self) -> None:
        self.time = self._next_deadline()
        for thread in [t for t in self.sleepers if t.deadline == self.time]:
            thread.timed_out = True
            self.wake(thread)

    def _switch_to(self, thread: SimThread) -> None:
        self.current = thread
        assert thread.greenlet is not None
        thread.greenlet.switch()

    def _body(self, thread: SimThread) -> None:
        try:
            thread.run()
        except GreenletExit:
            pass
        except BaseException as error:  # the run ends with it, whatever it is
            if self.failure is None and not self.is_over:
                self.failure = error
        thread.is_over = True
        if not self.is_over:
            self.ready.remove(thread)
            for joiner in thread.joiners:
                self.wake(joiner)

    def fail(self, error: BaseException) -> NoReturn:
        """End the run, from whatever thread, with an error that its code cannot catch."""
        error.add_note(self.state())
        self.failure = self.failure or error
        self._root.switch()
        raise GreenletExit

    def _leave(self) -> None:
        """End a thread that is left over; who comes after the run is the garbage collector."""
        if self._is_killing:
            raise GreenletExit

    def _kill_all(self) -> None:
        self._is_killing = True
        for thread in self.threads:
            for _ in range(_KILLS):
                if thread.greenlet is None or thread.greenlet.dead:
                    break
                self.current = thread
                thread.greenlet.throw(GreenletExit)
            thread.greenlet = None
        self._is_killing = False
