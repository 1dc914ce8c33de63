"""What goes wrong between two statements, and what the weaver must leave as it is."""

from __future__ import annotations

from collections.abc import Iterator


class Counter:
    """Counts without a lock."""

    def __init__(self) -> None:
        self.total = 0
        self.firsts: list[str] = []

    def count(self) -> None:
        """Count one, and note who was the first."""
        self.total += 1
        if not self.firsts:
            self.firsts.append("first")


def everything(number: int) -> list[object]:
    """Return what all kinds of statements come to."""
    found: list[object] = []

    def steps() -> Iterator[int]:
        nonlocal number
        while number > 0 and number != 2:
            number -= 1
            yield number

    for step in steps():
        if step == 3 or not step:
            continue
        if step == 4:
            found.append("four")
        else:
            found.append(step)
    try:
        found[0] += 1  # type: ignore[operator]
    except TypeError as error:
        found.append(type(error).__name__)
    else:
        found.append("no error")
    finally:
        found.append("end")
    with Nothing() as nothing:
        found.append(min(["b", "a", nothing], key=lambda value: value or "none"))
    return found


class Nothing:
    """A context of no use."""

    def __enter__(self) -> str:
        return ""

    def __exit__(self, *exc_info: object) -> None:
        return None
