"""Several processes on one file: nothing is doubled, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scanqueue.stores.sqlite import SQLiteStore
from tests.stores.tools import PATIENCE, waiting

SUBMITTER = """
import sys
from scanqueue import ScanQueueService
from scanqueue.stores import SQLiteStore
queue = ScanQueueService(None, store=SQLiteStore(sys.argv[1]))
sys.stdin.readline()
outcomes = [queue.submit(f"library {number}").outcome.value for number in range(100)]
print(outcomes.count("created"), flush=True)
queue.shutdown()
"""

ENDLESS = """
import sys
from scanqueue import ScanQueueService
from scanqueue.stores import SQLiteStore
queue = ScanQueueService(None, store=SQLiteStore(sys.argv[1], durability=sys.argv[2]))
number = 0
while True:
    queue.submit_task(number)
    print(number, flush=True)
    number += 1
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start another process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_processes_that_make_and_fill_one_queue_at_once(path: Path) -> None:
    """Each library gets one task, made by one of them."""
    processes = [start(SUBMITTER, path) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    created = [int(process.communicate(timeout=3 * PATIENCE)[0]) for process in processes]
    assert sum(created) == 100
    store = SQLiteStore(path)
    store.open("me", 1)
    with store.read() as view:
        assert view.counts().pending == 100
    assert len(waiting(store)) == len(set(waiting(store))) == 100
    store.close()


def test_what_a_killed_process_was_told_is_there(path: Path) -> None:
    """All that it acknowledged, and at most one more, in order."""
    for durability in ("full", "normal"):
        file = path.with_name(durability)
        process = start(ENDLESS, file, durability)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        # Not by `communicate`, which passes over what `readline` has read ahead.
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.communicate()
        store = SQLiteStore(file)
        store.open("me", 1)
        found = waiting(store)
        store.close()
        assert found[: len(told)] == told
        assert len(found) <= len(told) + 1
