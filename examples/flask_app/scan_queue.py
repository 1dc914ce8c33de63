"""A Flask extension that puts a scan queue, with its HTTP API, into an application.

This file is made to be copied into yours as it is:

    scan_queue = ScanQueue()

    def create_app():
        app = Flask(__name__)
        service = ScanQueueService(scanner, store=SQLiteStore("queue.sqlite3"))
        scan_queue.init_app(app, service, find_library)
        return app
"""

from __future__ import annotations

import atexit
import json
import re
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from select import select
from socket import MSG_PEEK
from threading import Semaphore
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request, url_for
from werkzeug.exceptions import HTTPException

from scanqueue import (
    QueueClosedError,
    ScanQueueError,
    ScanQueueService,
    ScanScope,
    SubmitOutcome,
    TaskNotFoundError,
    TaskPriority,
    TaskStatus,
    WhenRunning,
)
from scanqueue.wire import problem_from_error, stats_to_dict, submission_to_dict, task_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket
    from uuid import UUID

    from flask.typing import ResponseReturnValue

    from scanqueue import LibraryId, ScanTask
    from scanqueue.wire import ProblemDict

RETRY_AFTER = 5
"""Seconds after which a client that was refused may try again."""
HEARTBEAT = 15
"""Seconds without a change after which an event stream shows that it is alive."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether the client of an event stream is there still."""
MAX_LIMIT = 1000
MAX_PATHS = 1000
"""How many paths a request may give: those of a scope, before it becomes the whole library."""
DETAILS = {
    404: "there is no such address",
    405: "there is no such method here",
    413: "the body is too long",
    500: "the server failed",
}
"""What to say where Flask has raised the error."""


class Triggers(Protocol):
    """What submits scans by itself, such as a schedule; both may be called again."""

    def start(self) -> None:
        """Start; the queue is started."""

    def stop(self) -> None:
        """End; the queue is not shut down yet."""


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
        app.extensions["scan_queue"] = _Extension(service, find_library, streams, triggers)
        app.before_request(partial(self.start, app))
        app.register_blueprint(blueprint, url_prefix=url_prefix)

    def service_of(self, app: Flask) -> ScanQueueService:
        """Return the queue of an application."""
        extension: _Extension = app.extensions["scan_queue"]
        return extension.service

    def start(self, app: Flask) -> None:
        """Start the queue of this process; a second call does nothing.

        Call it where a process begins, after the fork, so that what was left by the last run goes
        on without a request.
        """
        extension: _Extension = app.extensions["scan_queue"]
        if not extension.service.is_started:
            extension.service.start()
            if extension.triggers is not None:
                extension.triggers.start()
            atexit.register(self.shut_down, app)

    def shut_down(self, app: Flask, timeout: float = 5.0) -> None:
        """End the queue of this process, and its event streams; call it before the server stops.

        Args:
            app: The application.
            timeout: How long to wait for scanners that do not stop, in seconds.
        """
        extension: _Extension = app.extensions["scan_queue"]
        if extension.triggers is not None:
            extension.triggers.stop()
        with suppress(QueueClosedError):  # a forked child's copy
            extension.service.shutdown(timeout, interrupt_running=True)


class _Extension(NamedTuple):
    service: ScanQueueService
    find_library: Callable[[str], LibraryId | None]
    streams: Semaphore
    triggers: Triggers | None


class InvalidArgument(ValueError):  # noqa: N818 - it says what happened
    """What a client sent is not as it should be."""


blueprint = Blueprint("scan_queue", __name__)


def here() -> _Extension:
    """Return the extension of the current application."""
    extension: _Extension = current_app.extensions["scan_queue"]
    return extension


