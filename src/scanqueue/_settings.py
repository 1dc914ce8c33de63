"""What a service is made with."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import ref

import attrs

from scanqueue._validate import wrong_type

if TYPE_CHECKING:
    from scanqueue.protocols import TaskStore


@attrs.frozen(kw_only=True)
class Settings:
    """The numbers that a service was made with."""

    max_running: int | None
    retention: timedelta
    max_pending: int | None
    max_interruptions: int


_taken_stores: dict[int, ref[TaskStore]] = {}
"""The store objects that have, or had, a service, by their `id`, for as long as they live."""


def take_store(store: TaskStore) -> None:
    """Mark a store as the one of a service, for good.

    Raises:
        TypeError: It cannot be referenced weakly.
        ValueError: A service has it already.
    """
    key = id(store)
    try:
        mark = ref(store, lambda _: _taken_stores.pop(key, None))
    except TypeError:
        wrong_type("store", store, "weakly referenceable (in __slots__, add '__weakref__')")
    if _taken_stores.setdefault(key, mark) is not mark:
        message = "store must be one that no other service was made with: make one for each"
        raise ValueError(message)
