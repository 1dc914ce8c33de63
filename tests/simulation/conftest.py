"""Marks the tests of the simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let simulated services be left behind: their threads are no threads of the system."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("scanqueue_leaves_workers")
