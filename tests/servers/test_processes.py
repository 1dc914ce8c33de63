"""Real servers: stopped in the middle of a scan, killed, and several processes on one queue."""

import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from flask_app.scan_queue.streams import HEARTBEAT
from scanqueue import ScanQueueService, SQLiteStore, TaskResult, TaskStatus
from tests.servers.drivers import BEARER, Json
from tests.servers.processes import (
    FASTAPI,
    FASTAPI_FACTORY,
    FLASK,
    GUNICORN,
    GUNICORN_ASGI,
    PATIENCE,
    serving,
    starting,
)

pytestmark = pytest.mark.slow

if sys.platform == "win32":
    pytest.skip("signals of POSIX are the point", allow_module_level=True)

FILES = 100
SLOWLY = "0.25"
"""Seconds at each file: a scan takes longer than the test that stops it."""
DEADLINE = 10.0
"""Seconds that a server has to stop, of which a queue needs some moments."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two libraries."""
    for name in ("books", "music"):
        library = tmp_path / "libraries" / name
        library.mkdir(parents=True)
        for number in range(FILES):
            (library / f"{number}.txt").touch()
    return tmp_path


def has_begun(task: Json) -> bool:
    """Return whether some files are scanned."""
    return bool(task["status"] == "running" and task["progress"]["scanned_paths"] > 0)


def is_completed(task: Json) -> bool:
    """Return whether a task is completed."""
    return bool(task["status"] == "completed")


@pytest.mark.parametrize(
    "module",
    [FLASK, FASTAPI, GUNICORN, GUNICORN_ASGI],
    ids=["flask", "uvicorn", "gunicorn", "gunicorn-asgi"],
)
def test_a_server_that_is_stopped_loses_nothing(folder: Path, module: tuple[str, ...]) -> None:
    """In the middle of a scan and of event streams: these end whole, it goes, and then goes on."""
    with serving(folder, *module, pause=SLOWLY) as server:
        ids = [server.scan(1), server.scan(2)]
        server.follow_until(ids[0], has_begun)
        streams = [server.follow() for _ in range(3)]
        for stream in streams:
            next(stream)  # it is open
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=DEADLINE) in (0, -signal.SIGTERM)
        for stream in streams:
            assert list(stream)
        assert "Traceback" not in server.process.communicate()[0]
    with serving(folder, *module) as server:
        # Nobody asks the server anything.
        with ScanQueueService(None, store=SQLiteStore(folder / "data/queue.sqlite3")) as queue:
            tasks = [queue.wait(UUID(task_id), timeout=PATIENCE) for task_id in ids]
        assert [task.status for task in tasks] == [TaskStatus.COMPLETED] * 2
        assert [task.interruptions for task in tasks] == [0, 0]
        assert tasks[0].attempt >= 2  # a worker that is told later may have taken it over
        assert [task.result for task in tasks] == [TaskResult(added_count=FILES)] * 2
        server.stop()


@pytest.mark.parametrize("module", [FLASK, FASTAPI], ids=["flask", "uvicorn"])
def test_without_a_token_one_is_made_up(folder: Path, module: tuple[str, ...]) -> None:
    """And told to the person who has started the server, and to nobody else."""
    with serving(folder, *module, token="") as server:
        made_up = re.search(r"The token, until the server stops: (\S+)", server.log)
        assert made_up is not None
        path = f"{server.address}/api/libraries"
        assert httpx2.get(path, headers=BEARER).status_code == 401
        headers = {"Authorization": f"Bearer {made_up[1]}"}
        assert len(httpx2.get(path, headers=headers).json()) == 2


@pytest.mark.parametrize(
    "module",
    [GUNICORN, GUNICORN_ASGI, FASTAPI_FACTORY, ("medialibrary",)],
    ids=["gunicorn", "gunicorn-asgi", "uvicorn", "medialibrary"],
)
def test_what_nobody_can_make_up_for_is_said_in_one_line(
    folder: Path, module: tuple[str, ...]
) -> None:
    """And it ends, instead of starting its processes again and again."""
    with starting(folder, *module, token="") as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "error: MEDIASERVER_TOKEN is not set" in output
    assert "settings.py" not in output  # no traceback of ours; gunicorn may have one of its own
    assert module is not GUNICORN or output.count("MEDIASERVER_TOKEN") == 1


@pytest.mark.parametrize(
    "module", [FLASK, (*GUNICORN, "--workers", "1")], ids=["flask", "gunicorn"]
)
def test_who_leaves_a_stream_makes_room_for_the_next(folder: Path, module: tuple[str, ...]) -> None:
    """At once, and not when something would have been written to the one that has left."""
    with serving(folder, *module, streams="1") as server:
        server.scan(1)
        begun = time.monotonic()
        for _ in range(3):
            stream = server.follow()
            next(stream)
            assert server.is_full()
            stream.close()
            while server.is_full():
                assert time.monotonic() < begun + PATIENCE
        assert time.monotonic() < begun + HEARTBEAT


