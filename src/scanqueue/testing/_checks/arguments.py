"""The arguments that several checks have, refused where they can only be a mistake."""

from __future__ import annotations

from typing import Final

from scanqueue._validate import check_seconds, wrong_type, wrong_value

MAKES: Final = "a function that makes a store"
REOPENS: Final = "a function that makes another store of the same queue, or None"

_DAY: Final = 86_400.0


def check_function(name: str, value: object, expected: str) -> None:
    """Refuse what cannot be called: it would be taken for a broken promise.

    Args:
        name: The argument.
        value: What it is.
        expected: What it should be: "a function that ...".
    """
    if not callable(value):
        wrong_type(name, value, expected)


def check_patience(value: object) -> float:
    """Return the patience in seconds, which is more than none.

    A day is as good as for ever, and every system can wait for so long.
    """
    seconds = check_seconds("patience", value)
    if seconds == 0:
        wrong_value("patience", value, "a number of seconds above 0")
    return min(seconds, _DAY)
