"""How a setting is written in the environment, and what is wrong with one that is none."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from attrs import Attribute

RATE = r"[1-9][0-9]* ?(/|per) ?([1-9][0-9]* ?)?(second|minute|hour|day)s?"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def between(least: float, most: float) -> Callable[[object, Attribute[Any], float], None]:
    """Return a validator of numbers, which names the variable of what is out of these bounds."""

    def check(_settings: object, attribute: Attribute[Any], value: float) -> None:
        if not least <= value <= most:  # nor nan
            message = f"{variable(attribute.name)}: must be from {least} to {most}, not {value}"
            raise ValueError(message)

    return check


def matching(pattern: str, what: str) -> Callable[[object, Attribute[Any], str], None]:
    """Return a validator of texts, which does not repeat one that is wrong: it may be secret."""

    def check(_settings: object, attribute: Attribute[Any], value: str) -> None:
        if not re.fullmatch(pattern, value):
            message = f"{variable(attribute.name)}: must be {what}"
            raise ValueError(message)

    return check


def variable(name: str) -> str:
    """Return what a setting is called in the environment."""
    return f"MEDIASERVER_{name.upper()}"


def read_folder(text: str) -> Path:
    """Return a folder, which may begin with `~`.

    Raises:
        ValueError: There is no such home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        message = f"{text!r}: there is no such home folder"
        raise ValueError(message) from None


def read_folders(text: str) -> list[Path]:
    """Return folders that are written with `:` in between, or `;` on Windows.

    Raises:
        ValueError: There is no such home folder.
    """
    return [read_folder(name) for name in text.split(os.pathsep) if name]


def read_integer(text: str) -> int:
    """Return a whole number.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch("-?[0-9]{1,9}", text):
        message = f"must be a whole number, not {text!r}"
        raise ValueError(message)
    return int(text)


def read_seconds(text: str) -> float:
    """Return a number of seconds.

    Raises:
        ValueError: It is none.
    """
    try:
        return float(text)
    except ValueError:
        message = f"must be a number of seconds, not {text!r}"
        raise ValueError(message) from None


def read_switch(text: str) -> bool:
    """Return whether something is on.

    Raises:
        ValueError: It is neither 1 nor 0.
    """
    if text not in ("0", "1"):
        message = f"must be 0 or 1, not {text!r}"
        raise ValueError(message)
    return text == "1"


def read_duration(text: str) -> timedelta:
    """Return a duration as people write it: `30m`, `6h`, `7d`.

    Raises:
        ValueError: It is none, or no time at all.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})([smhd])", text)
    if found is None:
        message = f"{text!r}: must be a number with s, m, h or d behind it, such as 6h"
        raise ValueError(message)
    return timedelta(**{UNITS[found[2]]: int(found[1])})
