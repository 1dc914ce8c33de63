"""The addresses of the queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, request, url_for
from werkzeug.exceptions import HTTPException

from scanqueue import (
    ScanQueueError,
    SubmitOutcome,
    TaskNotFoundError,
    TaskPriority,
    TaskStatus,
)
from scanqueue.wire import stats_to_dict, submission_to_dict, task_to_dict

from .problems import explain, explain_http
from .requests import InvalidArgument, has_tag, parameters, read_number, read_scan_request, reading
from .state import here
from .streams import events, has_left

if TYPE_CHECKING:
    from uuid import UUID

    from flask.typing import ResponseReturnValue

    from scanqueue import ScanQueueService, ScanTask

MAX_LIMIT = 1000

blueprint = Blueprint("scan_queue", __name__)
blueprint.register_error_handler(HTTPException, explain_http)
blueprint.app_errorhandler(ScanQueueError)(explain)  # any first request may fail to start it
blueprint.app_errorhandler(InvalidArgument)(explain)


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
    headers = {"ETag": f'"{task.revision}"', "Cache-Control": "no-cache"}
    if has_tag(request.headers.get("If-None-Match", ""), str(task.revision)):
        return Response(status=304, headers=headers)
    return task_to_dict(task), headers


@blueprint.delete("/scan-tasks/<uuid:task_id>")
def cancel_task(task_id: UUID) -> ResponseReturnValue:
    """Cancel a task, at once."""
    return task_to_dict(here().service.cancel_task(task_id))


@blueprint.get("/scan-tasks/events")
def follow_tasks() -> ResponseReturnValue:
    """Stream the changes of all tasks as server-sent events, until the queue is shut down."""
    service, streams = here().service, here().streams
    after = read_number(parameters().get("after", str(service.revision)))
    if last_event_id := request.headers.get("Last-Event-ID", "").strip():
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
