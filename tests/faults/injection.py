"""Kill, EIO and ENOSPC at each system call that writes, syncs, cuts, opens or removes a file.

A killed process dies in front of the call; a failed call has done nothing. The count of calls is
that of each thread: at the n-th of each one, the fault comes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.faults.after import check_file, check_log
from tests.faults.tracing import Traced, run_traced

CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
FAULTS = {"kill": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
ERRORS = {"EIO": {"StoreError"}, "ENOSPC": {"StoreFullError", "StoreError"}}
LENGTHENING = range(16, 80)
"""The calls of `pwrite64` around those by which SQLite's log is given its length."""
READ_ONLY = "StoreReadOnlyError"
"""What any failure to open a file for writing looks like: SQLite then opens it for reading."""


@attrs.frozen
class Point:
    """Where a fault comes: at the n-th call of a kind."""

    fault: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.fault} at {self.call} {self.number}"


def count_calls(folder: Path) -> dict[str, int]:
    """Run without a fault, and return how often a thread makes each call on the files."""
    traced = run_traced(folder)
    assert traced.code == 0
    assert traced.log.is_done()
    found = Counter(
        match.group(1, 2) for line in traced.trace if (match := CALL.match(line)) is not None
    )
    most: dict[str, int] = {}
    for (_, call), count in found.items():
        most[call] = max(count, most.get(call, 0))
    return most


def points(counts: dict[str, int]) -> Iterator[Point]:
    """Yield all places for a fault."""
    for fault in FAULTS:
        for call, count in sorted(counts.items()):
            for number in range(1, count + 1):
                yield Point(fault, call, number)


def run_with(point: Point, folder: Path, *, lengthens: bool = False) -> str:
    """Run with a fault, check what is left, and return how it was heard of."""
    fault = f"inject={point.call}:{FAULTS[point.fault]}:when={point.number}"
    traced = run_traced(folder, "-e", fault, lengthens=lengthens)
    check_log(traced.log)
    if point.fault == "kill":
        # Threads differ a little from run to run; the last few calls may not come.
        assert traced.code == -9 or traced.log.is_done()
        heard = "killed" if traced.code else "not reached"
    else:
        assert traced.code == 0, f"the run did not go on: {traced.log.lines[-1:]}"
        assert traced.log.is_done()
        heard = check_heard(point, traced, must_hear=not lengthens)
    check_file(folder / "disk" / "queue.db", traced.log)
    return heard


def check_heard(point: Point, traced: Traced, *, must_hear: bool) -> str:
    """Check that the caller, or a worker's log, heard of a failed write, with its type.

    Args:
        point: Where it failed.
        traced: The run.
        must_hear: Whether every write is one of which it must be heard.
    """
    hit = [line for line in traced.trace if "(INJECTED)" in line]
    told = traced.log.of("failed", "logged")
    for line in told:
        assert hit, f"an error from nowhere: {line}"
        is_opened = point.call == "openat" and line["kind"] == READ_ONLY
        assert is_opened or line["kind"] in ERRORS[point.fault], line
    loses = [line for line in hit if is_needed(line)]
    if loses and must_hear:
        assert told, f"nobody heard of {loses}"
        if point.fault == "ENOSPC":
            assert any(line["kind"] == "StoreFullError" for line in told), told
    return "heard" if told else "harmless" if hit else "not reached"


def is_needed(line: str) -> bool:
    """Return whether a call writes the log of the database: a commit, or a part of it."""
    return "pwrite64" in line and "queue.db-wal>" in line


def chosen(fault: str, counts: dict[str, int]) -> list[Point]:
    """Return a few places of each kind, spread over the run."""
    parts = {
        "pwrite64": (0.02, 0.2, 0.5, 0.8),
        "fdatasync": (0.3,),
        "link": (0.0,),
        "fsync": (0.0,),
    }
    parts |= {"unlink": (0.1,), "unlinkat": (0.1,), "ftruncate": (0.4,)}
    return [
        Point(fault, call, 1 + int(part * count))
        for call, count in sorted(counts.items())
        for part in parts.get(call, ())
    ]
