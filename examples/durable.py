"""Scan folders with a queue that outlives its process: kill it, start it again, and it goes on.

    python examples/durable.py FILE [FOLDER ...]

FILE keeps the queue, FILE-catalogue what was found. Without folders it goes on with what is left.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
from threading import Event
from typing import TYPE_CHECKING

from medialibrary import Catalogue, MediaScanner, printable
from scanqueue import ScanQueueService, SQLiteStore, StoreError, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanqueue import ScanTask


def main(arguments: Sequence[str] | None = None) -> int:
    """Go on with what is left, scan the folders, and return the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        catalogue = Catalogue(f"{options.file}-catalogue")
        queue = ScanQueueService(
            MediaScanner(catalogue, pause=options.pause),
            store=SQLiteStore(options.file),
            max_interruptions=100,  # you are going to kill it more often than a server dies
        )
        revision = queue.revision
        for task in [*queue.list_running(), *queue.list_pending()]:
            show(catalogue, task, "left from before: ")
        with queue:  # from here on, what a dead process was scanning is pending again
            for folder in options.folders:
                queue.submit_task(catalogue.add_library(folder).id)
            return follow(queue, catalogue, revision)
    except (OSError, ValueError, sqlite3.Error, StoreError) as error:
        parser.error(str(error))


def follow(queue: ScanQueueService, catalogue: Catalogue, revision: int) -> int:
    """Show every change until all is done, or until Ctrl-C, and return the exit code."""
    stop = Event()  # a signal handler must not call the queue, but may say that it is time to
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    has_failed = False
    while not stop.is_set():
        stats = queue.stats()
        is_over = stats.pending == stats.running == stats.stopping == 0
        for task in queue.list_changes(revision, timeout=0.0 if is_over else 0.1):
            revision = task.revision
            show(catalogue, task)
            has_failed |= task.is_ended and task.status is not TaskStatus.COMPLETED
        if is_over:
            print("nothing is left to do")
            return int(has_failed)
    queue.shutdown(interrupt_running=True)  # the running scan goes back into the queue
    print(f"stopped with {queue.pending_count()} to do: start it again, and it goes on")
    return 130


def show(catalogue: Catalogue, task: ScanTask, prefix: str = "") -> None:
    """Print what there is to say of a task."""
    words = [str(task.status)]
    if task.attempt:
        words.append(f"attempt {task.attempt}")
    if task.interruptions:
        words.append(f"interruptions {task.interruptions}")
    if task.progress.total_paths is not None:
        words.append(f"{task.progress.scanned_paths} of {task.progress.total_paths} files")
    if task.result is not None:
        words.append(f"{task.result.added_count} added")
    if task.error is not None:
        words.append(task.error)
    folder = printable(catalogue.library(task.library_id).folder)
    print(f"{prefix}{folder}: {', '.join(words)}", flush=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Scan folders with a queue that outlives its process.",
        epilog="Exit code: 0 when all scans completed, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_argument("file", metavar="FILE", help="keeps the queue; made when missing")
    parser.add_argument("folders", metavar="FOLDER", nargs="*", help="a library to scan")
    parser.add_argument(
        "--pause",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="wait so long at each file, to have time to kill it (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
