"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, jsonify

from scanqueue import StoreError
from scanqueue.wire import problem_from_error

if TYPE_CHECKING:
    from werkzeug.exceptions import HTTPException

    from scanqueue.wire import ProblemDict

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which a client that was refused may try again."""
DETAILS = {
    404: "there is no such address",
    405: "there is no such method here",
    413: "the body is too long",
    500: "the server failed",
}
"""What to say where Flask has raised the error."""


def explain(error: Exception) -> Response:
    """Return an error of the queue, or a bad argument, as problem details (RFC 9457)."""
    if isinstance(error, StoreError):  # what it says is not for strangers
        logger.error("the queue failed: %r", error)
    return respond(problem_from_error(error))


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
