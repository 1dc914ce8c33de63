"""The threads of one `AsyncScanQueue`: who makes its calls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from scanqueue import _forks, _sync
from scanqueue.aio._listener import Listener
from scanqueue.aio._pool import Pool
from scanqueue.aio._replies import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue._core import Core
    from scanqueue._service import ScanQueueService

P = ParamSpec("P")
T = TypeVar("T")

POOL_THREADS = 4
"""How many of the short calls are at work at a time."""


class Threads:
    """The pool for short calls, the threads of long ones, and the listener for those who wait.

    Args:
        service: The queue.
        core: Its core.
    """

    def __init__(self, service: ScanQueueService, core: Core) -> None:
        self._service = service
        self._core = core
        self.after_fork()
        _forks.register(self)

    def after_fork(self) -> None:
        """Begin anew: the threads of the parent are not there, and may hold the locks."""
        self.listener = Listener(self._service, self._core)
        self._pool = Pool(*(f"scanqueue-aio-{number + 1}" for number in range(POOL_THREADS)))

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a short call made by the pool.

        Args:
            function: What to call.
            args: Its arguments.
            kwargs: Its arguments by name.
        """
        return await self._pooled(partial(function, *args, **kwargs), is_slow=False)

    async def write(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a short call made that changes the queue, and so may have to wait for others.

        Args:
            function: What to call.
            args: Its arguments.
            kwargs: Its arguments by name.
        """
        return await self._pooled(partial(function, *args, **kwargs), is_slow=True)

    async def _pooled(self, function: Callable[[], T], *, is_slow: bool) -> T:
        call = Call(self._core.scans, function)
        self._pool.submit(call.run, is_slow=is_slow)
        return await call.get()

    async def call_apart(self, name: str, function: Callable[[], T]) -> T:
        """Have a call that can take long made by a thread of its own, a daemon like the others.

        Args:
            name: What to call the thread.
            function: What to call.
        """
        call = Call(self._core.scans, function)
        self.begin(name, call.run)
        return await call.get()

    def begin(self, name: str, function: Callable[[], object]) -> None:
        """Have something done by a thread of its own that nobody waits for."""
        _sync.Thread(target=function, name=f"scanqueue-aio-{name}", daemon=True).start()
