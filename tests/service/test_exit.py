"""Leaving the interpreter without a shutdown: it ends soon, and says so to those who ask."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs
import pytest

import scanqueue

PREAMBLE = """
import gc
import os
import sqlite3
import sys
import threading
from scanqueue import ScanQueueService, SQLiteStore, TaskResult

begun = threading.Event()

def scan(library_id, context):
    begun.set()
    return TaskResult()
"""

EPILOGUE = """
import time
with open(sys.argv[1], "w") as file:
    file.write(str(time.monotonic()))
"""

SLOWEST = 2.0
"""Seconds by which forgotten services may delay the exit, by the contract."""

ENDING = 1.0
"""Seconds that an interpreter may take to end on a busy machine."""


@attrs.frozen
class Exit:
    """How a script ended."""

    code: int
    out: str
    err: str
    seconds: float
    """From the end of the script on."""


def run(script: str, *options: str) -> Exit:
    """Run a script on this Python, in a process of its own."""
    source = str(Path(scanqueue.__file__).parents[1])
    path = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        end = Path(folder, "end")
        done = subprocess.run(
            [sys.executable, *options, "-c", PREAMBLE + script + EPILOGUE, end],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        over = time.monotonic()
        ended = float(end.read_text()) if end.exists() else math.nan
    return Exit(done.returncode, done.stdout, done.stderr, over - ended)


IDLE = """
queue = ScanQueueService(scan, workers=3)
queue.start()
"""

AFTER_WORK = """
queue = ScanQueueService(scan)
queue.start()
queue.wait(queue.submit_task(1))
"""

SLEEPS = """
def scan(library_id, context):
    begun.set()
    context.sleep(3600)

queue = ScanQueueService(scan)
queue.start()
queue.submit_task(1)
queue.submit_task(2)
begun.wait()
"""

IGNORES = """
def scan(library_id, context):
    begun.set()
    while True:
        try:
            threading.Event().wait()
        except BaseException:
            pass

queue = ScanQueueService(scan)
queue.start()
queue.submit_task(1)
queue.submit_task(2)
begun.wait()
"""

SEVERAL = IGNORES + IGNORES.replace("queue =", "another =").replace("queue.", "another.")

REPORTING = """
def scan(library_id, context):
    begun.set()
    while True:
        context.advance()
        context.raise_if_cancelled()

queue = ScanQueueService(scan)
queue.start()
queue.submit_task(1)
begun.wait()
"""

WAITED_FOR = (
    SLEEPS
    + """
def wait():
    try:
        queue.wait(queue.submit_task(1))
    except Exception:
        list(queue.changes())

threading.Thread(target=wait, daemon=True).start()
"""
)

LOST = """
def lose():
    queue = ScanQueueService(scan, workers=3)
    queue.start()
    queue.submit_task(1)

