"""Starting a module of this package in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def spawn(module: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start `python -m tests.crash.<module>` with pipes.

    Coverage is not measured there: whoever is killed while writing it down spoils its file.
    """
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.crash.{module}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
