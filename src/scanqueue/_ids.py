"""Ids of tasks: random UUIDs (version 4, RFC 9562), made cheaply."""

from __future__ import annotations

import os
from collections import deque
from struct import iter_unpack
from uuid import UUID, SafeUUID

from scanqueue import _forks

_POOL_SIZE = 4096
"""Fetching them lets other threads run, which at full speed must not happen all the time."""
_RANDOM_BITS = ~((0xF << 76) | (0x3 << 62))
_VERSION_AND_VARIANT = (0x4 << 76) | (0x2 << 62)

# `UUID(int=...)` first looks for the other five ways to say it; filling the fields takes half.
_new = object.__new__
_UNKNOWN = SafeUUID.unknown  # to look for a member takes Python 3.11 0.3 us
_set_int, _set_is_safe = (vars(UUID)[name].__set__ for name in ("int", "is_safe"))


def to_uuid(number: int) -> UUID:
    """Return the UUID of a number of 128 bits, unchecked."""
    found = _new(UUID)
    _set_int(found, number)
    _set_is_safe(found, _UNKNOWN)
    return found


class _Pool:
    """Random bytes of the operating system, fetched for many ids at a time.

    Thread-safety: any thread; a `deque` hands each chunk to one of them.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()

    def new_id(self) -> UUID:
        """Return a random UUID."""
        try:
            chunk = self._chunks.pop()
        except IndexError:
            random = os.urandom(16 * _POOL_SIZE)
            *chunks, chunk = (chunk for (chunk,) in iter_unpack("16s", random))
            self._chunks.extend(chunks)
        return to_uuid(int.from_bytes(chunk) & _RANDOM_BITS | _VERSION_AND_VARIANT)

    def after_fork(self) -> None:  # pragma: no cover - runs in forked children only
        """Forget what is left: a child would make the ids that its parent makes."""
        self._chunks.clear()


_pool = _Pool()
_forks.register(_pool)

new_task_id = _pool.new_id
"""Return a random id; a system call for each would cost as much as the rest of a submission."""