lose()
gc.collect()
"""

BUSY = """
path = os.path.join(os.path.dirname(sys.argv[1]), "queue.db")
queue = ScanQueueService(scan, workers=0, store=SQLiteStore(path))
queue.start()
queue.submit_task(1)
other = sqlite3.connect(path, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
"""

FORGOTTEN = {
    "idle": IDLE,
    "after work": AFTER_WORK,
    "sleeps": SLEEPS,
    "ignores": IGNORES,
    "several": SEVERAL,
    "reporting": REPORTING,
    "waited for": WAITED_FOR,
    "lost": LOST,
}


@pytest.mark.parametrize("script", FORGOTTEN.values(), ids=FORGOTTEN.keys())
def test_a_forgotten_service_warns_and_delays_the_exit_little(script: str) -> None:
    """At most 2 s, whatever its scans do; `ResourceWarning` for who has warnings on."""
    ended = run(script, "-W", "always")

    assert ended.code == 0, ended.err
    assert "ResourceWarning" in ended.err
    assert "shutdown" in ended.err
    assert "Traceback" not in ended.err
    assert "Fatal" not in ended.err
    assert ended.seconds < SLOWEST + ENDING


@pytest.mark.parametrize(
    "script", [IDLE, AFTER_WORK, BUSY], ids=["idle", "after work", "busy store"]
)
def test_a_forgotten_idle_service_delays_nothing(script: str) -> None:
    """There is nothing to wait for, and nothing to tell the store."""
    ended = run(script)

    assert (ended.code, ended.err) == (0, "")
    assert ended.seconds < ENDING


def test_it_warns_in_development_mode() -> None:
    """`-X dev` shows it, too."""
    assert "ResourceWarning" in run(IDLE, "-X", "dev").err


@pytest.mark.parametrize("script", [IDLE, LOST], ids=["idle", "lost"])
def test_without_workers_it_warns_too(script: str) -> None:
    """It was started and not shut down."""
    ended = run(script.replace("workers=3", "workers=0"), "-W", "always")

    assert "ResourceWarning" in ended.err


SILENT = {
    "never started": "queue = ScanQueueService(scan)\nqueue.submit_task(1)",
    "run by hand": "queue = ScanQueueService(scan)\nqueue.submit_task(1)\nqueue.run_pending()",
    "shut down": (
        "queue = ScanQueueService(scan)\nqueue.start()\nqueue.submit_task(1)\nqueue.shutdown()"
    ),
    "left": "with ScanQueueService(scan) as queue:\n    queue.submit_task(1)",
    "shut down at exit": (
        "import atexit\nqueue = ScanQueueService(scan)\natexit.register(queue.shutdown)\n"
        "queue.start()\nqueue.submit_task(1)"
    ),
    "only imported": "",
}


@pytest.mark.parametrize("script", SILENT.values(), ids=SILENT.keys())
def test_who_cleans_up_hears_nothing(script: str) -> None:
    """No warning, no delay."""
    ended = run(script, "-W", "error", "-X", "dev")

    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert ended.seconds < ENDING


def test_an_error_of_the_host_stays_its_own() -> None:
    """The exit code and the traceback are those of the script."""
    ended = run(IDLE + "\nsys.exit(7)")
    assert (ended.code, ended.err) == (7, "")

    ended = run(IDLE + "\nraise ValueError('mine')")
    assert ended.code == 1
    assert ended.err.endswith("ValueError: mine\n")


def test_the_main_thread_may_end_before_the_others() -> None:
    """A host whose work is on another thread uses the queue from there until that ends."""
    ended = run(
        """
queue = ScanQueueService(scan)
queue.start()

def later():
    threading.main_thread().join()
    print(queue.wait(queue.submit_task("music")).status.value)
    print(queue.shutdown())

threading.Thread(target=later).start()
""",
        "-W",
        "error",
    )

    assert (ended.code, ended.out, ended.err) == (0, "completed\nTrue\n", "")


def test_calls_at_exit_are_answered() -> None:
    """What a host registered to run at exit still gets answers, and no hang."""
    ended = run(
        """
import atexit
from scanqueue import QueueClosedError

queue = ScanQueueService(scan)

@atexit.register
def last():
    print(queue.stats().completed, queue.shutdown())

queue.start()
queue.wait(queue.submit_task("music"))
"""
    )

    assert (ended.code, ended.out, ended.err) == (0, "1 True\n", "")


def test_a_scan_is_asked_to_stop_before_the_end() -> None:
    """It has the last moments to put its things in order."""
    ended = run(
        """
from scanqueue import ScanCancelled

def scan(library_id, context):
    begun.set()
    try:
        context.sleep(3600)
    except ScanCancelled:
        print("put in order", flush=True)
        raise

queue = ScanQueueService(scan)
queue.start()
queue.submit_task(1)
begun.wait()
"""
    )

    assert (ended.code, ended.out) == (0, "put in order\n")


def test_a_store_stays_taken_while_workers_are_at_work_on_it() -> None:
    """Also when the host has lost its reference to the service without shutting it down."""
    ended = run(
        """
import gc
from scanqueue import MemoryStore

store = MemoryStore()

def lose():
    queue = ScanQueueService(scan, store=store)
    queue.start()
    queue.submit_task("music")
    begun.wait()

lose()
gc.collect()
try:
    ScanQueueService(scan, store=store)
except ValueError as error:
    print(str(error)[:5])
"""
    )

    assert (ended.code, ended.out) == (0, "store\n"), ended.err
