"""From the start of the server to its stop."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Protocol

from scanqueue import LibraryId, ScanQueueService, StoreError
from scanqueue.aio import AsyncScanQueue

logger = logging.getLogger(__name__)

RETRY_AFTER = 2.0
"""Seconds after which a start that failed is tried again."""


class Triggers(Protocol):
    """What submits scans by itself, such as a schedule; called on a thread, `stop` maybe again."""

    def start(self) -> None:
        """Start; the queue is started."""

    def stop(self) -> None:
        """End; the queue is not shut down yet."""


class ScanQueue:
    """The queue of an application, in the state that its lifespan yields.

    Args:
        queue: The queue.
        find_library: Called on a thread with what an address says; returns the library's id, or
            None.
        max_streams: How many event streams may be open.
    """

    def __init__(
        self,
        queue: AsyncScanQueue,
        find_library: Callable[[str], LibraryId | None],
        max_streams: int,
    ) -> None:
        self.queue = queue
        self.find_library = find_library
        self.streams_left = max_streams


@asynccontextmanager
async def running(
    service: ScanQueueService,
    find_library: Callable[[str], LibraryId | None],
    *,
    max_streams: int = 1000,
    triggers: Triggers | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109 - the service's, by its clock
) -> AsyncIterator[ScanQueue]:
    """Start a queue, and shut it down when the server stops.

    What keeps it from starting may pass, and the other processes of the server have work to do: so
    this one serves meanwhile, tells each request what is wrong, and tries again.

    Args:
        service: The queue, not started yet.
        find_library: Called with what an address says; returns the library's id, or None.
        max_streams: How many event streams a process holds open.
        triggers: What starts and ends with the queue.
        timeout: How long the end waits for scanners that do not stop, in seconds.
    """
    queue = AsyncScanQueue(service)
    ending = asyncio.Lock()  # whoever comes second waits for the first, and not once more

    starting: asyncio.Task[None] | None = None
    stop = asyncio.Event()

    async def shut_down() -> None:
        stop.set()
        if starting is not None:
            await starting
        async with ending:
            if triggers is not None:
                await asyncio.to_thread(triggers.stop)
            wait = 0 if queue.is_shut_down else timeout
            await queue.shutdown(wait, interrupt_running=True)

    try:
        if not await start(queue, triggers):
            starting = asyncio.create_task(keep_starting(queue, triggers, stop))
        with called_on_stop(shut_down):
            yield ScanQueue(queue, find_library, max_streams)
    finally:
        await shut_down()


async def start(queue: AsyncScanQueue, triggers: Triggers | None) -> bool:
    """Start a queue and its triggers; return whether its store let it."""
    try:
        await queue.start()
    except StoreError as error:
        logger.warning("the queue cannot be started; trying again: %s", error)
        return False
    if triggers is not None:
        await asyncio.to_thread(triggers.start)
    return True


async def keep_starting(
    queue: AsyncScanQueue, triggers: Triggers | None, stop: asyncio.Event
) -> None:
    """Try again until it works, or the server stops."""
    is_started = False
    while not is_started:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY_AFTER)
            return
        try:
            is_started = await start(queue, triggers)
        except Exception:
            logger.exception("the queue cannot be started; trying again")


@contextmanager
def called_on_stop(shut_down: Callable[[], Any]) -> Iterator[None]:
    """Call a coroutine function as soon as a signal tells the server to stop.

    The lifespan ends when all connections are closed, and an event stream is closed when the queue
    ends. So the queue must not wait for the lifespan.

    It is a workaround: servers do not tell an application that they are about to stop. Once yours
    does, shut the queue down there, and delete this function and the `with` that uses it.
    """
    if current_thread() is not main_thread():  # a test client's: no signal comes here
        yield
        return
    loop = asyncio.get_running_loop()
    begun = set[asyncio.Task[Any]]()  # or nobody would hold them

    def begin() -> None:
        begun.add(asyncio.ensure_future(shut_down()))

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin)
        handlers[number](number, frame)

    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {
        number: handler for number, handler in found.items() if callable(handler)
    }
    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
