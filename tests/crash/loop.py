"""The crash loop: processes that share a queue are killed, one after the other, at any moment."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import attrs

from tests.crash.log import Entry, LogReader
from tests.crash.spawn import spawn
from tests.crash.worker import MAX_RUNNING

AIMS = ("birth", "start", "work", "stopping", "follow-up", "shutdown", "shutdown", "all")
"""When to kill: any time after the fork; while it opens the file and recovers what others left;
at work; with a cancelled scan of its own that has not returned; with a follow-up behind a scan of
its own; while it shuts down; all of them at once."""

PATIENCE = 30.0
SHORT_PATIENCE = 1.0


@attrs.define(eq=False)
class Process:
    """One process of the loop, alive or dead."""

    popen: subprocess.Popen[bytes]
    log: LogReader
    killed_at: int | None = None
    """The clock right before it was killed: until then it was at work."""

    def is_alive(self) -> bool:
        """Return whether it runs; one that failed fails the loop.

        Raises:
            AssertionError: It ended by an error.
        """
        status = self.popen.poll()
        if status not in {None, 0, -signal.SIGKILL}:
            _, errors = self.popen.communicate()
            raise AssertionError(f"a process ended with status {status}:\n{errors.decode()}")
        return status is None

    def kill(self) -> None:
        """End it at once."""
        self.killed_at = time.monotonic_ns()
        self.popen.kill()
        self.popen.communicate()

    def was_killed(self) -> bool:
        """Return whether it was ended by a signal, of the loop or its own."""
        return self.popen.poll() == -signal.SIGKILL

    def await_entry(self, fits: Callable[[Entry], bool], timeout: float) -> bool:
        """Wait for a line in its log that is new."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if any(map(fits, self.log.read())):
                return True
            if not self.is_alive():
                return False
            time.sleep(0.0005)
        return False

    def says(self, what: str) -> Entry | None:
        """Return the line of its log that says something, or None."""
        return next((entry for entry in self.log.entries if entry["what"] == what), None)


