"""What to do in a forked child, where the platform forks at all."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from scanqueue import _sync

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Forkable(Protocol):
    """Something that a forked child must not use as its parent left it."""

    def after_fork(self) -> None:
        """Make it usable in the child, before anything else runs there."""


_forkables: WeakSet[Forkable] = WeakSet()
_forking = _sync.Lock()
"""Held from before a fork until after it, since two threads may fork at the same time, and while
something is registered: what is made while a fork waits for others would not be held."""
_forker: list[int] = []
"""The thread that forks. What hooks of the host make on it is registered without the lock."""


def register(forkable: Forkable) -> None:
    """Have `after_fork` called in every forked child, for as long as the object lives.

    Args:
        forkable: The object.
    """
    with _not_beside_a_fork():
        _forkables.add(forkable)


def registered() -> list[Forkable]:
    """Return what has registered and is alive: services among others."""
    return list(_forkables)


class ForkHooks(Forkable, Protocol):
    """Something that must not be in use while its process forks."""

    def before_fork(self) -> None:
        """Let go of what must not be shared, and keep others from taking it up."""

    def after_fork_in_parent(self) -> None:
        """Let others take it up again; follows every `before_fork`."""


_hooks: WeakSet[ForkHooks] = WeakSet()
_called: list[ForkHooks] = []


def register_hooks(hooks: ForkHooks) -> None:
    """Have its methods called at every fork, for as long as the object lives.

    Args:
        hooks: The object.
    """
    with _not_beside_a_fork():
        _hooks.add(hooks)
        _forkables.add(hooks)


def _not_beside_a_fork() -> AbstractContextManager[object]:
    return nullcontext() if _forker == [_sync.get_ident()] else _forking


def _hold_all() -> None:
    _forking.acquire()
    _forker.append(_sync.get_ident())
    for hooks in list(_hooks):
        _called.append(hooks)
        hooks.before_fork()


def _let_all_go() -> None:
    while _called:
        _called.pop().after_fork_in_parent()
    _forker.clear()
    _forking.release()


def _call_all() -> None:  # pragma: no cover - runs in forked children only
    _called.clear()
    _forker.clear()
    _forking.release()
    for forkable in list(_forkables):
        forkable.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_hold_all, after_in_parent=_let_all_go, after_in_child=_call_all)
