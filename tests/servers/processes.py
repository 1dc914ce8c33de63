"""Servers as a user starts them: processes of their own, which tests speak with by HTTP."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

import medialibrary
from tests.servers.drivers import BEARER, TOKEN, Json

EXAMPLES = Path(str(medialibrary.__file__)).parents[1]
PATIENCE = 30.0
"""Seconds to wait for what comes within a few."""
ADDRESS = re.compile(r"(?:on|at:) (http://127\.0\.0\.1:\d+)")

FLASK = ("flask_app", "--port", "0")
FASTAPI = ("fastapi_app", "--port", "0")
FASTAPI_FACTORY = ("uvicorn", "--factory", "fastapi_app.app:create_app", "--port", "0")
GUNICORN = ("gunicorn", "--config", "flask_app/gunicorn_conf.py", "--bind", "127.0.0.1:0")
GUNICORN_ASGI = (
    *("gunicorn", "--worker-class", "asgi", "--workers", "2", "--bind", "127.0.0.1:0"),
    "fastapi_app.app:create_app()",
)


class Server:
    """Speaks with a running server.

    Args:
        process: The process, or that which keeps the others.
        address: Where it listens.
        log: What it has said so far.
    """

    def __init__(self, process: subprocess.Popen[str], address: str, log: str) -> None:
        self.process = process
        self.log = log
        self.address = address

    def ask(self, method: str, path: str, json: Json = None) -> Json:
        """Return the answer to a request; each has a connection of its own."""
        answer = httpx2.request(
            method, self.address + path, headers=BEARER, json=json, timeout=PATIENCE
        )
        assert answer.is_success, answer.text
        return answer.json()

    def scan(self, library_id: int) -> str:
        """Ask for a scan, and return the id of its task."""
        task_id: str = self.ask("POST", f"/api/libraries/{library_id}/scan")["task"]["id"]
        return task_id

    def follow(self, after: int = 0) -> Generator[Json, None, None]:
        """Yield the tasks of the event stream; it must end whole, and not be cut off."""
        with httpx2.stream(
            "GET",
            f"{self.address}/api/scan-tasks/events?after={after}",
            headers=BEARER,
            timeout=PATIENCE,
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def follow_until(self, task_id: str, condition: Callable[[Json], bool]) -> Json:
        """Return the first state of a task that is as it should be."""
        for task in self.follow():
            if task["id"] == task_id and condition(task):
                return task
        raise AssertionError("the stream ended first")

    def is_full(self) -> bool:
        """Return whether it opens no more event streams."""
        answer = httpx2.head(f"{self.address}/api/scan-tasks/events", headers=BEARER)
        return answer.status_code == 429

    def stop(self) -> None:
        """Tell it to stop, and wait until all of its processes are gone."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=PATIENCE)
        self.log += output

    def read_log(self, pattern: str) -> str:
        """Read on in what it says until there is something, and return its first group."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(self.log)


@contextmanager
def starting(folder: Path, *module: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends.

    Args:
        folder: What is in `libraries` in there are its libraries.
        module: What to start, with its arguments.
        settings: More of its settings.
    """
    libraries = sorted(str(path) for path in (folder / "libraries").iterdir())
    environment = os.environ | {
        "HOME": str(folder),  # gunicorn keeps a socket in there
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "default",
        "MEDIASERVER_TOKEN": TOKEN,
        "MEDIASERVER_DATA": str(folder / "data"),
        "MEDIASERVER_FOLDERS": os.pathsep.join(libraries),
        **{f"MEDIASERVER_{name.upper()}": value for name, value in settings.items()},
    }
    with subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=EXAMPLES,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=PATIENCE)


@contextmanager
def serving(folder: Path, *module: str, **settings: str) -> Iterator[Server]:
    """Run a server until the block ends, and wait until it is there; like `starting`."""
    with starting(folder, *module, **settings) as process:
        server = Server(process, "", "")
        if module[0] != "medialibrary":
            server = Server(process, server.read_log(ADDRESS.pattern), server.log)
        yield server
