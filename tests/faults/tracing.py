"""The strace that aims the faults and records the writes."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import attrs

from tests.faults.after import Log
from tests.faults.script import files

WRITES = ("write", "pwrite64", "ftruncate", "fsync", "fdatasync")
NAMES = ("openat", "link", "linkat", "unlink", "unlinkat", "rename", "renameat", "renameat2")
TIMEOUT = 90
"""Seconds after which a run hangs."""


@functools.cache
def why_not() -> str | None:
    """Return why nothing can be traced here; None: it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", *OPTIONS, "-o", os.devnull, "-e", "inject=fsync:error=EIO:when=9", "true"]
    probe = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"strace does not work here: {probe.stderr.strip()}" if probe.returncode else None


OPTIONS = ("-f", "-y", "-qq", "-e", "signal=none")


@attrs.define
class Traced:
    """A run of the script, and what strace saw of it."""

    code: int
    log: Log
    trace: list[str]


def run_traced(
    folder: Path,
    *options: str,
    durability: str = "full",
    lengthens: bool = False,
    sees_log: bool = False,
) -> Traced:
    """Run the script on `queue.db` in a folder of its own, under strace.

    Args:
        folder: Where to keep that folder, the log and the trace.
        options: More for strace.
        durability: That of the store.
        lengthens: Whether SQLite's log is given its length at once.
        sees_log: Whether the trace has what is written to the log, too.
    """
    file, log, trace = folder / "disk" / "queue.db", folder / "log", folder / "trace"
    for old in (log, trace):
        old.unlink(missing_ok=True)
    shutil.rmtree(file.parent, ignore_errors=True)
    file.parent.mkdir()
    watched: Iterable[Path] = [*files(file), log] if sees_log else files(file)
    calls = ",".join(f"?{name}" for name in (*WRITES, *NAMES))
    kills = any("signal=SIGKILL" in option for option in options)
    command = ["strace", *OPTIONS, "-o", str(trace), "-e", f"trace={calls}", *options]
    if not kills:  # with which strace 6 forgets the signals it is to send; but it is faster
        command.append("--seccomp-bpf")
    command += [argument for path in watched for argument in ("-P", str(path))]
    command += [sys.executable, "-m", "tests.faults.script", str(file), str(log), durability]
    command.append("lengthens" if lengthens else "")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=TIMEOUT)
        except BaseException:  # strace alone would leave the run behind
            os.killpg(process.pid, signal.SIGKILL)
            raise
    text = log.read_bytes() if log.exists() else b""
    traced = Traced(process.returncode, Log.read(text), trace.read_text().splitlines())
    assert not errors or kills, f"the run wrote to stderr:\n{errors}"
    return traced
