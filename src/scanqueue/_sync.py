"""Threads and locks: the only module that imports `threading`.

Everything that the library needs of them it takes from here, at the moment of use, so that a test
can put a scheduler of its own in their place.
"""

from threading import Condition, Event, Lock, Thread, current_thread, get_ident
from threading import local as Local  # noqa: N812 - a class with a lower-case name

__all__ = ["Condition", "Event", "Local", "Lock", "Thread", "current_thread", "get_ident"]
