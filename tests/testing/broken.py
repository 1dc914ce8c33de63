"""What is broken on purpose, and what finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import attrs
import pytest

from scanqueue.testing import ConformanceError

T = TypeVar("T")


@attrs.frozen
class Broken(Generic[T]):
    """Something that breaks one promise.

    Attributes:
        promise: The name of the check that must find it.
        also: Those of others that may, since what they look at is broken with it.
        what: What is broken.
    """

    promise: str
    also: frozenset[str]
    what: T


class Collection(Generic[T]):
    """Everything of one kind that is broken."""

    def __init__(self) -> None:
        self._all: list[Broken[T]] = []

    def breaks(self, promise: str, *also: str) -> Callable[[T], T]:
        """Collect what is broken, as a decorator."""

        def collect(what: T) -> T:
            self._all.append(Broken(promise, frozenset(also), what))
            return what

        return collect

    def __iter__(self) -> Iterator[Broken[T]]:
        return iter(self._all)

    def params(self) -> list[object]:
        """Return them as the parameters of a test."""
        return [
            pytest.param(broken, id=f"{broken.promise}-{getattr(broken.what, '__name__', '')}")
            for broken in self._all
        ]

    def promises(self) -> list[str]:
        """Return the promises that they break."""
        return [broken.promise for broken in self._all]


def assert_found(broken: Broken[T], check: Callable[[], object]) -> None:
    """Check that what is broken is found by its name, and by nearly no other."""
    with pytest.raises(ConformanceError) as caught:
        check()
    names = {one.name for one in caught.value.broken}
    assert broken.promise in names, str(caught.value)
    assert names - {broken.promise} <= broken.also, str(caught.value)
