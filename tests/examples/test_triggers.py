"""Triggers in one process only: who runs them, and who comes next."""

import threading
from pathlib import Path
from threading import Event

import pytest

from medialibrary.triggers import OneProcess


class Noted:
    """A trigger that writes down what is done with it."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.is_running = Event()
        self._name = name
        self._notes = notes

    def start(self) -> None:
        """Write it down."""
        self._notes.append(f"{self._name} started")
        self.is_running.set()

    def stop(self) -> None:
        """Write it down."""
        self._notes.append(f"{self._name} stopped")


class Told(Event):
    """An event that tells when it is waited for, for a while only: when the lock is not free."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = Event()

    def wait(self, timeout: float | None = None) -> bool:
        """Tell, and wait."""
        if timeout is not None:
            self.refused.set()
        return super().wait(timeout)


def test_one_runs_them_and_the_other_takes_over(tmp_path: Path) -> None:
    """Whoever has the lock; the other one waits until it is free."""
    notes: list[str] = []
    triggers = [Noted(name, notes) for name in ("first", "second")]
    first, second = (OneProcess(tmp_path / "lock", [trigger], 0.05) for trigger in triggers)
    first.start()
    first.start()
    assert [thread.name for thread in threading.enumerate()].count("triggers") == 1
    assert triggers[0].is_running.wait(10)
    second._stop = told = Told()
    second.start()
    assert told.refused.wait(10)
    first.stop()
    first.stop()
    assert triggers[1].is_running.wait(10)
    second.stop()
    assert notes == ["first started", "first stopped", "second started", "second stopped"]


def test_what_was_started_last_is_stopped_first(tmp_path: Path) -> None:
    """As with everything that is nested."""
    notes: list[str] = []
    triggers = [Noted(name, notes) for name in ("watch", "schedule")]
    both = OneProcess(tmp_path / "lock", triggers)
    both.start()
    assert triggers[1].is_running.wait(10)
    both.stop()
    assert notes == ["watch started", "schedule started", "schedule stopped", "watch stopped"]


def test_a_lock_that_cannot_be_made_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that is there again, say; the log tells of it."""
    trigger = Noted("watch", [])
    folder = tmp_path / "away"
    folder.write_text("")
    alone = OneProcess(folder / "lock", [trigger], 0.001)
    alone._stop = told = Told()
    alone.start()
    assert told.refused.wait(10)
    folder.unlink()
    folder.mkdir()
    assert trigger.is_running.wait(10)
    alone.stop()
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert f"cannot lock {folder / 'lock'}; trying again: " in caplog.text


def test_nothing_is_there_before_the_start(tmp_path: Path) -> None:
    """Neither a thread nor a file: the parent of forked workers makes one, too."""
    idle = OneProcess(tmp_path / "lock", [Noted("idle", [])])
    assert idle._thread is None
    idle.stop()
    assert not (tmp_path / "lock").exists()
