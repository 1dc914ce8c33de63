"""Errors as problem details (RFC 9457)."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount

from scanqueue import ScanQueueError, StoreError
from scanqueue.wire import ProblemDict, problem_from_error

from .models import Problem

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which a client that was refused may try again."""
NEW_413 = "Content Too Large"
"""What FastAPI says, and Python since 3.13."""
DETAILS = {
    404: "there is no such address",
    405: "there is no such method here",
    413: "the body is too long",
    500: "the server failed",
}
"""What to say where Starlette has raised the error."""

_CONTENT = {"application/problem+json": {"schema": Problem.model_json_schema()}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request was refused", "content": _CONTENT},
    "5XX": {"description": "The server failed, or is stopping", "content": _CONTENT},
}
"""What OpenAPI says of errors, for the argument `responses` of routes."""


async def explain(_request: Request, error: ScanQueueError) -> JSONResponse:
    """Return an error of the queue."""
    if isinstance(error, StoreError):  # what it says is not for strangers
        logger.error("the queue failed: %r", error)
    return respond(problem_from_error(error))


async def explain_http(request: Request, error: AnyHTTPException) -> JSONResponse:
    """Return an HTTP error."""
    status, detail, headers = error.status_code, error.detail, error.headers
    if status == HTTPStatus.BAD_REQUEST:  # a body of which FastAPI can make nothing
        return respond(problem_from_error(ValueError(detail)))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": find_methods(request)}
    if detail in (HTTPStatus(status).phrase, NEW_413):  # nobody has said anything
        detail = DETAILS.get(status, detail)
    return problem(status, detail, headers)


def find_methods(request: Request) -> str:
    """Return the methods of an address: Starlette tells those of the first route that fits."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]

    def is_allowed(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    found = filter(is_allowed, HTTPMethod)
    return ", ".join(found) or "GET, HEAD"  # the files of a page are no routes


async def explain_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Return what is wrong with a request; an address that is none does not exist."""
    first = error.errors()[0]
    if first["loc"][0] == "path":
        return problem(404, DETAILS[404])
    where = ".".join(map(str, first["loc"]))
    return respond(problem_from_error(ValueError(f"{where}: {first['msg']}")))


async def explain_disconnect(_request: Request, _error: ClientDisconnect) -> JSONResponse:
    """Return that the body is not whole; nobody reads it, but it is no crash for the log."""
    return respond(problem_from_error(ValueError("body: the client has left")))


async def explain_crash(_request: Request, _error: Exception) -> JSONResponse:
    """Return that something went wrong, and not what: the server logs that."""
    return problem(500, DETAILS[500])


EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Any]] = {
    ScanQueueError: explain,
    RequestValidationError: explain_invalid,
    AnyHTTPException: explain_http,
    ClientDisconnect: explain_disconnect,
    Exception: explain_crash,
}
"""For the argument `exception_handlers` of the application, whose errors they all answer."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return problem details of no type of their own as a response."""
    title = HTTPStatus(status).phrase
    members: ProblemDict = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    return respond(members, headers)


def respond(members: ProblemDict, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return problem details as a response."""
    status = members["status"]
    retry = {"Retry-After": str(RETRY_AFTER)} if status in (429, 503) else {}
    return JSONResponse(
        members,
        status_code=status,
        headers={**retry, **(headers or {})},
        media_type="application/problem+json",
    )
