"""What to do in a forked child, where the platform forks at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable


def call_after_fork(method: Callable[[], None]) -> None:
    """Have a bound method called in every forked child, for as long as its object lives.

    Args:
        method: The method. It runs before anything else does in the child, on its only thread.
    """
    if not hasattr(os, "register_at_fork"):  # pragma: no cover - Windows has no fork
        return
    reference = WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    os.register_at_fork(after_in_child=call)
