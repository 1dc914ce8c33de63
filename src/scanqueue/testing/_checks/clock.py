"""The checks of a clock, all in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf, isfinite
from typing import Any, Final, TypeVar

from scanqueue import _sync
from scanqueue._clock import SystemClock
from scanqueue.protocols import Clock
from scanqueue.testing._checks.arguments import check_function, check_patience
from scanqueue.testing._checks.clock_bench import HOUR, ClockBench, Waiting, wait_handing
from scanqueue.testing._checks.running import Checks, expect, run_checks
from scanqueue.testing._checks.threads import MOMENT, Aside
from scanqueue.testing._clock import PATIENCE

__all__ = ["check_clock"]

C = TypeVar("C", bound=Clock)

_THREADS: Final = 4
_READS: Final = 500
_TICK: Final = 1.5
"""Seconds of the system, in which every clock moves."""
_EXACT: Final = 0.001
"""Seconds that do not matter."""
_MANY: Final = 100
"""How often a wait may return early in a moment, at most."""


Bench = ClockBench[Any]

prerequisites: Final[Checks[Bench]] = Checks()
checks: Final[Checks[Bench]] = Checks()
unmoved: Final[Checks[Bench]] = Checks()
"""Of clocks that move by themselves."""
moved: Final[Checks[Bench]] = Checks()
"""Of clocks that are moved by hand."""


@prerequisites.add
def has_the_methods(bench: Bench) -> None:
    """The clock has the methods of a `Clock`."""
    for name in ("now", "monotonic", "wait_until"):
        expect(callable(getattr(bench.clock, name, None)), f"it has no method `{name}`")


@checks.add
def tells_utc(bench: Bench) -> None:
    """`now` is an aware datetime, in UTC."""
    now = bench.clock.now()
    expect(isinstance(now, datetime), f"`now` is {now!r}")
    expect(now.utcoffset() == timedelta(0), f"the offset of `now` is {now.utcoffset()}")


@checks.add
def tells_seconds(bench: Bench) -> None:
    """`monotonic` is a finite number."""
    seconds = bench.clock.monotonic()
    is_number = isinstance(seconds, int | float) and isfinite(seconds)
    expect(is_number, f"`monotonic` is {seconds!r}")


@checks.add
def never_goes_back(bench: Bench) -> None:
    """`monotonic` never goes back, from whichever threads it is read."""
    lock = _sync.Lock()
    seen = [bench.clock.monotonic()]

    def read() -> None:
        for _ in range(_READS):
            with lock:
                seen.append(bench.clock.monotonic())

    threads = [Aside(read) for _ in range(_THREADS)]
    bench.let_pass()
    for thread in threads:
        thread.result()
    back = [(one, two) for one, two in pairwise(seen) if two < one]
    expect(not back, f"it went from {back and back[0][0]} to {back and back[0][1]}")


@checks.add
def returns_by_the_deadline(bench: Bench) -> None:
    """A wait for a deadline returns when it has come, and `monotonic` has come there, too."""
    waiting = Waiting(bench.clock, bench.clock.monotonic() + bench.shortly)
    bench.let_pass()
    waiting.end()
    expect(waiting.returns <= _MANY, f"it returned {waiting.returns} times before it had come")


@checks.add
def past_deadline_returns(bench: Bench) -> None:
    """A wait for a deadline that has come returns at once."""
    condition = _sync.Condition()
    for before in (0.0, 1.0, HOUR):
        with condition:
            bench.clock.wait_until(condition, bench.clock.monotonic() - before)


@checks.add
def releases_the_condition(bench: Bench) -> None:
    """While it waits, others can have the condition."""
    waiting = Waiting(bench.clock, bench.clock.monotonic() + HOUR)
    with waiting.condition:
        pass
    waiting.let_go()
    waiting.end()


@checks.add
def none_waits_for_a_notification(bench: Bench) -> None:
    """A wait without a deadline returns when it is notified."""
    waiting = Waiting(bench.clock, None)
    waiting.let_go()
    waiting.end()


@checks.add
def notifications_end_a_wait(bench: Bench) -> None:
    """A wait for a deadline returns when it is notified before."""
    waiting = Waiting(bench.clock, bench.clock.monotonic() + HOUR)
    waiting.let_go()
    waiting.end()


@checks.add
def takes_far_deadlines(bench: Bench) -> None:
    """A deadline may be as far away as floats go, and infinity is one."""
    for deadline in (1e12, 1e300, inf):
        waiting = Waiting(bench.clock, deadline)
        waiting.let_go()
        waiting.end()


@checks.add
def holds_the_condition_on_return(bench: Bench) -> None:
    """When it returns, whyever, the caller holds the condition again."""
    lock = _sync.Lock()
    condition = _sync.Condition(lock)
    with condition:
        bench.clock.wait_until(condition, bench.clock.monotonic() - 1)
        expect(lock.locked(), "a wait for a past deadline has let it go")

    def wait(deadline: float | None, why: str) -> None:
        with condition:
            held.set()
            bench.clock.wait_until(condition, deadline)
            expect(lock.locked(), f"a wait that {why} returned without it")
            condition.notify_all()  # raises if another thread has it

    held = _sync.Event()
    thread = Aside(lambda: wait(bench.clock.monotonic() + bench.shortly, "came to its deadline"))
    held.wait()
    bench.let_pass()
    thread.result()
    held.clear()
    thread = Aside(lambda: wait(None, "was notified"))
    held.wait()
    with condition:
        condition.notify_all()
    thread.result()


@checks.add
def many_threads_wait(bench: Bench) -> None:
    """Many threads can wait, on one condition or two, each for a deadline of its own."""
    conditions = [_sync.Condition(), _sync.Condition()]
    deadline = bench.clock.monotonic() + bench.shortly
    threads = [
        Waiting(bench.clock, until, condition)
        for condition in conditions * (_THREADS // 2)
        for until in (deadline, None)
    ]
    bench.let_pass()
    for thread in threads[::2]:
        thread.end()
    for thread in threads[1::2]:
        thread.let_go()
        thread.end()


@checks.add
def does_not_spin(bench: Bench) -> None:
    """A wait for nothing may return early, but not all the time."""
    real = SystemClock()
    for deadline in (None, bench.clock.monotonic() + HOUR):
        began = real.monotonic()
        waiting = Waiting(bench.clock, deadline)
        _sync.Event().wait(MOMENT)
        waiting.let_go()
        waiting.end()
        seconds = real.monotonic() - began
        is_rare = waiting.returns <= _MANY * (1 + seconds / MOMENT)
        expect(is_rare, f"in {seconds:.2g} s it returned {waiting.returns} times")


@checks.add
def loses_no_notification(bench: Bench) -> None:
    """A notification that comes as soon as the condition is let go ends the wait."""

    def notify(condition: _sync.Condition) -> None:
        with condition:
            condition.notify_all()

    for deadline in (None, bench.clock.monotonic() + HOUR):
        wait_handing(bench.clock, deadline, notify)


@unmoved.add
def keeps_time(bench: Bench) -> None:
    """A clock moves by itself: `monotonic` by a second for each second, and `now` at all."""
    clock, real, pause = bench.clock, SystemClock(), _sync.Event()
    began, before, begun = real.monotonic(), clock.monotonic(), real.monotonic()
    then = clock.now()
    pause.wait(2 * MOMENT)
    ends, after, ended = real.monotonic(), clock.monotonic(), real.monotonic()
    passed = after - before
    is_right = (ends - begun - MOMENT) / 2 <= passed <= 2 * (ended - began) + MOMENT
    expect(is_right, f"in {ended - began:.2g} s `monotonic` moved by {float(passed):.2g}")
    while clock.now() == then:  # it may know whole seconds only
        expect(real.monotonic() - began < _TICK, f"in {_TICK} s `now` did not move")
        pause.wait(MOMENT)


@moved.add
def moves(bench: Bench) -> None:
    """A clock that is moved by so many seconds, or a part of one, is just so much further."""
    clock, real = bench.clock, SystemClock()
    for seconds in (bench.shortly, 0.25):
        began = real.monotonic()
        before, then = clock.monotonic(), clock.now()
        bench.let_pass(seconds)
        passed = clock.monotonic() - before, (clock.now() - then).total_seconds()
        most = seconds + real.monotonic() - began  # it may move by itself, too
        is_right = seconds - _EXACT <= min(passed) and max(passed) <= most + _EXACT
        expect(is_right, f"moved by {seconds} s, `monotonic` and `now` moved by {passed}")


@moved.add
def loses_no_deadline(bench: Bench) -> None:
    """A clock that is moved past a deadline between a look and a wait does not wait for it."""
    clock = bench.clock
    deadline = clock.monotonic() + bench.shortly
    bench.let_pass()
    condition = _sync.Condition()
    with condition:
        clock.wait_until(condition, deadline)
    wait_handing(clock, clock.monotonic() + bench.shortly, lambda _: bench.let_pass())


def check_clock(
    make_clock: Callable[[], C],
    *,
    advance: Callable[[C, float], object] | None = None,
    patience: float = PATIENCE,
) -> None:
    """Check that a clock keeps every promise of `Clock`.

    >>> from scanqueue import SystemClock
    >>> from scanqueue.testing import FakeClock
    >>> check_clock(SystemClock)
    >>> check_clock(FakeClock, advance=FakeClock.advance)

    Each promise is checked on a clock of its own, on a thread of its own. A wait may return early
    as often as it likes, within reason; it must return when its deadline has come, or when it is
    notified.

    Args:
        make_clock: Makes the clock, each time it is called.
        advance: Moves a clock that it is given by so many seconds; None: the clock moves by
            itself, as real time does.
        patience: Real seconds that one check may take; a day at most.

    Raises:
        ConformanceError: It breaks some promises; all of them are named.
        TypeError: `make_clock` or `advance` is not a function, or `patience` is not a number.
        ValueError: `patience` is 0, negative or NaN.
    """
    check_function("make_clock", make_clock, "a function that makes a clock")
    if advance is not None:
        check_function("advance", advance, "a function that moves a clock, or None")
    patience = check_patience(patience)

    names: list[str] = []
    hint = "; if it does not move by itself, pass `advance`" if advance is None else ""

    def make_bench() -> ClockBench[C]:
        bench = ClockBench(make_clock, advance)
        names.append(type(bench.clock).__name__)
        return bench

    def both() -> Iterator[Any]:
        if advance is None:
            yield from unmoved  # first: one that stands still hangs in the others
        yield from checks
        if advance is not None:
            yield from moved

    run_checks("the clock", prerequisites, make_bench, patience)
    run_checks(names[0], both(), make_bench, patience, hint)
