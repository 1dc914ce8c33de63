"""A mapping inside a frozen value is as frozen as the value."""

from __future__ import annotations

import copy
import pickle

import pytest

from scanqueue import QueueStats, ScanQueueService, SubmitOutcome
from scanqueue._frozen import FrozenMapping
from tests.service.tools import scan_nothing


@pytest.fixture
def stats() -> QueueStats:
    """Return those of a queue that was asked for one scan."""
    queue = ScanQueueService(scan_nothing)
    queue.submit_task("music")
    return queue.stats()


def test_it_is_equal_to_the_mapping_that_it_was_made_of() -> None:
    """And shown like it, but not changed with it."""
    items = {"a": 1, "b": 2}
    frozen = FrozenMapping(items)
    assert frozen == items
    assert (repr(frozen), len(frozen), list(frozen)) == (repr(items), 2, ["a", "b"])
    items["a"] = 3
    assert frozen["a"] == 1


def test_statistics_cannot_be_changed(stats: QueueStats) -> None:
    """Not even the counts inside."""
    with pytest.raises(TypeError, match="does not support item assignment"):
        stats.submitted[SubmitOutcome.CREATED] = 99  # type: ignore[index]  # that is the point


def test_statistics_are_hashable_and_can_be_copied(stats: QueueStats) -> None:
    """As every value of the library."""
    for same in (copy.copy(stats), copy.deepcopy(stats), pickle.loads(pickle.dumps(stats))):  # noqa: S301
        assert same == stats
        assert hash(same) == hash(stats)
