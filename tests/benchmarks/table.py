"""The table, and its place in the documentation."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from sqlite3 import sqlite_version

from tests.benchmarks.harness import OURS, Line, Unit

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "speed.md"
BEGIN = "<!-- benchmarks: begin (python -m tests.benchmarks --write {}) -->"
END = "<!-- benchmarks: end -->"

HEADER = ("what", OURS, "against", "", "ratio (min..max)", "target [aim]")


def describe_machine() -> str:
    """Say what was measured on."""
    names = (
        *("huey", "APScheduler", "persist-queue", "SQLAlchemy", "tqdm"),
        *("attrs", "sortedcontainers"),
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
        f" ({platform.machine()}, {len(os.sched_getaffinity(0))} cores);"
        f" SQLite {sqlite_version}, {libraries}."
    )


def render(lines: Iterable[Line]) -> str:
    """Return the table in Markdown, with columns that are even in a terminal too."""
    rows = [HEADER, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)


def write(part: str, text: str) -> None:
    """Put text between the markers of a part of the page."""
    page, begin = PAGE.read_text("utf-8"), BEGIN.format(part)
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{END}{tail}", "utf-8")


def _cells(line: Line) -> Sequence[str]:
    comparison = line.comparison
    reference = comparison.reference
    other = "" if line.other is None else _show(line.other, comparison.unit)
    return (
        comparison.title,
        _show(line.value, comparison.unit),
        "" if reference is None else reference.removeprefix(f"{OURS}, "),
        other,
        _show_ratio(line),
        _show_target(line),
    )


def _show(value: float, unit: Unit) -> str:
    if unit is Unit.BYTES:
        return f"{value:,.0f} B"
    if unit is Unit.RATE:
        return f"{1 / value:,.0f}/s"
    if value < 1e-6:
        return f"{value * 1e9:.0f} ns"
    if value < 1e-3:
        return f"{_digits(value * 1e6)} us"
    return f"{_digits(value * 1e3)} ms"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _show_ratio(line: Line) -> str:
    if line.ratio is None:
        return ""
    low, high = min(line.ratios), max(line.ratios)
    spread = f" ({_digits(low)}..{_digits(high)})" if len(line.ratios) > 1 else ""
    return f"{_digits(line.ratio)} {line.comparison.versus.value}{spread}"


def _show_target(line: Line) -> str:
    comparison = line.comparison
    target, aim = comparison.target, comparison.aim
    if target is None:
        return ""
    shown = _show(target, comparison.unit) if comparison.reference is None else f"{target:g}"
    if aim is not None:
        shown += f" [{aim:g}]"
    if not line.reaches(target):
        return f"{shown}: not reached"
    return f"{shown}: " + ("both reached" if aim is not None and line.reaches(aim) else "reached")