@attrs.define
class Loop:
    """Runs processes on one file and kills them.

    Args:
        folder: Where the file and the logs are.
        seed: What all random choices come from.
    """

    folder: Path
    seed: int
    processes: list[Process] = attrs.field(factory=list)
    kills: int = 0
    landed: Counter[str] = attrs.field(factory=Counter)
    """What the killed were about, by what they left in the file."""

    @property
    def file(self) -> Path:
        """The queue."""
        return self.folder / "queue.db"

    def run(self, kills: int) -> None:
        """Kill so many times, then let everything that is left run to its end."""
        rng = random.Random(self.seed)
        try:
            while self.kills < kills:
                self._fill(rng, rng.choice((2, 3)))
                aim = rng.choice(AIMS)
                if aim == "all":
                    for process in self._living():
                        self._kill(process)
                elif aim in {"birth", "start"}:
                    self._kill_early(rng, self._start(rng), aim)
                else:
                    self._kill_at_work(rng, rng.choice(self._living()), aim)
            for process in self._living():
                self._kill(process)
            self._drain()
        finally:
            for process in self.processes:
                if process.popen.poll() is None:
                    process.kill()

    def _fill(self, rng: random.Random, count: int) -> None:
        while len(self._living()) < count:
            self._start(rng)

    def _living(self) -> list[Process]:
        return [process for process in self.processes if process.is_alive()]

    def _start(self, rng: random.Random, mode: str = "") -> Process:
        number = len(self.processes)
        log = self.folder / f"{number}.log"
        mode = mode or ("poison" if rng.random() < 0.05 else "work")
        arguments = (self.file, log, f"{self.seed}-{number}", mode)
        process = Process(spawn("worker", *arguments), LogReader(log))
        self.processes.append(process)
        return process

    def _kill_early(self, rng: random.Random, process: Process, aim: str) -> None:
        if aim == "start":
            process.await_entry(lambda entry: entry["what"] == "starting", PATIENCE)
            time.sleep(rng.random() ** 2 * 0.02)
        else:
            time.sleep(rng.random() * 0.4)
        self._kill(process)

    def _kill_at_work(self, rng: random.Random, process: Process, aim: str) -> None:
        process.log.read()
        if process.says("started") is None:
            process.await_entry(lambda entry: entry["what"] == "started", PATIENCE)
        if aim == "stopping":
            process.await_entry(_is_stopping, SHORT_PATIENCE)
            time.sleep(rng.random() * 0.005)
        elif aim == "follow-up":
            process.await_entry(_is_follow_up, SHORT_PATIENCE)
            time.sleep(rng.random() * 0.005)
        elif aim == "shutdown":
            if process.is_alive():
                process.popen.terminate()
            process.await_entry(lambda entry: entry["what"] == "closing", PATIENCE)
            time.sleep(rng.random() ** 2 * 0.1)
        else:
            time.sleep(rng.random() * 0.3)
        self._kill(process)

    def _kill(self, process: Process) -> None:
        """Kill a process, unless it came to its end itself, and look at what it left."""
        if process.is_alive():
            process.kill()
        process.log.read()
        if not process.was_killed():
            self.landed["after its end"] += 1
            return
        self.kills += 1
        self._count_phase(process)
        if self.file.exists():
            self._look(process)

    def _count_phase(self, process: Process) -> None:
        for what, phase in (
            ("closed", "after shutdown"),
            ("closing", "in shutdown"),
            ("started", "at work"),
            ("starting", "in start"),
        ):
            if process.says(what) is not None:
                self.landed[phase] += 1
                return
        self.landed["before start"] += 1

    def _look(self, process: Process) -> None:
        """See that the file is sound, without the library, and what the dead process held."""
        starting = process.says("starting")
        # Read-only, so that this is not who brings the file in order.
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")
            query = (
                "SELECT library_id, status, count(*) FROM tasks NOT INDEXED"
                " WHERE status IN ('pending', 'running') GROUP BY typeof(library_id), library_id,"
                " status HAVING count(*) > 1"
            )
            assert connection.execute(query).fetchall() == []
            query = (
                "SELECT count(*) FROM tasks NOT INDEXED WHERE holds_slot <>"
                " EXISTS (SELECT 1 FROM slots WHERE task_id = id AND slots.attempt = tasks.attempt)"
            )
            assert connection.execute(query).fetchone() == (0,)
            slots = connection.execute("SELECT count(*) FROM slots").fetchone()[0]
            assert slots <= MAX_RUNNING
            added = "(SELECT count(*) FROM tasks NOT INDEXED WHERE seq > queue.revision)"
            query = (
                f"SELECT pending + {added}, running, completed, failed, cancelled, slots FROM queue"  # noqa: S608 - our own text
            )
            counts = connection.execute(query).fetchone()
            query = "SELECT status, count(*) FROM tasks NOT INDEXED GROUP BY status"
            found = dict(connection.execute(query).fetchall())
            statuses = ("pending", "running", "completed", "failed", "cancelled")
            assert counts == (*(found.get(status, 0) for status in statuses), slots)
            if starting is not None:
                query = (
                    "SELECT status, (SELECT count(*) FROM tasks AS other WHERE"
                    " other.library_id = slots.library_id AND other.status = 'pending'"
                    " AND other.id <> task_id) FROM slots JOIN tasks ON id = task_id"
                    " WHERE owner = ?"
                )
                held = connection.execute(query, (starting["owner"],)).fetchall()
                self.landed.update({f"with a {status} scan" for status, _ in held})
                self.landed["with a follow-up"] += any(waiting for _, waiting in held)
                if process.says("started") is None:
                    owners = {owner for (owner,) in connection.execute("SELECT owner FROM slots")}
                    self.landed["in a recovery"] += bool(owners - self._owners_alive())

    def _owners_alive(self) -> set[object]:
        entries = [process.says("starting") for process in self._living()]
        return {entry["owner"] for entry in entries if entry is not None}

    def _drain(self) -> None:
        """Let processes run what is left, each until a poisonous library kills it."""
        rng = random.Random(self.seed)
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            process = self._start(rng, "drain")
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            assert not process.is_alive(), "what was left did not run to its end"
            process.log.read()
            if not process.was_killed():
                break
        for process in self.processes:
            process.popen.communicate()
            process.log.read()


def _is_stopping(entry: Entry) -> bool:
    return entry["what"] == "cancelled" and entry["mine"] and bool(entry["task"]["holds_slot"])


def _is_follow_up(entry: Entry) -> bool:
    is_behind = bool(entry.get("mine")) and entry.get("outcome") == "follow_up"
    return entry["what"] == "submitted" and is_behind
