"""Where tasks live: the stores that come with the library."""

from typing import TYPE_CHECKING

from scanqueue.stores.memory import MemoryStore

if TYPE_CHECKING:
    from scanqueue.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore"]


def __getattr__(name: str) -> object:
    """Import `SQLiteStore` when it is asked for: whoever does not use it need not load SQLite."""
    if name == "SQLiteStore":
        from scanqueue.stores.sqlite import SQLiteStore  # noqa: PLC0415 - see above

        globals()[name] = SQLiteStore
        return SQLiteStore
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
