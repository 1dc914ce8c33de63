"""What a process of the crash loop writes down, and nobody can take back."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
"""One line: `what` happened, `t`, the monotonic clock of the machine in nanoseconds, and data."""


class Log:
    """An append-only file of one process; a line is one system call."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, what: str, **data: object) -> None:
        """Write a line."""
        entry = {"what": what, "t": time.monotonic_ns(), **data}
        os.write(self._descriptor, (json.dumps(entry) + "\n").encode())


class LogReader:
    """Follows the log of a process.

    Args:
        path: The log, which may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.entries: list[Entry] = []

    def read(self) -> list[Entry]:
        """Return the lines that are new since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            # What follows the last line is still being written, or its writer was killed in it.
            text, end, _ = file.read().rpartition(b"\n")
        self._offset += len(text + end)
        new = [json.loads(line) for line in text.splitlines()]
        self.entries += new
        return new