@blueprint.post("/libraries/<library_id>/scan")
def scan_library(library_id: str) -> ResponseReturnValue:
    """Ask for a scan: 202 if there is a new task, 200 if an existing one will do."""
    library = here().find_library(library_id)
    if library is None:
        abort(404, "there is no such library")
    scope, when_running = read_scan_request()
    submission = here().service.submit(
        library, TaskPriority.HIGH, scope=scope, when_running=when_running
    )
    is_new = submission.outcome in (SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP)
    location = url_for(".get_task", task_id=submission.task_id)
    return submission_to_dict(submission), 202 if is_new else 200, {"Location": location}


@blueprint.get("/scan-tasks")
def list_tasks() -> ResponseReturnValue:
    """Return running, pending and ended tasks, at one moment."""
    with reading():
        statuses = {TaskStatus(value) for value in request.args.getlist("status")}
    limit = read_number(parameters().get("limit", "100"), MAX_LIMIT)
    library_id = parameters().get("library_id")
    revision = here().service.revision  # first: changes after it are in the stream of events
    chosen = choose_tasks(here().service, statuses or set(TaskStatus), library_id, limit)
    pending = [task for task in chosen if task.status is TaskStatus.PENDING]
    running = [task for task in chosen if task.status is TaskStatus.RUNNING]
    history = [task for task in chosen if task.is_ended]
    return {
        "revision": revision,
        "running": [task_to_dict(task) for task in running[:limit]],
        "pending": [task_to_dict(task) for task in pending[:limit]],
        "history": [task_to_dict(task) for task in history[:limit]],
    }


def choose_tasks(
    service: ScanQueueService, statuses: set[TaskStatus], library_id: str | None, limit: int
) -> list[ScanTask]:
    """Return the active tasks of one moment, and the last `limit` ended ones, that are asked for.

    A history can be long, so it is not listed further back than it must be.
    """
    ended_wanted = limit if any(status.is_ended for status in statuses) else 0
    most = 4 * (limit + 1)
    while True:
        tasks = service.list_tasks(most)
        chosen = [
            task
            for task in tasks
            if task.status in statuses and library_id in (None, str(task.library_id))
        ]
        ended_found = sum(task.is_ended for task in chosen)
        if len(tasks) < most or (tasks[-1].is_ended and ended_found >= ended_wanted):
            return chosen
        most *= 4


@blueprint.get("/scan-tasks/<uuid:task_id>")
def get_task(task_id: UUID) -> ResponseReturnValue:
    """Return one task, or 304 if the client has it as it is."""
    task = here().service.get_task(task_id)
    if task is None:
        raise TaskNotFoundError(task_id)
    response = jsonify(task_to_dict(task))
    response.set_etag(str(task.revision))
    response.cache_control.no_cache = True
    return response.make_conditional(request)


@blueprint.delete("/scan-tasks/<uuid:task_id>")
def cancel_task(task_id: UUID) -> ResponseReturnValue:
    """Cancel a task, at once."""
    return task_to_dict(here().service.cancel_task(task_id))


