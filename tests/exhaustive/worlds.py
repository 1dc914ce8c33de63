"""What a search is about: how many of everything there are."""

from __future__ import annotations

from datetime import timedelta

import attrs

from scanqueue.models import LibraryId, ScanScope, TaskPriority
from tests.bare_queue import NOON

LOW, NORMAL, HIGH = TaskPriority
PART = ScanScope(paths=["a"])
OTHER_PART = ScanScope(paths=["b"], deep=True)

LATER = NOON + timedelta(hours=1)
BETWEEN = NOON + timedelta(minutes=30)
"""The clock stands at noon or an hour later; what ended at noon, ended before this moment."""
END_OF_TIME = NOON + timedelta(days=1)
"""A moment before which everything has ended."""

MAX_INTERRUPTIONS = (1, 2)
"""The limits that are tried."""


@attrs.frozen(kw_only=True)
class World:
    """How many of everything there are, and what can happen.

    The limits of a service (`max_pending`, `max_running`, `max_interruptions`) are no part of it:
    each call comes with each limit that makes a difference, as from services with other settings.
    """

    name: str
    is_durable: bool = True
    """Whether tasks outlive a shutdown, and processes die; else pending tasks end with it."""
    libraries: tuple[LibraryId, ...] = ("films", "music")
    owners: tuple[str, ...] = ("one", "two")
    priorities: tuple[TaskPriority, ...] = (NORMAL, HIGH)
    scopes: tuple[ScanScope, ...] = (PART,)
    """What is asked for. None of them covers another, so that each can stand for each."""
    can_pause: bool = True
    can_pass_time: bool = False
    """Whether the clock is set forward, and back."""
    history: int = 0
    """How many tasks that have ended are remembered."""


TWO_LIBRARIES = World(name="two libraries", can_pause=False)
ONE_LIBRARY = World(name="one library", libraries=("films",), scopes=(PART, OTHER_PART))
WITH_HISTORY = World(
    name="with history",
    libraries=("films",),
    priorities=(NORMAL,),
    can_pause=False,
    can_pass_time=True,
    history=2,
)
IN_MEMORY = World(name="in memory", is_durable=False, owners=("one",))

SMALL = (ONE_LIBRARY, WITH_HISTORY, IN_MEMORY)
"""Those that the suite searches."""

LARGE = (
    World(name="two of everything", scopes=(PART, OTHER_PART)),
    World(name="three priorities", priorities=(LOW, NORMAL, HIGH), can_pause=False),
    TWO_LIBRARIES,
)
"""Those that take their time."""
