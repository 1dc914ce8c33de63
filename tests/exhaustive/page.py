"""The numbers of the searches, and their place in the documentation."""

from __future__ import annotations

from pathlib import Path

from tests.exhaustive.search import Found
from tests.exhaustive.worlds import LARGE, SMALL, World

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "_exhaustive.md"
BEGIN = "<!-- exhaustive: begin (python -m tests.exhaustive --write) -->"
END = "<!-- exhaustive: end -->"

HEADER = (
    *("world", "libraries", "processes", "priorities", "scopes", "also"),
    *("states", "transitions", "farthest"),
)


def row(world: World, found: Found) -> tuple[str, ...]:
    """Return the cells of a world, and of what was found in it."""
    numbers = (found.states, found.transitions, found.depth)
    return (*_settings(world), *(f"{number:,}" for number in numbers))


def _settings(world: World) -> tuple[str, ...]:
    also = {
        "deaths": world.is_durable,
        "pauses": world.can_pause,
        "clock": world.can_pass_time,
        f"history of {world.history}": world.history > 0,
    }
    names = (world.libraries, world.owners, world.priorities, world.scopes)
    return (
        *(world.name, *(str(len(name)) for name in names)),
        ", ".join(name for name, is_there in also.items() if is_there),
    )


def render(rows: list[tuple[str, ...]]) -> str:
    """Return the table in Markdown."""
    lines = [HEADER, tuple("---" for _ in HEADER), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read() -> list[tuple[str, ...]]:
    """Return the rows that the page has."""
    _, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    table, _, _ = rest.partition(END)
    lines = table.strip().splitlines()[2:]
    return [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in lines]


def write(text: str) -> None:
    """Put a table between the markers of the page."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", "utf-8")


def missing_worlds() -> set[str]:
    """Return the worlds of which the page does not say the same as the code, but for numbers."""
    said = {cells[:-3] for cells in read()}
    return {world.name for world in (*SMALL, *LARGE) if _settings(world) not in said}
