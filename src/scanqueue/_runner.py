"""One claimed task, one call of the scanner, one ending."""

from __future__ import annotations

import inspect
from contextlib import suppress
from logging import DEBUG, ERROR, WARNING, getLogger
from typing import TYPE_CHECKING, TypeAlias

from scanqueue._logs import log
from scanqueue._rules import Ending
from scanqueue._text import ERROR_LIMIT, describe_error, storable
from scanqueue._validate import wrong_type
from scanqueue.errors import LibraryUnavailable
from scanqueue.models import EndReason, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue._context import LiveContext
    from scanqueue._core import Core
    from scanqueue.models import LibraryId
    from scanqueue.protocols import ScanContext, Scanner

ScanFunction: TypeAlias = "Callable[[LibraryId, ScanContext], TaskResult]"
"""A scanner, as it is called."""

logger = getLogger(__name__)

_INDESCRIBABLE = Ending(None, EndReason.ERROR, "the scanner raised what cannot be described")


def as_function(scanner: Scanner | ScanFunction) -> ScanFunction:
    """Return what to call of a scanner.

    Raises:
        TypeError: It is no scanner.
    """
    scan = getattr(scanner, "scan", scanner)
    if isinstance(scanner, type) or not callable(scan):
        wrong_type("scanner", scanner, "an object with a scan() method, a function, or None")
    return scan


def run_scan(
    core: Core,
    scan: ScanFunction,
    context: LiveContext,
) -> SystemExit | KeyboardInterrupt | None:
    """Call the scanner of a claimed task, and note in the context how it ended.

    Args:
        core: The service that claimed it.
        scan: The scanner.
        context: The scan.

    Returns:
        What the scanner raised to end its thread. Of other errors nothing is kept: the traceback
        of an error holds the frames of its callers, and with them whatever the scanner had open.
    """
    leaves = None
    core.scans.enter(context)
    try:
        context.ending = _ending(scan(context.library_id, context), context)
    except BaseException as error:  # noqa: BLE001 - whatever it raises, the worker lives on
        context.ending = _INDESCRIBABLE
        with suppress(BaseException):  # the error is the scanner's, and so is all it can be asked
            if isinstance(error, SystemExit | KeyboardInterrupt):
                leaves = error
            context.ending = _failure(error, context)
    finally:
        context.close()
        core.scans.enter(None)
    return leaves


def _ending(result: object, context: LiveContext) -> Ending:
    if type(result) is TaskResult:
        return Ending(result)
    if isinstance(result, TaskResult):
        plain = TaskResult(
            added_count=result.added_count,
            updated_count=result.updated_count,
            removed_count=result.removed_count,
            failed_count=result.failed_count,
        )
        return Ending(plain)
    if inspect.iscoroutine(result):
        result.close()  # so that it does not warn that nobody awaited it
        problem = (
            "the scanner returned a coroutine, not a TaskResult: it must not be an async function"
        )
    else:
        problem = f"the scanner returned {_kind(result)}, not a TaskResult"
    error = storable(f"TypeError: {problem}", ERROR_LIMIT)
    if not context.cancelled:
        _log(ERROR, "a scan failed: its scanner returned no TaskResult", context)
    return Ending(None, EndReason.ERROR, error)


def _kind(result: object) -> str:
    return "None" if result is None else f"an object of type {type(result).__name__}"


def _failure(error: BaseException, context: LiveContext) -> Ending:
    reason = EndReason.ERROR
    if context.cancelled:  # what it raises then is ignored
        _log(DEBUG, "a scan has stopped as it was asked to", context, error)
    elif isinstance(error, LibraryUnavailable):
        reason = EndReason.UNAVAILABLE
        _log(WARNING, "a library is unavailable", context)
    else:
        _log(ERROR, "a scan failed", context, error)
    return Ending(None, reason, describe_error(error))


def _log(
    level: int, message: str, context: LiveContext, error: BaseException | None = None
) -> None:
    slot = context.slot
    log(
        logger,
        level,
        message,
        error,
        task_id=str(slot.task_id),
        library_id=slot.library_id,
        attempt=slot.attempt,
    )
