"""The addresses of the queue."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from scanqueue import (
    LibraryId,
    ScanScope,
    SubmitOutcome,
    TaskNotFoundError,
    TaskPriority,
    TaskStatus,
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
from .models import ScanRequest, Stats, Submission, Task, TaskLists
from .problems import PROBLEMS, require_json

router = APIRouter(tags=["scan queue"], responses=PROBLEMS)


async def get_scan_queue(request: Request) -> ScanQueue:
    """Return what the lifespan has yielded."""
    found: ScanQueue = request.state.scan_queue
    return found


async def get_queue(here: Annotated[ScanQueue, Depends(get_scan_queue)]) -> AsyncScanQueue:
    """Return the queue."""
    return here.queue


def find_library(library_id: str, here: Annotated[ScanQueue, Depends(get_scan_queue)]) -> LibraryId:
    """Return the library of an address; FastAPI runs this on a thread, since it is no coroutine.

    Raises:
        HTTPException: There is none.
    """
    library = here.find_library(library_id)
    if library is None:
        raise HTTPException(404, "there is no such library")
    return library


async def take_stream(here: Annotated[ScanQueue, Depends(get_scan_queue)]) -> AsyncIterator[None]:
    """Count an event stream, until it is closed.

    Raises:
        HTTPException: Too many are open.
    """
    if not here.streams_left:
        raise HTTPException(429, "too many event streams are open")
    here.streams_left -= 1
    try:
        yield
    finally:
        here.streams_left += 1


Queue = Annotated[AsyncScanQueue, Depends(get_queue)]
Library = Annotated[LibraryId, Depends(find_library)]
Limit = Annotated[int, Query(ge=0, le=1000)]
Cursor = Annotated[int | None, Query(ge=0, lt=2**63)]
LastEventId = Annotated[int | None, Header(ge=0, lt=2**63)]


@router.post(
    "/libraries/{library_id}/scan",  # noqa: FAST003 - `find_library` takes it
    status_code=202,
    response_model=Submission,
    responses={200: {"model": Submission, "description": "An existing task will do"}},
    dependencies=[Depends(require_json)],
)
async def scan_library(
    library: Library,
    queue: Queue,
    request: Request,
    response: Response,
    body: ScanRequest | None = None,
) -> SubmissionDict:
    """Ask for a scan."""
    wanted = body or ScanRequest()
    submission = await queue.submit(
        library,
        TaskPriority.HIGH,
        scope=ScanScope(paths=wanted.paths, deep=wanted.deep),
        when_running=wanted.when_running,
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
) -> dict[str, int | list[TaskDict]]:
    """Return running, pending and ended tasks, at one moment."""
    revision = await get_revision(queue)  # first: changes after it are in the stream of events
    chosen = [
        task
        for task in await queue.list_tasks()
        if (not status or task.status in status)
        and (library_id is None or str(task.library_id) == library_id)
    ]
    pending = [task for task in chosen if task.status is TaskStatus.PENDING]
    running = [task for task in chosen if task.status is TaskStatus.RUNNING]
    history = [task for task in chosen if task.is_ended]
    return {
        "revision": revision,
        "running": [task_to_dict(task) for task in running[:limit]],
        "pending": [task_to_dict(task) for task in pending[:limit]],
        "history": [task_to_dict(task) for task in history[:limit]],
    }


@router.get(
    "/scan-tasks/events", response_class=EventSourceResponse, dependencies=[Depends(take_stream)]
)
async def follow_tasks(
    queue: Queue, after: Cursor = None, last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """Stream the changes of all tasks, until the queue is shut down."""
    cursor = after if last_event_id is None else last_event_id
    if cursor is None:
        cursor = await get_revision(queue)
    yield ServerSentEvent(retry=2000)
    async for task in queue.changes(cursor):
        yield ServerSentEvent(data=task_to_dict(task), id=str(task.revision))


@router.get(
    "/scan-tasks/{task_id}",
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
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    if headers["ETag"] in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return task_to_dict(task)


@router.delete("/scan-tasks/{task_id}", response_model=Task)
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
