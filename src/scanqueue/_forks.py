"""What to do in a forked child, where the platform forks at all."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that a forked child must not use as its parent left it."""

    def after_fork(self) -> None:
        """Make it usable in the child, before anything else runs there."""


_forkables: WeakSet[Forkable] = WeakSet()


def register(forkable: Forkable) -> None:
    """Have `after_fork` called in every forked child, for as long as the object lives.

    Args:
        forkable: The object.
    """
    _forkables.add(forkable)


def _call_all() -> None:  # pragma: no cover - runs in forked children only
    for forkable in list(_forkables):
        forkable.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_call_all)
