"""Some of the disks that a power cut can leave; ``python -m tests.faults`` tries thousands."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tests.faults.power import SYNCS, Recording, cut, record
from tests.faults.tracing import why_not

IMAGES = 40


@pytest.fixture(scope="module", params=["full", "normal"])
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Recording:
    """Return a recorded run, where system calls can be traced."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    return record(tmp_path_factory.mktemp("recorded"), request.param)


def test_a_power_cut_damages_nothing(recording: Recording, tmp_path: Path) -> None:
    """With "full" nothing that was acknowledged is missing, either."""
    outcomes = {cut(recording, seed, tmp_path) for seed in range(IMAGES)}
    assert "opened" in outcomes


def test_the_cuts_are_cruel(recording: Recording, tmp_path: Path) -> None:
    """Without the syncs of a run, its files are damaged, or rows are lost."""
    events = [event for event in recording.events if event.call not in SYNCS]
    unsynced = attrs.evolve(recording, events=events, durability="full")
    failed = 0
    for seed in range(IMAGES):
        try:
            cut(unsynced, seed, tmp_path)
        except Exception:
            failed += 1
    assert failed > IMAGES // 2
