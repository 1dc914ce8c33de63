"""Ids of tasks: UUIDs that begin with the moment (version 7, RFC 9562), made cheaply.

Those of tasks that are submitted together are neighbours in an index of a database, and come to its
end; random ones are all over it, so that each submission would write a page of its own, and read it
first where the queue is long. After the moment they are random.
"""

from __future__ import annotations

import os
from collections import deque
from struct import iter_unpack
from uuid import UUID, SafeUUID

from scanqueue import _clock, _forks

_POOL_SIZE = 4096
"""Fetching them lets other threads run, which at full speed must not happen all the time."""
_RANDOM_BITS = (1 << 62) - 1
_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_FRACTION_BITS = 12
"""What an id tells of the moment below a millisecond: method 3 of section 6.2 of the RFC."""
_FRACTION = (1 << _FRACTION_BITS) - 1
_MILLISECONDS = ((1 << 48) - 1) << _FRACTION_BITS

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
    """Random numbers of the operating system, fetched for many ids at a time.

    Thread-safety: any thread; a `deque` hands each number to one of them.
    """

    def __init__(self) -> None:
        self._numbers: deque[int] = deque()

    def new_id(self) -> UUID:
        """Return a UUID that is greater than those of earlier moments.

        A moment is 0.24 microseconds. Within one, the order is random.
        """
        try:
            number = self._numbers.pop()
        except IndexError:
            *numbers, number = (
                number for (number,) in iter_unpack("Q", os.urandom(8 * _POOL_SIZE))
            )
            self._numbers.extend(numbers)
        moment = (_clock.nanoseconds() << _FRACTION_BITS) // 1_000_000
        # Four bits for the version are between the milliseconds and the fraction.
        moment = (moment & _MILLISECONDS) << 4 | moment & _FRACTION
        return to_uuid(moment << 64 | _VERSION_AND_VARIANT | number & _RANDOM_BITS)

    def after_fork(self) -> None:  # pragma: no cover - runs in forked children only
        """Forget what is left: a child would make the ids that its parent makes."""
        self._numbers.clear()


_pool = _Pool()
_forks.register(_pool)

new_task_id = _pool.new_id
"""Return a new id; random bytes for each alone would cost as much as the rest of a submission."""
