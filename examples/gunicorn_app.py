"""Share one queue between the processes of a web server: Flask under gunicorn.

    SCAN_FOLDERS=~/Music:~/Books gunicorn --config examples/gunicorn_conf.py

`gunicorn_conf.py` starts and ends the queue of each process. What is asked for by HTTP:

    GET    /libraries             the folders, each with its active task
    POST   /libraries/1/scan      ask for a scan
    GET    /tasks                 all tasks
    GET    /tasks/ID              one task
    DELETE /tasks/ID              cancel it
    GET    /stats                 the queue, and which process answers
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask

from medialibrary import Catalogue, MediaScanner, printable
from scanqueue import (
    ScanQueueError,
    ScanQueueService,
    SQLiteStore,
    TaskNotFoundError,
    TaskPriority,
)
from scanqueue.wire import problem_from_error, stats_to_dict, submission_to_dict, task_to_dict

if TYPE_CHECKING:
    from uuid import UUID

    from scanqueue.wire import ProblemDict, SubmissionDict, TaskDict

FILE = os.environ.get("SCAN_QUEUE", "queue.sqlite3")
FOLDERS = [Path(name) for name in os.environ.get("SCAN_FOLDERS", "").split(os.pathsep) if name]
PAUSE = float(os.environ.get("SCAN_PAUSE", "0"))  # seconds at each file, to watch it

catalogue = Catalogue(f"{FILE}-catalogue")
libraries = [catalogue.add_library(folder.expanduser()) for folder in FOLDERS]

# Made here, started in each process: to make it opens no file and starts no thread, so this
# module may be imported before the fork (`--preload`) or after it.
queue = ScanQueueService(
    MediaScanner(catalogue, pause=PAUSE),
    store=SQLiteStore(FILE),
    workers=1,  # scans at a time in this process
    max_running=2,  # and in all of them
)
app = Flask(__name__)


@app.get("/libraries")
def list_libraries() -> list[dict[str, Any]]:
    """Return the libraries, each with what happens to it."""
    tasks = {library.id: queue.get_library_task(library.id) for library in libraries}
    return [
        {
            "id": library.id,
            "folder": printable(library.folder),
            "task": None if (task := tasks[library.id]) is None else task_to_dict(task),
        }
        for library in libraries
    ]


@app.post("/libraries/<int:library_id>/scan")
def scan_library(library_id: int) -> tuple[SubmissionDict | str, int]:
    """Ask for a scan; the answer comes at once, and the task is on disk."""
    if library_id not in {library.id for library in libraries}:
        return "there is no such library\n", 404
    return submission_to_dict(queue.submit(library_id, TaskPriority.HIGH)), 202


@app.get("/tasks")
def list_tasks() -> list[TaskDict]:
    """Return the tasks of the whole queue, whichever process has them."""
    return [task_to_dict(task) for task in queue.list_tasks(limit=100)]


@app.get("/tasks/<uuid:task_id>")
def get_task(task_id: UUID) -> TaskDict:
    """Return one task."""
    task = queue.get_task(task_id)
    if task is None:
        raise TaskNotFoundError(task_id)
    return task_to_dict(task)


@app.delete("/tasks/<uuid:task_id>")
def cancel_task(task_id: UUID) -> TaskDict:
    """Cancel a task; a scan in another process stops within a second."""
    return task_to_dict(queue.cancel_task(task_id))


@app.get("/stats")
def get_stats() -> dict[str, Any]:
    """Return the numbers of the queue; `busy_workers` are those of the process that answers."""
    return {"process": os.getpid(), **stats_to_dict(queue.stats())}


@app.errorhandler(ScanQueueError)
def explain(error: ScanQueueError) -> tuple[ProblemDict, int, dict[str, str]]:
    """Return an error of the queue as problem details."""
    problem = problem_from_error(error)
    return problem, problem["status"], {"Content-Type": "application/problem+json"}
