"""What a thread answers to a coroutine."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from scanqueue._scans import Scans

T = TypeVar("T")


class Reply(Generic[T]):
    """An answer that a coroutine waits for: it makes this, and then awaits `get`.

    A thread gives the answer or the error, once. What was given stands here and not in the future:
    a future refuses some errors, and complains about others when nobody is left to hear of them.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] = self._loop.create_future()
        self._value: T
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    def give(self, value: T) -> None:
        """Give the answer."""
        self._value = value
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Give the error; several replies may share one."""
        self._error = error
        self._traceback = error.__traceback__
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits there any more
            self._loop.call_soon_threadsafe(self._arrive)

    def _arrive(self) -> None:
        if not self._arrival.done():
            self._arrival.set_result(None)

    async def get(self) -> T:
        """Wait for the answer and return it, or raise the error."""
        await self._arrival
        error, traceback = self._error, self._traceback
        if error is None:
            return self._value
        self._error = self._traceback = None  # no circles: a traceback knows the frames it passed
        try:
            raise error.with_traceback(traceback)
        finally:
            del error, traceback


class Call(Reply[T]):
    """A call to be made by a thread as if the caller made it.

    Args:
        scans: Which scan each thread is inside of.
        function: What to call.
    """

    def __init__(self, scans: Scans, function: Callable[[], T]) -> None:
        super().__init__()
        self._scans = scans
        self._scan = scans.current()  # the caller may be an event loop inside of one
        self._function = function
        self._context = copy_context()

    def run(self) -> None:
        """Make the call, unless nobody waits for it any more."""
        if self._arrival.cancelled():
            return
        self._scans.enter(self._scan)
        try:
            value = self._context.run(self._function)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's
            self.fail(error)
        else:
            self.give(value)
        finally:
            self._scans.enter(None)
