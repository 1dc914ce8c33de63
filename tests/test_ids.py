"""Ids of tasks are what `uuid.uuid4` would have made."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from uuid import RFC_4122, UUID, SafeUUID, uuid4

import pytest

from scanqueue._ids import new_task_id

IDS = [new_task_id() for _ in range(10_000)]  # more than are fetched at a time


def test_each_is_another_one() -> None:
    """Also across the batches of random bytes."""
    assert len(set(IDS)) == len(IDS)


def test_each_is_a_random_uuid_by_its_version_and_variant() -> None:
    """Version 4, variant of RFC 9562 (once RFC 4122)."""
    assert {task_id.version for task_id in IDS} == {4}
    assert {task_id.variant for task_id in IDS} == {RFC_4122}
    assert {task_id.is_safe for task_id in IDS} == {SafeUUID.unknown, uuid4().is_safe}


def test_every_other_bit_is_random() -> None:
    """Each is set in some and not in others."""
    ones, zeros = 0, 0
    for task_id in IDS:
        ones |= task_id.int
        zeros |= ~task_id.int
    fixed = (0xF << 76) | (0x3 << 62)
    assert ones | fixed == (1 << 128) - 1
    assert zeros & ((1 << 128) - 1) | fixed == (1 << 128) - 1


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
