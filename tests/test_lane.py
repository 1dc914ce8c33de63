"""The lane of one priority: against a sorted list, whatever comes and goes."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from scanqueue.models import TaskPriority
from scanqueue.records import TaskRecord
from scanqueue.stores._lane import Lane
from tests.bare_queue import NOON, a_record

RANKS = st.integers(0, 30)


def ranked(rank: int) -> TaskRecord:
    """Return a pending task of a rank."""
    return a_record(rank, f"library {rank}", TaskPriority.LOW, NOON, rank)


@example([("put", 0), ("put", 1), ("remove", 1), ("put", 1)])  # the last one comes back
@given(st.lists(st.tuples(st.sampled_from(["put", "remove"]), RANKS), max_size=200))
def test_it_keeps_what_was_put_in_order_of_rank(steps: list[tuple[str, int]]) -> None:
    """New ones, old ones that come back, and such that take the place of one of their rank."""
    lane = Lane()
    expected: dict[int, TaskRecord] = {}
    for step, rank in steps:
        if step == "put":
            expected[rank] = ranked(rank)
            lane.put(expected[rank])
        elif rank in expected:
            lane.remove(rank)
            del expected[rank]
        in_order = [expected[rank] for rank in sorted(expected)]
        assert lane.first(None) == in_order
        assert lane.first(3) == in_order[:3]
        taken = {"library 3", "library 4"}
        assert lane.first(2, taken) == [t for t in in_order if t.library_id not in taken][:2]
        assert bool(lane) == bool(expected)


def test_it_forgets_the_ranks_of_tasks_that_went_from_the_middle() -> None:
    """They would be passed over each time that somebody looks."""
    lane = Lane()
    for rank in range(10_000):
        lane.put(ranked(rank))
    for gone, rank in enumerate(range(1, 9_999), 1):
        lane.remove(rank)
        assert len(lane._ranks) <= 2 * (10_000 - gone) + 64

    assert [task.rank for task in lane.first(None)] == [0, 9_999]
    assert len(lane._ranks) < 100


def test_it_passes_over_what_is_gone_once() -> None:
    """Whoever asks for a few tasks does not pay again and again for those cancelled in between."""
    lane = Lane()
    for rank in range(10_000):
        lane.put(ranked(rank))
    for rank in range(1, 4_000):
        lane.remove(rank)
    assert len(lane._ranks) == 10_000

    assert [task.rank for task in lane.first(2)] == [0, 4_000]
    assert len(lane._ranks) == 6_001


def test_it_passes_over_what_is_gone_to_the_very_end() -> None:
    """Whoever asks for all tasks gets those that are left, though many are gone in between."""
    lane = Lane()
    for rank in range(400):
        lane.put(ranked(rank))
    for rank in range(1, 150):
        lane.remove(rank)
    assert len(lane._ranks) == 400

    for _ in range(2):
        assert [task.rank for task in lane.first(None)] == [0, *range(150, 400)]
        assert len(lane._ranks) == 251
