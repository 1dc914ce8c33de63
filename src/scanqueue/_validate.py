"""Checks of arguments: each error names the argument, what it was and what it should be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NoReturn
from uuid import UUID

MAX_INT = 2**63 - 1
MIN_INT = -(2**63)
MAX_LIBRARY_ID_LENGTH = 255
BEGINNING = datetime.min.replace(tzinfo=UTC)
"""The earliest moment."""


def _shown(value: object) -> str:
    """Show a value in an error, however long it is and whatever its `__repr__` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the value is the caller's, so is its __repr__
        text = f"<{type(value).__name__} whose repr fails>"
    return text if len(text) <= 100 else f"{text[:100]}..."  # noqa: PLR2004 - a line's worth


def wrong_type(name: str, value: object, expected: str) -> NoReturn:
    """Raise the TypeError of an argument."""
    message = f"{name} must be {expected}, not {_shown(value)} ({type(value).__name__})"
    raise TypeError(message)


def wrong_value(name: str, value: object, expected: str) -> NoReturn:
    """Raise the ValueError of an argument."""
    message = f"{name} must be {expected}, not {_shown(value)}"
    raise ValueError(message)


def check_library_id(value: object, name: str = "library_id") -> int | str:
    """Return the id as a plain `int` or `str`."""
    if type(value) is str and 0 < len(value) <= MAX_LIBRARY_ID_LENGTH and value.isascii():
        return value
    if isinstance(value, str):
        text = check_unicode(name, value)
        if not 0 < len(text) <= MAX_LIBRARY_ID_LENGTH:
            expected = f"a str of 1 to {MAX_LIBRARY_ID_LENGTH} characters"
            wrong_value(name, value, expected)
        return text
    if not isinstance(value, int) or isinstance(value, bool):
        wrong_type(name, value, "an int or a str")
    number = int.__index__(value)
    if not MIN_INT <= number <= MAX_INT:
        wrong_value(name, value, "an int within 64 bits")
    return number


def check_unicode(name: str, value: str) -> str:
    """Return the text as a plain `str`, refusing what UTF-8 cannot carry (lone surrogates)."""
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            wrong_value(name, value, "valid Unicode, without lone surrogates")
    return text


def check_instance(name: str, value: object, kind: type) -> None:
    """Refuse what is not an instance of the class."""
    if not isinstance(value, kind):
        wrong_type(name, value, f"a {kind.__name__}")


def check_part(name: str, value: object, protocol: type) -> None:
    """Refuse what lacks a method of a runtime-checkable protocol, or is a class of such objects."""
    if isinstance(value, type) or not isinstance(value, protocol):
        wrong_type(name, value, f"an object with the methods of {protocol.__name__}")


def check_task_id(value: object) -> UUID:
    """Return the id as a plain `UUID`."""
    if not isinstance(value, UUID):
        wrong_type("task_id", value, "a uuid.UUID")
    return value if type(value) is UUID else UUID(int=value.int)


def check_int(name: str, value: object, minimum: int = 0) -> int:
    """Return the number as a plain `int` of at least `minimum`, within 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        wrong_type(name, value, "an int")
    number = int.__index__(value)  # plain, whatever a subclass makes of itself
    if not minimum <= number <= MAX_INT:
        wrong_value(name, value, f"an int of at least {minimum}, within 64 bits")
    return number


def check_cursor(value: object) -> int:
    """Return a revision, or, for one beyond 64 bits, the highest: it is as far ahead."""
    return check_int("after", _within_64_bits(value))


def check_limit(value: object) -> int | None:
    """Return None (no limit) or the number, or, for one beyond 64 bits, the largest."""
    return check_optional_int("limit", _within_64_bits(value))


def _within_64_bits(value: object) -> object:
    """Return the largest number instead of a larger one, and anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return min(int.__index__(value), MAX_INT)
    return value


def check_optional_int(name: str, value: object, minimum: int = 0) -> int | None:
    """Return None, or what `check_int` does."""
    return None if value is None else check_int(name, value, minimum)


def check_bool(name: str, value: object) -> bool:
    """Return the value if it is a bool."""
    if not isinstance(value, bool):
        wrong_type(name, value, "a bool")
    return value


def check_seconds(name: str, value: object) -> float:
    """Return a duration in seconds: a number of at least 0, not NaN; infinity is allowed."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        wrong_type(name, value, "a number of seconds")
    if not value >= 0:
        wrong_value(name, value, "a number of seconds of at least 0")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def check_timeout(value: object) -> float | None:
    """Return None (no limit) or the seconds."""
    return None if value is None else check_seconds("timeout", value)


def check_moment(name: str, value: object) -> datetime:
    """Return the moment, which must be aware, in UTC."""
    if not isinstance(value, datetime):
        wrong_type(name, value, "an aware datetime")
    if value.utcoffset() is None:
        wrong_value(name, value, "an aware datetime (with a tzinfo)")
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        wrong_value(name, value, "a moment in the years 1 to 9999 of UTC")
    if type(moment) is datetime:
        return moment
    # What a subclass does must not run under a lock.
    return datetime.combine(datetime.date(moment), datetime.time(moment), UTC)


def check_duration(name: str, value: object) -> timedelta:
    """Return the duration if it is a `timedelta` of at least 0."""
    if not isinstance(value, timedelta):
        wrong_type(name, value, "a timedelta")
    if value < timedelta(0):
        wrong_value(name, value, "a timedelta of at least 0")
    return value
