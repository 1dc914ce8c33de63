"""Ids of tasks are UUIDs of version 7, as RFC 9562 has them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from uuid import RFC_4122, UUID, SafeUUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanqueue import _clock
from scanqueue._ids import new_task_id

IDS = [new_task_id() for _ in range(10_000)]  # more than are fetched at a time


def test_each_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the batches of random bytes, and when time stands still."""
    assert len(set(IDS)) == len(IDS)
    monkeypatch.setattr(_clock, "nanoseconds", lambda: 0)
    assert len({new_task_id() for _ in IDS}) == len(IDS)


def test_each_has_the_version_and_the_variant() -> None:
    """Version 7, variant of RFC 9562 (once RFC 4122)."""
    assert {task_id.version for task_id in IDS} == {7}
    assert {task_id.variant for task_id in IDS} == {RFC_4122}
    assert {task_id.is_safe for task_id in IDS} == {SafeUUID.unknown, uuid4().is_safe}


@given(st.integers(0, 2**48 * 1_000_000 - 1), st.integers(0, 2**48 * 1_000_000 - 1))
def test_later_ones_are_greater(first: int, second: int) -> None:
    """By the moment, to the 4096th of a millisecond; its first 48 bits are milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        moments = []
        for moment in (first, second):
            patch.setattr(_clock, "nanoseconds", lambda moment=moment: moment)
            moments.append(new_task_id())
            assert moments[-1].int >> 80 == moment // 1_000_000
            assert (moments[-1].int >> 64) & 0xFFF == moment % 1_000_000 * 4096 // 1_000_000
    one, other = (moment * 4096 // 1_000_000 for moment in (first, second))
    assert one == other or (moments[0] < moments[1]) == (one < other)


@pytest.mark.parametrize("moment", [-1, -(10**18), 2**48 * 1_000_000, 2**63])
def test_a_clock_that_is_far_off_makes_ids_all_the_same(
    monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Before 1970, or after the year 10888: their order is lost, and nothing else."""
    monkeypatch.setattr(_clock, "nanoseconds", lambda: moment)
    task_id = new_task_id()
    assert UUID(str(task_id)) == task_id
    assert UUID(bytes=task_id.bytes) == task_id
    assert task_id.version == 7


def test_every_bit_after_the_moment_is_random() -> None:
    """Each is set in some and not in others."""
    ones, zeros = 0, 0
    for task_id in IDS:
        ones |= task_id.int
        zeros |= ~task_id.int
    random = (1 << 62) - 1
    assert ones & random == random
    assert zeros & random == random


def pickled(task_id: UUID) -> object:
    """Return what comes out of a pickle of it."""
    return pickle.loads(pickle.dumps(task_id))  # noqa: S301 - it is our own


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_one_is_like_any_other_uuid(copied: Callable[[UUID], object]) -> None:
    """Equal to one made from its text, with the same hash, before and after a copy."""
    task_id = IDS[0]
    same = UUID(str(task_id))
    assert type(task_id) is UUID
    assert task_id == same
    assert hash(task_id) == hash(same)
    assert copied(task_id) == same
