"""Scan folders with `scanqueue`: each is a library, and two are scanned at a time.

    python examples/quickstart.py [FOLDER ...]

Without arguments it scans folders of the Python that runs it. What was found is kept in a
catalogue, so the next run tells what has changed since.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from medialibrary import Catalogue, MediaScanner, name_libraries, python_folders
from quickstart_display import Display
from scanqueue import ScanQueueService, ScanScope, TaskPriority, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from scanqueue import LibraryId, ScanTask

CATALOGUE = Path("~/.cache/scanqueue/quickstart.sqlite3").expanduser()


def main(arguments: Sequence[str] | None = None) -> int:
    """Scan the folders, show how it goes, and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal has every letter
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        catalogue = Catalogue(options.catalogue)
        libraries = [catalogue.add_library(folder) for folder in options.folders]
    except (OSError, sqlite3.Error) as error:
        parser.error(f"cannot use the catalogue {options.catalogue}: {error}")
    names = name_libraries(libraries)
    scope = ScanScope(deep=options.deep)

    with (
        CtrlC() as ctrl_c,
        ScanQueueService(MediaScanner(catalogue), workers=options.workers) as queue,
    ):
        for library_id in names:
            queue.submit_task(library_id, TaskPriority.HIGH, scope=scope)
        with Display(names) as display:
            tasks = follow(queue, names, display, ctrl_c)
        display.summarise(tasks)

    if ctrl_c.pressed:
        return 130
    return 0 if all(task.status is TaskStatus.COMPLETED for task in tasks) else 1


def follow(
    queue: ScanQueueService, library_ids: Iterable[LibraryId], display: Display, ctrl_c: CtrlC
) -> list[ScanTask]:
    """Show every change until all scans are over, and return their tasks; Ctrl-C cancels them."""
    left = set(library_ids)
    ended: dict[LibraryId, ScanTask] = {}
    revision = 0
    while left:
        # Not `queue.changes()`, which waits until something changes: Ctrl-C must not wait so long.
        for task in queue.list_changes(revision, timeout=0.1):
            revision = task.revision
            display.show(task)
            if task.is_ended and not task.is_stopping:
                ended[task.library_id] = task
                left.discard(task.library_id)
        if ctrl_c.pressed:
            for library_id in left:
                queue.cancel_library(library_id)
    return [ended[library_id] for library_id in library_ids]


class CtrlC:
    """Notes Ctrl-C instead of raising KeyboardInterrupt halfway through whatever runs then.

    A signal handler must not call the queue, but may say that it is time to.
    """

    def __init__(self) -> None:
        self.pressed = False

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, *_: object) -> None:
        if not self.pressed:
            self.pressed = True
            return
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), b"\x1b[?25h")  # show the cursor, which the bars hide
        os._exit(130)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Scan folders, each as a library of its own.",
        epilog="Exit code: 0 when all scans completed, 1 when not, 2 when the command line or the"
        " catalogue cannot be used, 130 after Ctrl-C.",
    )
    parser.add_argument(
        "folders",
        metavar="FOLDER",
        nargs="*",
        default=python_folders(),
        help="a library (default: folders of this Python)",
    )
    parser.add_argument(
        "--catalogue",
        metavar="PATH",
        default=CATALOGUE,
        help="where to keep what was found (default: %(default)s)",
    )
    parser.add_argument(
        "--deep", action="store_true", help="read all files again, not just those that changed"
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=positive,
        default=2,
        help="how many libraries to scan at a time (default: %(default)s)",
    )
    return parser


def positive(text: str) -> int:
    """Return a positive number, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
