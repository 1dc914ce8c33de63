"""Errors as problem details (RFC 9457)."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from scanqueue import ScanQueueError
from scanqueue.wire import ProblemDict, problem_from_error

from .models import Problem

RETRY_AFTER = 5
"""Seconds after which a client that was refused may try again."""

_CONTENT = {"application/problem+json": {"schema": Problem.model_json_schema()}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request was refused", "content": _CONTENT},
    "5XX": {"description": "The server failed, or is stopping", "content": _CONTENT},
}
"""What OpenAPI says of errors, for the argument `responses` of routes."""


async def require_json(request: Request) -> None:
    """Refuse a body that is not JSON; a dependency.

    Raises:
        HTTPException: It is not.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (kind[:12] == "application/" and kind[-5:] == "+json")
    if not is_json and await request.body():
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be JSON")


async def explain(_request: Request, error: ScanQueueError) -> JSONResponse:
    """Return an error of the queue."""
    return respond(problem_from_error(error))


async def explain_http(_request: Request, error: AnyHTTPException) -> JSONResponse:
    """Return an HTTP error."""
    return problem(error.status_code, error.detail, error.headers)


async def explain_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Return what is wrong with a request; an address that is none does not exist."""
    first = error.errors()[0]
    if first["loc"][0] == "path":
        return problem(HTTPStatus.NOT_FOUND, "there is no such address")
    where = ".".join(map(str, first["loc"]))
    return respond(problem_from_error(ValueError(f"{where}: {first['msg']}")))


async def explain_crash(_request: Request, _error: Exception) -> JSONResponse:
    """Return that something went wrong, and not what: the server logs that."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed")


EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Any]] = {
    ScanQueueError: explain,
    RequestValidationError: explain_invalid,
    AnyHTTPException: explain_http,
    Exception: explain_crash,
}
"""For the argument `exception_handlers` of the application."""


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
