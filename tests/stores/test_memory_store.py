"""What only the store in memory does."""

from __future__ import annotations

from contextlib import ExitStack, suppress

from scanqueue import MemoryStore
from tests.stores.tools import Call, put, submit, waiting


def test_its_contexts_are_contexts_like_any_other() -> None:
    """For `with`, and for who enters and leaves them by hand."""
    store = MemoryStore()
    store.open("me", 1000)
    with ExitStack() as stack:
        put(stack.enter_context(store.write()), "music")
        reader = Call(lambda: waiting(store))
    assert reader.result() == ["music"]
    with suppress(LookupError), ExitStack() as stack:
        stack.enter_context(store.read())
        raise LookupError
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def test_it_says_what_it_is() -> None:
    """In a log, say."""
    assert repr(MemoryStore()) == "MemoryStore()"
