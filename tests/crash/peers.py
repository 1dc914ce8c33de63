"""Other processes on the same file, as tests see them."""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from scanqueue import LibraryId
from tests.crash.event import Event
from tests.crash.spawn import spawn

PATIENCE = 20.0
"""Seconds to wait for what comes soon if it comes at all."""


class Peer:
    """A process that has a service on the file and does as it is told.

    Args:
        file: The queue.
        workers: How many; 0: it only submits and looks.
        holds: Whether its scans last until `release`.
        settings: More arguments for the service.
    """

    def __init__(
        self, file: Path, *, workers: int = 1, holds: bool = True, **settings: object
    ) -> None:
        arguments = {"workers": workers, "holds": holds, **settings}
        self.process = spawn("peer", file, json.dumps(arguments))
        self._answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._events: queue.Queue[Event] = queue.Queue()
        self._errors = b""
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._listen, self._read_errors)
        ]
        for thread in self._threads:
            thread.start()
        assert self._next_answer() == ("ready", None), self._errors.decode()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with suppress(EOFError, pickle.UnpicklingError):
            while True:
                kind, value = pickle.load(self.process.stdout)  # noqa: S301
                if kind == "event":
                    self._events.put(value)
                else:
                    self._answers.put((kind, value))
        self._answers.put(("dead", None))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors += line

    def _next_answer(self) -> tuple[str, Any]:
        return self._answers.get(timeout=PATIENCE)

    def ask(self, name: str, *arguments: object, **keywords: object) -> None:
        """Have it make a call, and do not wait for the answer."""
        assert self.process.stdin is not None
        pickle.dump((name, arguments, keywords), self.process.stdin)
        self.process.stdin.flush()

    def answer(self) -> Any:  # noqa: ANN401 - whatever the call returns
        """Wait for the answer to a call.

        Raises:
            Exception: What the call raised.
        """
        kind, value = self._next_answer()
        if kind == "error":
            raise value
        assert kind == "answer", self._errors.decode()
        return value

    def call(self, name: str, *arguments: object, **keywords: object) -> Any:  # noqa: ANN401
        """Have it make a call of its service or its scanner, and wait for the answer."""
        self.ask(name, *arguments, **keywords)
        return self.answer()

    def expect(self, what: str, library_id: LibraryId) -> Event:
        """Wait for the next event, which must be this one."""
        event = self._events.get(timeout=PATIENCE)
        assert (event.what, event.library_id) == (what, library_id)
        return event

    def events(self) -> list[Event]:
        """Return the events that nobody has waited for."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._events.get_nowait())
        return found

    def freeze(self) -> None:
        """Stop it, and wait until it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, if it lives, and wait until it is dead."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> None:
        """Kill it, and close its pipes; nobody it left behind may hold them open."""
        self.kill()
        for thread in self._threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with suppress(OSError):  # what it was told when it was dead already
                pipe.close()
