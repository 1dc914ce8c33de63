"""What the quickstart shows: bars in a terminal, lines elsewhere, and a table in the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from scanqueue import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType

    from scanqueue import LibraryId, ScanTask

STYLES = {
    TaskStatus.COMPLETED: "green",
    TaskStatus.FAILED: "red",
    TaskStatus.CANCELLED: "yellow",
}


class Display:
    """Shows tasks while they change: as a context manager, so that the terminal is left tidy.

    Args:
        names: What to call the libraries.
    """

    def __init__(self, names: Mapping[LibraryId, str]) -> None:
        # Names of files and folders are shown as they are, also if they look like markup.
        self._console = Console(markup=False, emoji=False, highlight=False)
        self._names = names
        self._states = dict.fromkeys(names, "pending")
        self._in_terminal = sys.stdout.isatty()
        self._bars = _Bars(
            _text_column("{task.description}", ratio=3),
            BarColumn(bar_width=None, table_column=Column(ratio=3)),
            MofNCompleteColumn(table_column=Column(justify="right", no_wrap=True)),
            TimeElapsedColumn(),
            _text_column("{task.fields[message]}", ratio=4, style="dim"),
            console=self._console,
            transient=True,
            expand=True,
            disable=not self._in_terminal,
        )
        self._rows = {
            library_id: self._bars.add_task(
                name, total=None, start=False, visible=False, message=""
            )
            for library_id, name in names.items()
        }
        self._total = self._bars.add_task("all libraries", total=len(names), message="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show(self, task: ScanTask) -> None:
        """Show the latest state of a task."""
        row, progress = self._rows[task.library_id], task.progress
        state = "stopping" if task.is_stopping else str(task.status)
        self._bars.update(
            row,
            completed=progress.scanned_paths,
            total=progress.total_paths,
            message="stopping" if task.is_stopping else progress.message or "",
            visible=state in ("running", "stopping"),
        )
        if state == self._states[task.library_id]:
            return
        self._states[task.library_id] = state
        if state == "running":
            self._bars.start_task(row)
        elif state != "stopping":
            self._bars.advance(self._total)
        if not self._in_terminal:
            print(f"{self._names[task.library_id]}: {state}", flush=True)

    def summarise(self, tasks: Iterable[ScanTask]) -> None:
        """Print a table of ended tasks, and below it what went wrong."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("Library", overflow="fold")
        table.add_column("Status", no_wrap=True)
        for heading in ("Files", "Added", "Updated", "Removed", "Failed", "Time"):
            table.add_column(heading, justify="right", no_wrap=True)
        errors = []
        for task in tasks:
            name, style = self._names[task.library_id], STYLES[task.status]
            table.add_row(name, Text(task.status.upper(), style), *_figures(task))
            if task.error:
                errors.append(Text.assemble((f"{name}: ", style), task.error))
        self._console.print(table, *errors, sep="\n")


class _Bars(Progress):
    """Bars, and an empty line for the `^C` that terminals show where the cursor is."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield ""


def _text_column(text: str, *, ratio: int, style: str = "none") -> TextColumn:
    """Return a column of the bars for text that is cut where it does not fit."""
    column = Column(ratio=ratio, no_wrap=True, overflow="ellipsis")
    return TextColumn(text, style=style, markup=False, table_column=column)


def _figures(task: ScanTask) -> list[str]:
    """Return what the table tells in numbers; `-` for what a task has not."""
    found, time = task.result, task.run_time
    return [
        f"{task.progress.scanned_paths:,}",
        f"{found.added_count:,}" if found else "-",
        f"{found.updated_count:,}" if found else "-",
        f"{found.removed_count:,}" if found else "-",
        f"{found.failed_count:,}" if found else "-",
        f"{time.total_seconds():.2f} s" if time else "-",
    ]
