"""Puts a scan queue, with its HTTP API, into a FastAPI application.

This folder is made to be copied into yours as it is:

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        service = ScanQueueService(scanner, store=SQLiteStore("queue.sqlite3"))
        async with running(service, find_library) as scan_queue:
            yield {"scan_queue": scan_queue}

    app = FastAPI(lifespan=lifespan, exception_handlers=EXCEPTION_HANDLERS, redirect_slashes=False)
    app.include_router(router, prefix="/api", max_body_size=256 * 1024)  # bytes

The exception handlers are for all errors of the application, and not only for the queue's.

Some helpers are in the extension for Flask once more: that is the price of a folder which can be
copied without the other.
"""

from .lifespan import ScanQueue, running
from .problems import EXCEPTION_HANDLERS, PROBLEMS, problem
from .requests import Limit, require_json
from .routes import answer_head, router

__all__ = [
    "EXCEPTION_HANDLERS",
    "PROBLEMS",
    "Limit",
    "ScanQueue",
    "answer_head",
    "problem",
    "require_json",
    "router",
    "running",
]
