"""The checks of clocks find what is broken, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import pytest

from docs._promises import promises_of
from scanqueue import SystemClock
from scanqueue.testing import ConformanceError, FakeClock, check_clock
from tests.testing.broken import Broken, assert_found
from tests.testing.broken_clocks import broken_clocks, broken_fake_clocks

HASTE = 1.0
"""Seconds that a check of a broken clock may hang."""


def move(clock: FakeClock, seconds: float) -> None:
    """Move a clock, as its class does."""
    clock.advance(seconds)


class KnowsSeconds(SystemClock):
    """Tells the moment to the second, and is asked some times in each."""

    def __init__(self) -> None:
        self._asked = 0

    def now(self) -> datetime:
        """Return the moment."""
        self._asked += 1
        return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=self._asked // 3)


def test_a_coarse_clock_keeps_all_promises() -> None:
    """The moment is for the record only."""
    check_clock(KnowsSeconds)


def test_the_clock_of_the_system_keeps_all_promises() -> None:
    """It moves by itself."""
    check_clock(SystemClock)


def test_the_fake_clock_keeps_all_promises() -> None:
    """It is moved."""
    check_clock(FakeClock, advance=FakeClock.advance)


@pytest.fixture(scope="module")
def verdicts() -> Iterator[dict[int, Future[None]]]:
    """Check all that are broken at the same time, since a clock that is broken hangs a lot."""
    with ThreadPoolExecutor(8) as pool:
        yield {
            id(broken): pool.submit(check_clock, broken.what, advance=advance, patience=HASTE)
            for clocks, advance in ((broken_clocks, None), (broken_fake_clocks, move))
            for broken in clocks
        }


@pytest.mark.parametrize("broken", [*broken_clocks.params(), *broken_fake_clocks.params()])
def test_a_broken_clock_is_found(
    broken: Broken[Callable[[], Any]], verdicts: dict[int, Future[None]]
) -> None:
    """By the name of what it breaks, and by nearly no other."""
    assert_found(broken, verdicts[id(broken)].result)


def test_every_promise_is_broken_once() -> None:
    """So that no check is one that cannot fail."""
    names = {*broken_clocks.promises(), *broken_fake_clocks.promises()}
    assert names == set(promises_of("clock"))


def test_a_clock_that_stands_still_is_told_of_advance() -> None:
    """Who forgets to say how it is moved should not have to guess."""
    with pytest.raises(
        ConformanceError, match="if it does not move by itself, pass `advance`"
    ) as e:
        check_clock(FakeClock, patience=0.5)
    assert e.value.subject == "FakeClock"


def test_a_factory_that_fails_is_the_first_promise_that_is_broken() -> None:
    """And nothing else is asked."""

    def fail() -> SystemClock:
        raise LookupError("no clock")

    with pytest.raises(ConformanceError, match="it raised LookupError: no clock") as caught:
        check_clock(fail)
    assert caught.value.subject == "the clock"
    assert [one.name for one in caught.value.broken] == ["has-the-methods"]


@pytest.mark.parametrize("patience", [inf, 1e12])
def test_patience_may_be_endless(patience: float) -> None:
    """Systems that cannot wait for so long are not asked to."""
    check_clock(SystemClock, patience=patience)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"make_clock": SystemClock()}, TypeError, "make_clock must be a function"),
        ({"make_clock": FakeClock, "advance": 5}, TypeError, "advance must be a function"),
        ({"make_clock": SystemClock, "patience": "10"}, TypeError, "patience must be a number"),
        ({"make_clock": SystemClock, "patience": -1}, ValueError, "patience must be a number"),
        ({"make_clock": SystemClock, "patience": 0}, ValueError, "seconds above 0"),
    ],
)
def test_arguments_are_checked(
    arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """A mistake in the call is no promise that the clock breaks."""
    with pytest.raises(kind, match=message):
        check_clock(**arguments)
