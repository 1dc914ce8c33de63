"""The addresses of the queue."""

import logging
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from scanqueue import (
    ScanScope,
    ScanTask,
    StoreError,
    SubmitOutcome,
    TaskNotFoundError,
    TaskPriority,
    TaskStatus,
    WhenRunning,
)
from scanqueue.aio import AsyncScanQueue
from scanqueue.wire import (
    StatsDict,
    SubmissionDict,
    TaskDict,
    stats_to_dict,
    submission_to_dict,
    task_to_dict,
)

from .lifespan import ScanQueue
from .models import SCAN_BODY, Stats, Submission, Task, TaskLists
from .problems import PROBLEMS
from .requests import (
    Cursor,
    LastEventId,
    Library,
    Limit,
    get_scan_queue,
    has_tag,
    read_scan_request,
)

logger = logging.getLogger(__name__)

router = APIRouter(tags=["scan queue"], responses=PROBLEMS)


async def get_queue(here: Annotated[ScanQueue, Depends(get_scan_queue)]) -> AsyncScanQueue:
    """Return the queue."""
    return here.queue


async def open_stream(
    here: Annotated[ScanQueue, Depends(get_scan_queue)],
    after: Cursor = None,
    last_event_id: LastEventId = None,
) -> AsyncIterator[int]:
    """Count an event stream, until it is closed, and yield the revision that it begins after.

    Raises:
        HTTPException: Too many are open.
        StoreError: The queue cannot be read.
    """
    if not here.streams_left:
        raise HTTPException(429, "too many event streams are open")
    here.streams_left -= 1
    try:
        now = await get_revision(here.queue)  # in any case: it tells whether the queue can be read
        cursor = after if last_event_id is None else last_event_id
        yield now if cursor is None else cursor
    finally:
        here.streams_left += 1


Queue = Annotated[AsyncScanQueue, Depends(get_queue)]


def answer_head(router: APIRouter) -> None:
    """Have HEAD answered wherever GET is, as HTTP wants it; OpenAPI need not tell."""
    for route in router.routes[:]:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            router.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                response_model=route.response_model,
                response_class=route.response_class,
                include_in_schema=False,
            )


@router.post(
    "/libraries/{library_id}/scan",
    status_code=202,
    response_model=Submission,
    responses={200: {"model": Submission, "description": "An existing task will do"}},
    openapi_extra=SCAN_BODY,
)
async def scan_library(
    library: Library,
    wanted: Annotated[tuple[ScanScope, WhenRunning], Depends(read_scan_request)],
    queue: Queue,
    request: Request,
    response: Response,
) -> SubmissionDict:
    """Ask for a scan."""
    scope, when_running = wanted
    submission = await queue.submit(
        library, TaskPriority.HIGH, scope=scope, when_running=when_running
    )
    if submission.outcome not in (SubmitOutcome.CREATED, SubmitOutcome.FOLLOW_UP):
        response.status_code = 200
    location = request.url_for("get_task", task_id=submission.task_id)
    response.headers["Location"] = location.path
    return submission_to_dict(submission)


@router.get("/scan-tasks", response_model=TaskLists)
async def list_tasks(
    queue: Queue,
    status: Annotated[list[TaskStatus] | None, Query()] = None,
    library_id: str | None = None,
    limit: Limit = 100,
) -> Response:
    """Return running, pending and ended tasks, at one moment."""
    revision = await get_revision(queue)  # first: changes after it are in the stream of events
    chosen = await choose_tasks(queue, set(status or TaskStatus), library_id, limit)
    return await run_in_threadpool(write_lists, revision, chosen, limit)


def write_lists(revision: int, tasks: list[ScanTask], limit: int) -> JSONResponse:
    """Return tasks as a response, which FastAPI takes as it is: writing many takes its time."""
    pending = [task for task in tasks if task.status is TaskStatus.PENDING]
    running = [task for task in tasks if task.status is TaskStatus.RUNNING]
    history = [task for task in tasks if task.is_ended]
    return JSONResponse(
        {
            "revision": revision,
            "running": [task_to_dict(task) for task in running[:limit]],
            "pending": [task_to_dict(task) for task in pending[:limit]],
            "history": [task_to_dict(task) for task in history[:limit]],
        }
    )


async def choose_tasks(
    queue: AsyncScanQueue, statuses: set[TaskStatus], library_id: str | None, limit: int
) -> list[ScanTask]:
    """Return the active tasks of one moment, and the last `limit` ended ones, that are asked for.

    A history can be long, so it is not listed further back than it must be.
    """
    ended_wanted = limit if any(status.is_ended for status in statuses) else 0
    most = 4 * (limit + 1)
    while True:
        tasks = await queue.list_tasks(most)
        chosen = [
            task
            for task in tasks
            if task.status in statuses and library_id in (None, str(task.library_id))
        ]
        ended_found = sum(task.is_ended for task in chosen)
        if len(tasks) < most or (tasks[-1].is_ended and ended_found >= ended_wanted):
            return chosen
        most *= 4


@router.get("/scan-tasks/events", response_class=EventSourceResponse)
async def follow_tasks(
    request: Request, queue: Queue, cursor: Annotated[int, Depends(open_stream)]
) -> AsyncIterator[ServerSentEvent]:
    """Stream the changes of all tasks, until the queue is shut down or cannot be read."""
    yield ServerSentEvent(retry=2000)
    if request.method == "HEAD":
        return
    try:
        async for task in queue.changes(cursor):
            yield ServerSentEvent(data=task_to_dict(task), id=str(task.revision))
    except StoreError as error:
        logger.warning("an event stream ends: %r", error)


@router.get(
    "/scan-tasks/{task_id:task_id}",
    response_model=Task,
    responses={304: {"description": "The client has it as it is"}},
)
async def get_task(
    task_id: UUID,
    queue: Queue,
    response: Response,
    if_none_match: Annotated[str, Header()] = "",
) -> TaskDict | Response:
    """Return one task."""
    task = await queue.get_task(task_id)
    if task is None:
        raise TaskNotFoundError(task_id)
    headers = {"ETag": f'"{task.revision}"', "Cache-Control": "no-cache"}
    if has_tag(if_none_match, str(task.revision)):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return task_to_dict(task)


@router.delete("/scan-tasks/{task_id:task_id}", response_model=Task)
async def cancel_task(task_id: UUID, queue: Queue) -> TaskDict:
    """Cancel a task, at once."""
    return task_to_dict(await queue.cancel_task(task_id))


@router.get("/scan-queue", response_model=Stats)
async def get_stats(queue: Queue) -> StatsDict:
    """Return the queue in numbers."""
    return stats_to_dict(await queue.stats())


@router.post("/scan-queue/pause", response_model=Stats)
async def pause(queue: Queue) -> StatsDict:
    """Let no new scan start."""
    await queue.pause()
    return await get_stats(queue)


@router.post("/scan-queue/resume", response_model=Stats)
async def resume(queue: Queue) -> StatsDict:
    """Let scans start again."""
    await queue.resume()
    return await get_stats(queue)


async def get_revision(queue: AsyncScanQueue) -> int:
    """Return the revision of the latest change; the property asks the store on the spot."""
    return await run_in_threadpool(lambda: queue.revision)


answer_head(router)
