"""What belongs to one application."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from flask import current_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock, Semaphore

    from scanqueue import LibraryId, ScanQueueService


class Triggers(Protocol):
    """What submits scans by itself, such as a schedule; both may be called again."""

    def start(self) -> None:
        """Start; the queue is started."""

    def stop(self) -> None:
        """End; the queue is not shut down yet."""


class Extension(NamedTuple):
    """The queue of an application, in its `app.extensions["scan_queue"]`."""

    service: ScanQueueService
    find_library: Callable[[str], LibraryId | None]
    streams: Semaphore
    triggers: Triggers | None
    ending: Lock
    """Held by who ends the queue: whoever comes second waits for that, and not once more."""


def here() -> Extension:
    """Return the extension of the current application."""
    extension: Extension = current_app.extensions["scan_queue"]
    return extension
