"""A media server on FastAPI: its libraries, its page, and the scan queue of `scan_queue`."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_app.scan_queue import (
    EXCEPTION_HANDLERS,
    PROBLEMS,
    Limit,
    answer_head,
    problem,
    require_json,
    router,
    running,
)
from medialibrary import (
    PAGE,
    Catalogue,
    Settings,
    load_settings,
    name_libraries,
    printable,
)
from medialibrary.access import COOKIE, COOKIE_AGE, MAX_BODY, PAGE_HEADERS, SESSION_PATH, Access
from scanqueue import ScanQueueService

logger = logging.getLogger(__name__)

site = APIRouter(tags=["libraries"], responses=PROBLEMS)
sessions = APIRouter(tags=["sessions"], responses=PROBLEMS)


def create_app(
    settings: Settings | None = None, service: ScanQueueService | None = None
) -> FastAPI:
    """Return a new application; its lifespan starts and ends its queue.

    Args:
        settings: How to set it up; as the environment says when None.
        service: Its queue; as the settings say when None.
    """
    settings = settings or load_settings()
    catalogue = settings.open_catalogue()
    access = Access(settings.token, settings.rate)
    scans = service or settings.make_service(catalogue)
    triggers = settings.make_triggers(catalogue, scans)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with running(
            scans,
            catalogue.find_library,
            max_streams=settings.streams,
            triggers=triggers,
        ) as scan_queue:
            yield {"scan_queue": scan_queue, "catalogue": catalogue, "access": access}

    app = FastAPI(
        title="Media server",
        lifespan=lifespan,
        exception_handlers={
            **EXCEPTION_HANDLERS,
            sqlite3.Error: explain_catalogue,
            Exception: explain_crash,
        },
        redirect_slashes=False,
        docs_url=None,  # it loads its scripts from another host
        redoc_url=None,  # same
    )
    app.add_middleware(Guard, access=access)
    # What OpenAPI says of the guard, which asks for one of the two.
    shown = [
        Depends(HTTPBearer(auto_error=False)),
        Depends(APIKeyCookie(name=COOKIE, auto_error=False)),
    ]
    app.include_router(router, prefix="/api", dependencies=shown, max_body_size=MAX_BODY)
    app.include_router(site, prefix="/api", dependencies=shown, max_body_size=MAX_BODY)
    app.include_router(sessions, max_body_size=MAX_BODY)
    app.frontend("/", directory=PAGE, fallback=None)
    return app


class Guard:
    """Refuses a request that is not let in, before anything else looks at it."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        request = Request(scope)

        async def protect(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(PAGE_HEADERS)
            elif request.method == "HEAD":
                message["body"] = b""
            await send(message)

        client = request.client.host if request.client else ""
        found = {name: ",".join(request.headers.getlist(name)) for name in request.headers}
        refusal = self._access.refuse(
            request.method, scope["path"], Headers(found), request.cookies, client
        )
        answer = problem(*refusal) if refusal else self._app
        if refusal is None and scope["path"].endswith("\n"):  # the patterns of routes overlook it
            answer = problem(404, "there is no such address")
        await answer(scope, receive, protect)


async def explain_catalogue(_request: Request, error: sqlite3.Error) -> JSONResponse:
    """Return that the catalogue is busy, or its disk fails; the log says what it is."""
    logger.error("cannot use the catalogue: %r", error)
    return problem(503, "the catalogue cannot be used now")


async def explain_crash(_request: Request, _error: Exception) -> JSONResponse:
    """Return that something went wrong, with the headers: Starlette answers outside the guard."""
    return problem(500, "the server failed", PAGE_HEADERS)


class Library(BaseModel):
    """A folder that gets scanned."""

    id: int | str
    name: str


class File(BaseModel):
    """A file that a scan has found."""

    library_id: int
    path: str
    size: int
    title: str | None
    artist: str | None
    album: str | None
    seconds: float | None


class Credentials(BaseModel):
    """What the page sends once."""

    model_config = ConfigDict(extra="forbid")

    token: str


async def get_catalogue(request: Request) -> Catalogue:
    """Return what the lifespan has yielded."""
    catalogue: Catalogue = request.state.catalogue
    return catalogue


async def get_access(request: Request) -> Access:
    """Return what the lifespan has yielded."""
    access: Access = request.state.access
    return access


# These two read a file, so they are no coroutines: FastAPI runs them on threads.


@site.get("/libraries")
def list_libraries(catalogue: Annotated[Catalogue, Depends(get_catalogue)]) -> list[Library]:
    """Return the libraries, in order of their names."""
    names = name_libraries(catalogue.libraries())
    found = [Library(id=library_id, name=name) for library_id, name in names.items()]
    return sorted(found, key=lambda library: library.name.casefold())


@site.get("/files")
def search_files(
    catalogue: Annotated[Catalogue, Depends(get_catalogue)],
    search: str = "",
    limit: Limit = 50,
) -> list[File]:
    """Return the files that have a text in their path or their tags."""
    return [
        File(
            library_id=library_id,
            path=printable(file.path),
            size=file.size,
            title=file.title,
            artist=file.artist,
            album=file.album,
            seconds=file.seconds,
        )
        for library_id, file in catalogue.search(search, limit)
    ]


answer_head(site)


@sessions.post(SESSION_PATH, status_code=204, dependencies=[Depends(require_json)])
async def log_in(
    body: Credentials,
    access: Annotated[Access, Depends(get_access)],
    request: Request,
    response: Response,
) -> None:
    """Give the page a cookie for the token, which it then forgets."""
    if not access.is_token(body.token):
        raise HTTPException(401, "this is not the token")
    response.set_cookie(
        COOKIE,
        access.cookie,
        max_age=COOKIE_AGE,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


@sessions.delete(SESSION_PATH, status_code=204)
async def log_out(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
