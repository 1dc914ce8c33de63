"""Schedules and watched folders behind both servers: they start and end with them."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from medialibrary import Settings, settings_from_environment
from medialibrary.options import read_options
from scanqueue import ScanQueueService, TaskPriority, TaskStatus
from scanqueue.testing import FakeScanner
from tests.servers.drivers import driving

SECOND = timedelta(seconds=1)


def threads() -> set[str]:
    """Return the names of the triggers' threads."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith(("triggers", "watch-", "APScheduler"))}


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
@pytest.mark.parametrize(
    ("changes", "priority"),
    [({"every": SECOND}, TaskPriority.NORMAL), ({"watch": True, "quiet": 0.0}, TaskPriority.LOW)],
    ids=["schedule", "watch"],
)
def test_triggers_start_and_end_with_a_server(
    framework: str, changes: dict[str, Any], priority: TaskPriority, settings: Settings
) -> None:
    """Each library is scanned without anybody asking; no thread is left over."""
    service = ScanQueueService(FakeScanner())
    revision = service.revision
    scanned = set()
    with driving(framework, evolve(settings, **changes), service):
        for task in service.changes(revision):
            if task.status is TaskStatus.COMPLETED:
                assert task.priority is priority
                scanned.add(task.library_id)
            if len(scanned) == len(settings.folders):
                break
        assert "triggers" in threads()
    assert threads() == set()


def test_without_settings_nothing_is_triggered(settings: Settings) -> None:
    """Nobody is scanned by surprise, and nothing more need be installed."""
    catalogue = settings.open_catalogue()
    service = settings.make_service(catalogue)
    assert settings.make_triggers(catalogue, service) is None
    service.shutdown()


def from_environment(**variables: str) -> Settings:
    """Return the settings that some variables make."""
    return settings_from_environment(
        {"MEDIASERVER_TOKEN": "x", **{f"MEDIASERVER_{name}": variables[name] for name in variables}}
    )


def test_triggers_are_set_in_the_environment() -> None:
    """An interval, with its unit; whether to watch, and how patiently."""
    for text, every in {"90s": 90, "30m": 1800, "6h": 21600, "7d": 604800}.items():
        assert from_environment(EVERY=text).every == timedelta(seconds=every)
    set_up = from_environment(WATCH="1", QUIET="2.5")
    assert (set_up.every, set_up.watch, set_up.quiet) == (None, True, 2.5)
    assert not from_environment(WATCH="0").watch


@pytest.mark.parametrize("text", ["6", "h", "0h", "-6h", "6 h", "6h30m", "sometimes", "99999d"])
def test_an_interval_that_is_none_is_refused(text: str) -> None:
    """With a message that shows how to write one."""
    with pytest.raises(ValueError, match="such as 6h"):
        from_environment(EVERY=text)


def test_the_history_is_kept_for_longer_than_the_interval(tmp_path: Path) -> None:
    """Or a library would look as if it had never been scanned."""
    set_up = from_environment(EVERY="7d", DATA=str(tmp_path))
    service = set_up.make_service(set_up.open_catalogue())
    assert service._core.settings.retention == timedelta(days=14)
    service.shutdown()


def test_triggers_are_set_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For all processes of the server; what makes no sense is refused, without a traceback."""
    monkeypatch.setattr(os, "environ", {"MEDIASERVER_TOKEN": "x"})
    monkeypatch.setattr("sys.argv", ["server", "--port", "8001", "--every", "6h", "--watch"])
    assert read_options("server").port == 8001
    set_up = settings_from_environment(os.environ)
    assert (set_up.every, set_up.watch) == (timedelta(hours=6), True)
    monkeypatch.setattr("sys.argv", ["server", "--every", "often"])
    with pytest.raises(SystemExit):
        read_options("server")
    assert "error: --every: 'often': must be a number" in capsys.readouterr().err
    for port in ("99999", "http"):
        monkeypatch.setattr("sys.argv", ["server", "--port", port])
        with pytest.raises(SystemExit):
            read_options("server")
        assert "must be a number from 0 to 65535" in capsys.readouterr().err
