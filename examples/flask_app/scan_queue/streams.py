"""The event stream, and when it ends."""

from __future__ import annotations

import json
import logging
from select import select
from socket import MSG_PEEK
from typing import TYPE_CHECKING

from scanqueue import StoreError
from scanqueue.wire import task_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

    from scanqueue import ScanQueueService

logger = logging.getLogger(__name__)

HEARTBEAT = 15
"""Seconds without a change after which an event stream shows that it is alive."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether the client of an event stream is there still."""


def events(service: ScanQueueService, after: int, has_left: Callable[[], bool]) -> Iterator[str]:
    """Yield the tasks changed since a revision, then those that change, as they do."""
    yield "retry: 2000\n\n"
    silent = 0.0
    while not has_left():
        is_ending = service.is_shut_down  # scans may still be stopping
        # None: until there is news, or the shutdown, which has a timeout of its own, is over.
        timeout = None if is_ending else LOOK_EVERY
        try:
            tasks = service.list_changes(after, limit=256, timeout=timeout)
        except StoreError as error:
            logger.warning("an event stream ends: %r", error)
            return
        for task in tasks:
            after = task.revision
            yield f"id: {after}\ndata: {json.dumps(task_to_dict(task))}\n\n"
        if is_ending and not tasks:
            return
        silent = 0.0 if tasks else silent + LOOK_EVERY
        if silent >= HEARTBEAT:
            silent = 0.0
            yield ": ping\n\n"


def has_left(client: socket) -> bool:
    """Return whether a client has closed its connection; its stream would hold a thread for it."""
    try:
        is_readable = bool(select([client], [], [], 0)[0])
        return is_readable and not client.recv(1, MSG_PEEK)
    except OSError:  # it was reset
        return True
    except ValueError:  # it is encrypted, or has too high a number: unknown
        return False
