"""What clients send, and how it is checked."""

import json
import re
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.convertors import UUIDConvertor, register_url_convertor

from scanqueue import LibraryId, ScanScope, WhenRunning

from .lifespan import ScanQueue
from .models import ScanRequest


async def get_scan_queue(request: Request) -> ScanQueue:
    """Return what the lifespan has yielded."""
    found: ScanQueue = request.state.scan_queue
    return found


def find_library(library_id: str, here: Annotated[ScanQueue, Depends(get_scan_queue)]) -> LibraryId:
    """Return the library of an address; FastAPI runs this on a thread, since it is no coroutine.

    Raises:
        HTTPException: There is none.
    """
    library = here.find_library(library_id)
    if library is None:
        raise HTTPException(404, "there is no such library")
    return library


Library = Annotated[LibraryId, Depends(find_library)]


async def read_scan_request(request: Request, _library: Library) -> tuple[ScanScope, WhenRunning]:
    """Return what the body asks for; an empty one asks for a scan of everything.

    FastAPI would read a body that is a parameter before it asks whether there is such a library,
    and check it on the event loop.

    Raises:
        HTTPException: It is not JSON, or too long.
        RequestValidationError: It is no such object.
    """
    await require_json(request)
    body = await request.body()
    return await run_in_threadpool(parse, body or b"{}")


def parse(body: bytes) -> tuple[ScanScope, WhenRunning]:
    """Return what a body asks for.

    Raises:
        RequestValidationError: It is no such object.
    """
    try:
        wanted = ScanRequest.model_validate(json.loads(body))
        return ScanScope(paths=wanted.paths, deep=wanted.deep), wanted.when_running
    except ValidationError as error:
        found = [{**entry, "loc": ("body", *entry["loc"])} for entry in error.errors()]
        raise RequestValidationError(found) from error
    except (ValueError, RecursionError) as error:
        raise RequestValidationError([{"loc": ("body",), "msg": str(error)}]) from error


async def require_json(request: Request) -> None:
    """Refuse a body that is not JSON; also a dependency.

    Raises:
        HTTPException: It is not.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (kind[:12] == "application/" and kind[-5:] == "+json")
    if not is_json and await request.body():
        raise HTTPException(415, "the body must be JSON")


def has_tag(header: str, tag: str) -> bool:
    """Return whether `If-None-Match` has an entity tag, or is `*`, which is any of them."""
    return header.strip() == "*" or tag in re.findall('"([^"]*)"', header)


def check_digits(value: Any) -> Any:  # noqa: ANN401 - whatever pydantic has
    """Return a number that is written in digits; pydantic takes `1.0` and `+1_0` for one, too.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,19}", value):
        raise ValueError("must be a number")
    return value


Digits = BeforeValidator(check_digits)
Limit = Annotated[int, Query(ge=0, le=1000), Digits]
Cursor = Annotated[int | None, Query(ge=0, lt=2**63), Digits]
LastEventId = Annotated[
    int | None, Header(ge=0, lt=2**63), Digits, BeforeValidator(lambda text: text.strip() or None)
]
"""An empty one is as good as none."""


class TaskIdConvertor(UUIDConvertor):
    """Takes the one form that ids have in answers; that of Starlette does without hyphens, too."""

    regex = UUIDConvertor.regex.replace("-?", "-")


register_url_convertor("task_id", TaskIdConvertor())
