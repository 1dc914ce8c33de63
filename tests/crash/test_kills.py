"""The crash loop, in its short version; ``nox -s crash`` runs the long one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.checks import check
from tests.crash.loop import Loop

pytestmark = pytest.mark.slow

KILLS = 50


@pytest.mark.timeout(180)
def test_nothing_is_lost_doubled_or_stuck_whenever_processes_are_killed(tmp_path: Path) -> None:
    """Two or three processes submit, cancel and scan, and are killed at random moments."""
    loop = Loop(tmp_path, seed=random.randrange(1_000_000))
    loop.run(KILLS)
    checked = check(loop).checked
    assert loop.kills >= KILLS
    assert loop.landed["at work"]
    assert loop.landed["with a running scan"]
    assert checked["interruptions"]
    assert checked["completed"]
