"""The extension: from the start of a process to its end."""

from __future__ import annotations

import atexit
from contextlib import suppress
from functools import partial
from threading import Lock, Semaphore
from typing import TYPE_CHECKING

from scanqueue import QueueClosedError

from .routes import blueprint
from .state import Extension, Triggers

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from scanqueue import LibraryId, ScanQueueService


class ScanQueue:
    """The extension: each application has a queue of its own in `app.extensions`.

    Nothing is started until `start`, or the first request, of the process that serves. So neither
    a reloader nor the parent of forked workers starts anything.
    """

    def init_app(
        self,
        app: Flask,
        service: ScanQueueService,
        find_library: Callable[[str], LibraryId | None],
        *,
        url_prefix: str = "/api",
        max_streams: int = 8,
        triggers: Triggers | None = None,
    ) -> None:
        """Give an application a queue and its addresses.

        Args:
            app: The application.
            service: Its queue, not started yet.
            find_library: Called with what an address says; returns the library's id, or None.
            url_prefix: What all addresses begin with.
            max_streams: How many event streams a process holds open, each with a thread.
            triggers: What starts and ends with the queue.
        """
        streams = Semaphore(max_streams)
        app.extensions["scan_queue"] = Extension(service, find_library, streams, triggers, Lock())
        app.before_request(partial(self.start, app))
        app.register_blueprint(blueprint, url_prefix=url_prefix)

    def service_of(self, app: Flask) -> ScanQueueService:
        """Return the queue of an application."""
        extension: Extension = app.extensions["scan_queue"]
        return extension.service

    def start(self, app: Flask) -> None:
        """Start the queue of this process; a second call does nothing.

        Call it where a process begins, after the fork, so that what was left by the last run goes
        on without a request.
        """
        extension: Extension = app.extensions["scan_queue"]
        if not extension.service.is_started:
            extension.service.start()
            if extension.triggers is not None:
                extension.triggers.start()
            atexit.register(self.shut_down, app)

    def shut_down(self, app: Flask, timeout: float = 5.0) -> None:
        """End the queue of this process, and its event streams; call it before the server stops.

        A second call waits until the first is done.

        Args:
            app: The application.
            timeout: How long to wait for scanners that do not stop, in seconds.
        """
        extension: Extension = app.extensions["scan_queue"]
        service = extension.service
        with suppress(QueueClosedError), extension.ending:  # a forked child's copy is closed
            if extension.triggers is not None:
                extension.triggers.stop()
            service.shutdown(0 if service.is_shut_down else timeout, interrupt_running=True)