@blueprint.get("/scan-tasks/events")
def follow_tasks() -> ResponseReturnValue:
    """Stream the changes of all tasks as server-sent events, until the queue is shut down."""
    service, streams = here().service, here().streams
    after = read_number(parameters().get("after", str(service.revision)))
    if last_event_id := request.headers.get("Last-Event-ID"):
        after = read_number(last_event_id)
    if not streams.acquire(blocking=False):
        abort(429, "too many event streams are open")
    # Werkzeug and gunicorn have it; with another server, only what is written finds it out.
    client = request.environ.get("werkzeug.socket") or request.environ.get("gunicorn.socket")
    stream = events(service, after, partial(has_left, client) if client else bool)
    response = Response(stream, mimetype="text/event-stream")
    response.call_on_close(streams.release)
    response.headers.update({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    return response


def events(service: ScanQueueService, after: int, has_left: Callable[[], bool]) -> Iterator[str]:
    """Yield the tasks changed since a revision, then those that change, as they do."""
    yield "retry: 2000\n\n"
    silent = 0.0
    while not has_left():
        is_last = service.is_shut_down  # first: the endings of a shutdown come after it
        tasks = service.list_changes(after, limit=256, timeout=LOOK_EVERY)
        for task in tasks:
            after = task.revision
            yield f"id: {after}\ndata: {json.dumps(task_to_dict(task))}\n\n"
        if is_last and not tasks:
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


@blueprint.get("/scan-queue")
def get_stats() -> ResponseReturnValue:
    """Return the queue in numbers."""
    return stats_to_dict(here().service.stats())


@blueprint.post("/scan-queue/pause")
def pause() -> ResponseReturnValue:
    """Let no new scan start."""
    here().service.pause()
    return get_stats()


@blueprint.post("/scan-queue/resume")
def resume() -> ResponseReturnValue:
    """Let scans start again."""
    here().service.resume()
    return get_stats()


# --- what clients send ---


def read_scan_request() -> tuple[ScanScope, WhenRunning]:
    """Return what the body asks for; an empty one asks for a scan of everything.

    Raises:
        InvalidArgument: It is no such object.
        HTTPException: It is not JSON.
    """
    if not read_body():
        return ScanScope(), WhenRunning.JOIN
    data = read_object("paths", "deep", "when_running")
    with reading():
        paths = data.get("paths", [])
        if not isinstance(paths, list) or len(paths) > MAX_PATHS:
            raise InvalidArgument(f"paths: must be a list of at most {MAX_PATHS}")
        scope = ScanScope(paths=paths, deep=data.get("deep", False))
        return scope, WhenRunning(data.get("when_running", WhenRunning.JOIN))


def read_body() -> bytes:
    """Return the body.

    Raises:
        HTTPException: It is too long.
    """
    body = request.get_data()
    if not request.content_length:  # it came in chunks, and may have been cut off
        request.stream.read(1)
    return body


def read_object(*keys: str) -> dict[str, Any]:
    """Return the body, which has no other keys than these.

    Raises:
        InvalidArgument: It is no such object.
        HTTPException: It is not JSON.
    """
    body = read_body()
    if body and not request.is_json:
        abort(415, "the body must be JSON")
    with reading():
        data = json.loads(body)
        if not isinstance(data, dict) or data.keys() - set(keys):
            raise InvalidArgument(f"body: must be an object of {', '.join(keys)}")
        return data


def parameters() -> dict[str, str]:
    """Return what is behind the address; of several with one name, the last one counts."""
    return dict(request.args.items(multi=True))


def read_number(text: str, most: int = 2**63 - 1) -> int:
    """Return the number that an address or a header has.

    Raises:
        InvalidArgument: It is none, or greater than `most`.
    """
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > most:
        raise InvalidArgument(f"{text[:30]!r}: must be a number from 0 to {most}")
    return int(text)


@contextmanager
def reading() -> Iterator[None]:
    """Have whatever is wrong with what a client sent be an `InvalidArgument`."""
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(str(error)) from error


# --- errors ---


@blueprint.errorhandler(ScanQueueError)
@blueprint.app_errorhandler(InvalidArgument)
def explain(error: Exception) -> Response:
    """Return an error of the queue, or a bad argument, as problem details (RFC 9457)."""
    return respond(problem_from_error(error))


@blueprint.errorhandler(HTTPException)
def explain_http(error: HTTPException) -> Response:
    """Return an HTTP error as problem details; register it for the application, if you like."""
    code, detail = error.code or 500, error.description or ""
    if detail == type(error).description:  # nobody has said anything
        detail = DETAILS.get(code, detail)
    response = problem(code, detail)
    response.headers.extend(h for h in error.get_headers() if h[0] == "Allow")
    return response


def problem(status: int, detail: str) -> Response:
    """Return problem details of no type of their own as a response."""
    title = HTTPStatus(status).phrase
    return respond({"type": "about:blank", "title": title, "status": status, "detail": detail})


def respond(members: ProblemDict) -> Response:
    """Return problem details as a response."""
    response = jsonify(members)
    response.status_code = members["status"]
    response.content_type = "application/problem+json"
    if response.status_code in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response
