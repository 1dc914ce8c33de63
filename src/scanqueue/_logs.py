"""Log records: a static message, its data in prefixed attributes, and no harm from a handler."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

PREFIX = "scanqueue_"
"""Before the name of each attribute: a bare `name` or `message` would collide with logging's."""


def log(
    logger: Logger,
    level: int,
    message: str,
    error: BaseException | None = None,
    **data: object,
) -> None:
    """Write a record. A handler of the host that raises, or exits, must not end a worker.

    Args:
        logger: The logger of the module.
        level: One of the levels of `logging`.
        message: What happened, always in the same words.
        error: What to show the traceback of.
        **data: The attributes of the record, without their prefix.
    """
    extra = {PREFIX + name: value for name, value in data.items()}
    with suppress(BaseException):
        logger.log(level, message, exc_info=error, extra=extra, stacklevel=2)
