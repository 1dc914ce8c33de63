"""A few of the points at which a system call can fail; ``python -m tests.faults`` tries all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.injection import FAULTS, LENGTHENING, Point, chosen, count_calls, run_with
from tests.faults.tracing import why_not


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Return how many system calls of each kind there are, where they can be traced."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    return count_calls(tmp_path_factory.mktemp("counted"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_system_call_that_fails_loses_nothing(
    counts: dict[str, int], tmp_path: Path, fault: str
) -> None:
    """Nor one that is never reached: who waits hears of it, and all goes on afterwards."""
    heard = {str(point): run_with(point, tmp_path) for point in chosen(fault, counts)}
    expected = "killed" if fault == "kill" else "heard"
    assert list(heard.values()).count(expected) >= 4, heard


@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_log_that_cannot_be_made_longer_loses_nothing(tmp_path: Path, fault: str) -> None:
    """It happens in front of a commit, which may not even notice."""
    places = [Point(fault, "pwrite64", number) for number in LENGTHENING[::12]]
    heard = [run_with(point, tmp_path, lengthens=True) for point in places]
    assert ("killed" if fault == "kill" else "harmless") in heard
