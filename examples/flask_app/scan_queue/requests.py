"""What clients send, and how it is checked."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import abort, request

from scanqueue import ScanScope, WhenRunning

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PATHS = 1000
"""How many paths a request may give: those of a scope, before it becomes the whole library."""


class InvalidArgument(ValueError):  # noqa: N818 - it says what happened
    """What a client sent is not as it should be."""


def read_scan_request() -> tuple[ScanScope, WhenRunning]:
    """Return what the body asks for; an empty one asks for a scan of everything.

    Raises:
        InvalidArgument: It is no such object.
        HTTPException: It is not JSON.
    """
    if not read_body():
        return ScanScope(), WhenRunning.JOIN
    data = read_object("paths", "deep", "when_running")
    with reading():
        paths = data.get("paths", [])
        if not isinstance(paths, list) or len(paths) > MAX_PATHS:
            raise InvalidArgument(f"paths: must be a list of at most {MAX_PATHS}")
        scope = ScanScope(paths=paths, deep=data.get("deep", False))
        return scope, WhenRunning(data.get("when_running", WhenRunning.JOIN))


def read_body() -> bytes:
    """Return the body.

    Raises:
        HTTPException: It is too long.
    """
    body = request.get_data()
    if not request.content_length:  # it came in chunks, and may have been cut off
        request.stream.read(1)
    return body


def read_object(*keys: str) -> dict[str, Any]:
    """Return the body, which has no other keys than these.

    Raises:
        InvalidArgument: It is no such object.
        HTTPException: It is not JSON.
    """
    body = read_body()
    if body and not request.is_json:
        abort(415, "the body must be JSON")
    with reading():
        data = json.loads(body)
        if not isinstance(data, dict) or data.keys() - set(keys):
            raise InvalidArgument(f"body: must be an object of {', '.join(keys)}")
        return data


def parameters() -> dict[str, str]:
    """Return what is behind the address; of several with one name, the last one counts."""
    return dict(request.args.items(multi=True))


def read_number(text: str, most: int = 2**63 - 1) -> int:
    """Return the number that an address or a header has.

    Raises:
        InvalidArgument: It is none, or greater than `most`.
    """
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > most:
        raise InvalidArgument(f"{text[:30]!r}: must be a number from 0 to {most}")
    return int(text)


def has_tag(header: str, tag: str) -> bool:
    """Return whether `If-None-Match` has an entity tag, or is `*`, which is any of them."""
    return header.strip() == "*" or tag in re.findall('"([^"]*)"', header)


@contextmanager
def reading() -> Iterator[None]:
    """Have whatever is wrong with what a client sent be an `InvalidArgument`."""
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(str(error)) from error
