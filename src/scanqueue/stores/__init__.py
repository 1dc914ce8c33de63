"""Where tasks live: the stores that come with the library."""

from scanqueue.stores.memory import MemoryStore

__all__ = ["MemoryStore"]
