"""The checks of clocks find what is broken, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scanqueue import SystemClock
from scanqueue.testing import FakeClock, check_clock
from tests.testing.all_checks import all_checks
from tests.testing.broken import Broken, assert_found
from tests.testing.broken_clocks import broken_clocks, broken_fake_clocks

HASTE = 0.5
"""Seconds that a check of a broken clock may hang."""


def test_the_clock_of_the_system_keeps_all_promises() -> None:
    """It moves by itself."""
    check_clock(SystemClock)


def test_the_fake_clock_keeps_all_promises() -> None:
    """It is moved."""
    check_clock(FakeClock, advance=FakeClock.advance)


@pytest.mark.parametrize("broken", broken_clocks.params())
def test_a_broken_clock_is_found(broken: Broken[Callable[[], Any]]) -> None:
    """By the name of what it breaks, and by nearly no other."""
    assert_found(broken, lambda: check_clock(broken.what, patience=HASTE))


@pytest.mark.parametrize("broken", broken_fake_clocks.params())
def test_a_broken_fake_clock_is_found(broken: Broken[type[FakeClock]]) -> None:
    """By the name of what it breaks, and by nearly no other."""
    assert_found(
        broken, lambda: check_clock(broken.what, advance=FakeClock.advance, patience=HASTE)
    )


def test_every_promise_is_broken_once() -> None:
    """So that no check is one that cannot fail."""
    names = {*broken_clocks.promises(), *broken_fake_clocks.promises()}
    assert names == set(all_checks("clock"))


@pytest.mark.parametrize(("patience", "kind"), [("10", TypeError), (-1, ValueError)])
def test_patience_is_a_number_of_seconds(patience: float, kind: type[Exception]) -> None:
    """And not below 0."""
    with pytest.raises(kind, match="patience must be a number of seconds"):
        check_clock(SystemClock, patience=patience)
