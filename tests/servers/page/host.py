"""Both servers, listening for a browser."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

import uvicorn
from werkzeug.serving import make_server

import fastapi_app.app
import flask_app.app
from flask_app.app import scan_queue
from medialibrary import Settings
from scanqueue import Clock, MemoryStore, ScanQueueService, SQLiteStore
from scanqueue.testing import FakeScanner


class Host:
    """A server that can be stopped and started again at its address; scans are in the test's hand.

    What is set from outside counts from the next start on.

    Args:
        framework: `"flask"` or `"fastapi"`.
        settings: How to set it up; `store` says where its queue lives.
    """

    def __init__(self, framework: str, settings: Settings) -> None:
        self.settings = settings
        self.port = 0
        self.clock: Clock | None = None
        self.scanner = FakeScanner()
        self._listening = {"flask": listening_flask, "fastapi": listening_fastapi}[framework]
        self._running = ExitStack()
        self.start()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, with a new scanner and the queue that the store has."""
        in_file = self.settings.store == "sqlite"
        store = SQLiteStore(self.settings.data / "queue.sqlite3") if in_file else MemoryStore()
        self.scanner = FakeScanner()
        self.scanner.hold()
        self.service = ScanQueueService(self.scanner, store=store, clock=self.clock)
        listening = self._listening(self.settings, self.service, self.port)
        self.port = self._running.enter_context(listening)

    def stop(self) -> None:
        """Stop, as a signal would have it: first the queue, which ends the event streams."""
        self.service.shutdown(interrupt_running=True)
        self.scanner.let_go()
        self._running.close()


@contextmanager
def listening_flask(settings: Settings, service: ScanQueueService, port: int) -> Iterator[int]:
    """Serve on Flask, and yield the port."""
    app = flask_app.app.create_app(settings, service)
    scan_queue.start(app)
    server = make_server("127.0.0.1", port, app, threaded=True)
    with on_thread(server.serve_forever, 0.05):
        yield server.port
        scan_queue.shut_down(app)
        server.shutdown()
    server.server_close()


@contextmanager
def listening_fastapi(settings: Settings, service: ScanQueueService, port: int) -> Iterator[int]:
    """Serve on FastAPI, and yield the port."""
    app = fastapi_app.app.create_app(settings, service)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    with (
        socket.create_server(("127.0.0.1", port)) as listener,
        on_thread(server.run, [listener]),
    ):
        yield listener.getsockname()[1]
        server.should_exit = True


@contextmanager
def on_thread(function: Any, *args: Any) -> Iterator[None]:  # noqa: ANN401 - whatever is to run
    """Run a function beside the block, and wait for its end."""
    thread = Thread(target=function, args=args, daemon=True)
    thread.start()
    yield
    thread.join()