def test_workers_share_one_queue(folder: Path) -> None:
    """All of gunicorn's processes answer alike; the death of those that scan loses nothing."""
    with serving(folder, *GUNICORN, pause=SLOWLY) as server:
        pids = [int(server.read_log(r"Booting worker with pid: (\d+)")) for _ in range(3)]
        task_id = server.scan(1)
        server.follow_until(task_id, has_begun)
        assert {server.scan(1) for _ in range(12)} == {task_id}
        assert {server.ask("GET", "/api/scan-queue")["running"] for _ in range(12)} == {1}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        state = server.follow_until(task_id, lambda task: bool(task["attempt"] == 2))
        assert state["interruptions"] == 1
        server.stop()


@pytest.mark.parametrize("module", [GUNICORN, GUNICORN_ASGI], ids=["gunicorn", "gunicorn-asgi"])
def test_a_store_that_fails_for_a_while_ends_no_server(
    folder: Path, module: tuple[str, ...]
) -> None:
    """A worker that boots meanwhile says so, and starts its queue once that is over."""
    file = folder / "data/queue.sqlite3"
    file.parent.mkdir()
    with ScanQueueService(None, store=SQLiteStore(file)) as queue:
        task_id = queue.submit_task(1)
    away = file.rename(file.with_name("away"))
    file.write_bytes(b"no database" * 100)
    with serving(folder, *module) as server:
        for _ in range(4):
            server.read_log(r"(queue cannot be started; trying again)")
        answer = httpx2.get(f"{server.address}/api/scan-queue", headers=BEARER)
        assert answer.json()["type"] == "urn:scanqueue:store-corrupt"
        away.replace(file)
        with ScanQueueService(None, store=SQLiteStore(file)) as queue:  # nobody asks the server
            assert queue.wait(task_id, timeout=PATIENCE).status is TaskStatus.COMPLETED
        server.stop()


def test_web_workers_beside_one_that_scans(folder: Path) -> None:
    """They submit and look; the scanner may come and go, and watch."""
    with serving(folder, *GUNICORN, "--preload", scans="0") as server:
        task_id = server.scan(2)
        assert server.ask("GET", "/api/scan-queue")["workers"] == 0
        with serving(folder, "medialibrary", pause=SLOWLY) as scanner:
            server.follow_until(task_id, has_begun)
            scanner.stop()
            assert scanner.process.returncode == 0
        assert server.ask("GET", f"/api/scan-tasks/{task_id}")["status"] == "pending"
        with serving(folder, "medialibrary", watch="1", quiet="0"):
            state = server.follow_until(task_id, is_completed)
            tasks = filter(is_completed, server.follow())
            assert next(task for task in tasks if task["priority"] == "low")
        assert (state["attempt"], state["interruptions"]) == (2, 0)
        server.stop()


def test_a_reloader_starts_nothing_twice(folder: Path) -> None:
    """The process that watches the files of the server has no queue, and no triggers."""
    run = ("flask", "--app", "flask_app.app:create_app", "run", "--debug", "--port", "0")
    with serving(folder, *run, watch="1", quiet="0.1") as server:
        task_id = server.scan(1)
        assert server.follow_until(task_id, is_completed)["attempt"] == 1
        owners = [path for path in (folder / "data").iterdir() if "-owner-" in path.name]
        assert len(owners) == 1
        if sys.platform == "linux":
            next(task for task in server.follow() if task["library_id"] == 2 and is_completed(task))
            assert len(watchers(server.process.pid)) == 1


def watchers(parent: int) -> set[int]:
    """Return the processes, of one and its children, that have the system watch folders."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    found = set()
    for pid in (parent, *map(int, children)):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                if "inotify" in str(file.readlink()):
                    found.add(pid)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says who watches")
def test_one_of_several_workers_watches(folder: Path) -> None:
    """If it dies, another one does, and begins with a scan for what it has not seen."""
    with serving(folder, *GUNICORN, watch="1", quiet="0.1") as server:
        seen = 0
        found: list[int] = []
        for _ in range(2):
            scanned = set()
            for task in server.follow(after=seen):
                seen = task["revision"]
                assert task["priority"] == "low"
                if is_completed(task):
                    scanned.add(task["library_id"])
                if len(scanned) == 2:
                    break
            (pid,) = watchers(server.process.pid)
            found.append(pid)
            os.kill(pid, signal.SIGKILL)
        assert found[0] != found[1]
        server.stop()
        assert "Traceback" not in server.log
