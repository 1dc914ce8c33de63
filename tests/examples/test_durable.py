"""The durable example, run as a user runs it: killed in the middle, and started again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import durable
from scanqueue import ScanQueueService, SQLiteStore, TaskStatus

pytestmark = pytest.mark.slow

if sys.platform == "win32":
    pytest.skip("signals and file locks of POSIX are the point", allow_module_level=True)

SCRIPT = str(Path(durable.__file__))
FILES = 100
SLOWLY = ("--pause", "0.25")
"""With so many files, a scan takes longer than the test that kills it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the queue is to be."""
    return tmp_path / "queue.sqlite3"


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two libraries."""
    folders = [tmp_path / "music", tmp_path / "books"]
    for folder in folders:
        folder.mkdir()
        for number in range(FILES):
            (folder / f"{number}.txt").touch()
    return folders


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the example to its end."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )


@contextmanager
def in_the_middle(of: Path, file: Path, *arguments: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the example until some files of a library are scanned."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, *SLOWLY, file, *arguments],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if re.match(rf"{re.escape(str(of))}: running, .*[1-9]\d* of {FILES} files$", line):
                    break
            yield process
        finally:
            process.kill()


def attempts(file: Path) -> dict[str, tuple[str, int, int]]:
    """Return how the tasks in a queue have ended: status, attempt and interruptions."""
    queue = ScanQueueService(None, store=SQLiteStore(file))
    assert queue.pending_count() == 0
    tasks = queue.list_tasks()
    queue.shutdown()
    assert len(tasks) == len({task.library_id for task in tasks})
    return {
        str(task.library_id): (task.status.value, task.attempt, task.interruptions)
        for task in tasks
    }


def test_killed_in_the_middle_it_goes_on(file: Path, folders: list[Path]) -> None:
    """The scan that was killed begins again, the one that waited begins; each ends once."""
    with in_the_middle(folders[0], file, *folders) as process:
        process.kill()
    again = run(file)
    assert again.returncode == 0, again.stderr
    lines = again.stdout.splitlines()
    assert lines[0].startswith(f"left from before: {folders[0]}: running, attempt 1, ")
    assert lines[1] == f"left from before: {folders[1]}: pending"
    ended = [line for line in lines if ": completed, " in line]
    assert ended == [
        f"{folders[0]}: completed, attempt 2, interruptions 1, 100 of 100 files, 100 added",
        f"{folders[1]}: completed, attempt 1, 100 of 100 files, 100 added",
    ]
    assert lines[-1] == "nothing is left to do"
    assert attempts(file) == {"1": ("completed", 2, 1), "2": ("completed", 1, 0)}
    assert run(file).stdout == "nothing is left to do\n"


def test_killed_again_and_again_it_goes_on(file: Path, folders: list[Path]) -> None:
    """Each death is counted, and the work is done in the end."""
    for _ in range(3):
        with in_the_middle(folders[0], file, folders[0]) as process:
            process.kill()
    assert run(file).returncode == 0
    assert attempts(file) == {"1": ("completed", 4, 3)}


def test_killed_at_any_moment_it_goes_on(file: Path, folders: list[Path]) -> None:
    """Also before it says anything: while it starts, makes its files, submits, or ends."""
    began = time.monotonic()
    assert run(file, *folders).returncode == 0
    whole = time.monotonic() - began
    for number in range(8):
        with subprocess.Popen([sys.executable, SCRIPT, file, *folders]) as process:
            time.sleep(whole * number / 8)
            process.kill()
    again = run(file, *folders)
    assert again.returncode == 0, again.stderr
    assert again.stdout.endswith("nothing is left to do\n")
    queue = ScanQueueService(None, store=SQLiteStore(file))
    tasks = queue.list_tasks(100)
    queue.shutdown()
    assert {task.status for task in tasks} == {TaskStatus.COMPLETED}
    assert {task.library_id for task in tasks} == {1, 2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_puts_the_scan_back(file: Path, folders: list[Path], number: signal.Signals) -> None:
    """It leaves at once, and what it leaves does not count as interrupted."""
    with in_the_middle(folders[0], file, *folders) as process:
        process.send_signal(number)
        assert process.stdout is not None
        shown = process.stdout.read()
        assert process.wait() == 130
    assert shown.endswith("stopped with 2 to do: start it again, and it goes on\n")
    assert run(file).returncode == 0
    assert attempts(file) == {"1": ("completed", 2, 0), "2": ("completed", 1, 0)}


def test_two_processes_share_the_work(file: Path, folders: list[Path]) -> None:
    """Started beside the first, a second one scans what waits, and nothing twice."""
    with in_the_middle(folders[0], file, *folders) as first:
        with in_the_middle(folders[1], file) as second:
            running = ScanQueueService(None, store=SQLiteStore(file))
            assert len(running.list_running()) == 2
            running.shutdown()
            second.kill()
        first.kill()
    assert run(file).returncode == 0
    assert attempts(file) == {"1": ("completed", 2, 1), "2": ("completed", 2, 1)}


def test_a_library_that_is_away_is_told(file: Path, tmp_path: Path) -> None:
    """With why, and with exit code 1."""
    missing = tmp_path / "missing"
    result = run(file, missing)
    assert result.returncode == 1
    expected = f"{missing}: failed, attempt 1, LibraryUnavailable: No such file or directory: "
    assert f"{expected}{missing}" in result.stdout.splitlines()


def test_a_file_that_cannot_be_used_is_refused(file: Path) -> None:
    """With the usage, the reason and exit code 2; it is not touched."""
    file.write_text("not a queue " * 1000)
    result = run(file)
    assert result.returncode == 2
    assert "it is no SQLite database" in result.stderr
    assert "Traceback" not in result.stderr
    assert file.read_text() == "not a queue " * 1000
