"""The shared queue, served as a user serves it: a real gunicorn with several processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import quickstart

if not hasattr(os, "fork"):
    pytest.skip("gunicorn forks", allow_module_level=True)

EXAMPLES = Path(quickstart.__file__).parent
Json: TypeAlias = Any

PATIENCE = 30
"""Seconds to wait for what comes within a few."""
FILES = 5

HELD_CONFIG = """
import sys
from pathlib import Path

sys.path.insert(0, {examples!r})
from gunicorn_conf import *
from gunicorn_conf import post_worker_init as start

def post_worker_init(worker):
    from medialibrary import scanner

    read_tags, gate = scanner.read_tags, Path({gate!r})

    def hold(path):
        if path.name == "held.txt" and gate.exists():
            gate.read_bytes()  # waits for who writes it
        return read_tags(path)

    scanner.read_tags = hold
    start(worker)
"""
"""The configuration of the example, with a scanner that waits at one file while a gate is shut."""


class Server:
    """Speaks with a running gunicorn.

    Args:
        address: Where it listens.
        pid: The process that keeps the others.
    """

    def __init__(self, address: str, pid: int) -> None:
        self.address = address
        self.pid = pid

    def ask(self, path: str, method: str = "GET") -> Json:
        """Return the answer to a request; each has a connection of its own."""
        request = Request(self.address + path, method=method)  # noqa: S310 - http, as it said
        with urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - same
            return json.load(response)

    def ask_until(self, path: str, condition: Callable[[Json], bool]) -> Json:
        """Ask again and again until the answer is as it should be, and return it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.ask(path)
            if condition(answer):
                return answer
            assert time.monotonic() < deadline, answer

    def scan(self) -> str:
        """Ask for a scan of the only library, and return the id of its task."""
        task_id: str = self.ask("/libraries/1/scan", "POST")["task"]["id"]
        return task_id

    def scan_to_the_gate(self) -> str:
        """Ask for a scan, wait until it waits at the gate, and return the id of its task."""
        task_id = self.scan()
        self.ask_until(f"/tasks/{task_id}", lambda task: task["progress"]["message"] == "held.txt")
        return task_id


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """Run gunicorn until the block ends, with a library of some files."""
    environment = os.environ | {
        "HOME": str(folder),  # newer ones keep a socket in there
        "SCAN_FOLDERS": str(folder / "music"),
        "SCAN_QUEUE": str(folder / "queue.sqlite3"),
    }
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *arguments]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        log = []
        try:
            for line in process.stderr:
                log.append(line)
                if found := re.search(r"Listening at: (http://\S+)", line):
                    yield Server(found[1], process.pid)
                    break
            else:
                raise AssertionError("".join(log))
        finally:
            process.terminate()
            process.stderr.read()  # to its end: all of its processes are gone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a library in it."""
    music = tmp_path / "music"
    music.mkdir()
    for number in range(FILES - 1):
        (music / f"{number}.txt").touch()
    (music / "held.txt").touch()
    return tmp_path


@pytest.fixture
def gate(folder: Path) -> Path:
    """What holds each scan at one file for as long as it exists."""
    gate = folder / "gate"
    os.mkfifo(gate)
    (folder / "held.py").write_text(HELD_CONFIG.format(examples=str(EXAMPLES), gate=str(gate)))
    return gate


def open_gate(gate: Path) -> None:
    """Let go the scan that waits, and hold no other."""
    gate.rename(gate.with_name("opened"))
    gate.with_name("opened").write_bytes(b"go on")


def test_processes_share_a_queue(folder: Path, gate: Path) -> None:
    """What one process scans all others see: its progress, and its end."""
    with serving(folder, "--config", str(folder / "held.py")) as server:
        task_id = server.scan_to_the_gate()
        scanning = server.ask_until("/stats", lambda stats: stats["busy_workers"] == 1)
        others = server.ask_until("/stats", lambda stats: stats["busy_workers"] == 0)
        assert others["process"] != scanning["process"]
        assert others["running"] == 1
        for _ in range(10):  # whoever answers
            assert server.scan() == task_id
        open_gate(gate)
        ended = server.ask_until(f"/tasks/{task_id}", lambda task: task["status"] != "running")
        assert (ended["status"], ended["attempt"]) == ("completed", 1)
        assert ended["result"]["added_count"] == FILES


def test_a_killed_process_loses_nothing(folder: Path, gate: Path) -> None:
    """Its scan begins again in another process, by itself."""
    with serving(folder, "--config", str(folder / "held.py"), "--workers", "2") as server:
        task_id = server.scan_to_the_gate()
        scanning = server.ask_until("/stats", lambda stats: stats["busy_workers"] == 1)
        gate.unlink()  # the next scan is not held
        os.kill(scanning["process"], signal.SIGKILL)
        ended = server.ask_until(f"/tasks/{task_id}", lambda task: task["status"] == "completed")
        assert (ended["attempt"], ended["interruptions"]) == (2, 1)


def test_a_restart_goes_on_without_a_request(folder: Path, gate: Path) -> None:
    """A scan that the end of the server interrupts goes back, and does not count as interrupted."""
    with serving(folder, "--config", str(folder / "held.py")) as server:
        task_id = server.scan_to_the_gate()
        os.kill(server.pid, signal.SIGTERM)
        open_gate(gate)
    with serving(folder, "--config", str(EXAMPLES / "gunicorn_conf.py")) as server:
        ended = server.ask_until(f"/tasks/{task_id}", lambda task: task["status"] == "completed")
        assert ended["interruptions"] == 0


@pytest.mark.parametrize("arguments", [[], ["--preload"]])
def test_it_runs_as_it_is(folder: Path, arguments: list[str]) -> None:
    """Also when it is loaded before the fork."""
    with serving(folder, "--config", str(EXAMPLES / "gunicorn_conf.py"), *arguments) as server:
        task_id = server.scan()
        server.ask_until(f"/tasks/{task_id}", lambda task: task["status"] == "completed")
        (library,) = server.ask("/libraries")
        assert (library["folder"], library["task"]) == (str(folder / "music"), None)
        assert [task["id"] for task in server.ask("/tasks")] == [task_id]
        with pytest.raises(HTTPError) as refused:
            server.ask(f"/tasks/{task_id}", "DELETE")
        assert refused.value.code == 409
        assert json.load(refused.value)["type"] == "urn:scanqueue:task-not-cancellable"
        refused.value.close()
        for path in ("/libraries/2/scan", f"/tasks/{task_id[:-4]}0000"):
            with pytest.raises(HTTPError) as missing:
                server.ask(path, "POST" if path.endswith("scan") else "GET")
            assert missing.value.code == 404
            missing.value.close()
