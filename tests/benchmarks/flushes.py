"""How long the disk takes to flush, and how it is made to take longer.

Where a disk answers before it has written, as those of virtual machines do, a benchmark of what is
durable shows little. strace can hold each flush up for a while (`delay_exit`), for everybody alike.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter

from tests.faults.tracing import why_not

DELAY = 100
"""Microseconds by which a flush is made longer, and what strace takes for that."""

_MARK = "SCANQUEUE_BENCHMARKS_DELAY"
_CALLS = "fsync,fdatasync"
_TIMES = 200


def is_slower() -> bool:
    """Tell whether flushes are held up in this process."""
    return _MARK in os.environ


def can_be_slower() -> bool:
    """Tell whether they can be held up, and are not."""
    return not is_slower() and why_not() is None


def run_slower(arguments: Sequence[str]) -> int:
    """Run the benchmarks in a process whose flushes are held up.

    Args:
        arguments: Those of the command line.

    Returns:
        Its exit code.

    Raises:
        SystemExit: There is no strace here, or it does not work.
    """
    reason = why_not()
    if reason is not None:
        raise SystemExit(f"flushes cannot be made slower: {reason}")
    command = [
        *("strace", "-f", "-qq", "-o", os.devnull, "--seccomp-bpf", "-e", f"trace={_CALLS}"),
        *("-e", f"inject={_CALLS}:delay_exit={DELAY}"),
        *(sys.executable, "-m", "tests.benchmarks", *arguments),
    ]
    return subprocess.run(command, env=os.environ | {_MARK: str(DELAY)}, check=False).returncode


def describe() -> str:
    """Say how long a flush takes, in the folder for temporary files."""
    added = f", at least {DELAY} us of it added" if is_slower() else ""
    return (
        f"One flush (`fdatasync` of 4 KiB that were written over): {_time() * 1e6:.0f} us{added}."
    )


def _time() -> float:
    """Return the seconds that a flush takes mostly."""
    times: list[float] = []
    with TemporaryFile(prefix="scanqueue-bench-") as file:
        for _ in range(_TIMES):
            os.pwrite(file.fileno(), os.urandom(4096), 0)
            begin = perf_counter()
            os.fdatasync(file.fileno())
            times.append(perf_counter() - begin)
    return median(times)
