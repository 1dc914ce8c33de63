"""Other threads, as the checks need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from scanqueue import _sync

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MOMENT = 0.05
"""Real seconds that another thread is given to do what it must not do."""


class Aside(Generic[T]):
    """A call on a thread of its own, begun at once.

    Args:
        function: What to call.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._thread = _sync.Thread(target=self._run, name="check aside", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._values.append(self._function())
        except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
            self._error = error

    def ends_within(self, seconds: float) -> bool:
        """Wait for it, at most so long, and return whether it is over.

        Args:
            seconds: How long, in real time.
        """
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for what it returns, or raise what it raised; the check's deadline bounds it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._values[0]
