"""A queue that is opened again is as it was."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from scanqueue import (
    ScanQueueService,
    ScanScope,
    TaskPriority,
    TaskStatus,
    WhenRunning,
)
from scanqueue.stores import SQLiteStore
from tests.crash.conftest import StartPeer
from tests.crash.opening import MEMORY, fill, memory_to_open
from tests.crash.peers import PATIENCE, Peer


def fill_queue(peer: Peer) -> UUID:
    """Leave tasks of all kinds; return the one that is the last to end."""
    peer.call("submit_task", "music", scope=ScanScope(paths=("a", "b/c"), deep=True))
    peer.expect("begin", "music")
    last: UUID = peer.call(
        "submit_task", "music", TaskPriority.LOW, when_running=WhenRunning.FOLLOW_UP
    )
    peer.call("report", "music", 7)
    peer.call("release", "music")
    peer.expect("end", "music")
    peer.expect("begin", "music")
    cancelled = peer.call("submit_task", 1)
    peer.call("cancel_task", cancelled)
    peer.call("submit_task", "1", TaskPriority.HIGH, scope=ScanScope(paths=("d",)))
    peer.call("submit_task", 1, TaskPriority.LOW)
    peer.call("submit_task", 2)
    peer.call("pause")
    peer.call("release", "music")
    peer.expect("end", "music")
    return last


@pytest.mark.parametrize("is_killed", [False, True])
def test_all_is_there_again(file: Path, start_peer: StartPeer, is_killed: bool) -> None:
    """Pending tasks in their order, priorities, scopes, history, revisions and the pause."""
    peer = start_peer()
    peer.call("wait", fill_queue(peer), PATIENCE, quiet=True)
    tasks, revision = peer.call("list_tasks"), peer.call("revision")
    if not is_killed:
        assert peer.call("shutdown") is True
    peer.kill()
    with ScanQueueService(None, store=SQLiteStore(file)) as queue:
        assert queue.list_tasks() == tasks
        assert queue.revision == revision
        assert queue.is_paused
        assert [task.library_id for task in queue.list_pending()] == ["1", 2, 1]
        assert queue.list_pending()[0].scope == ScanScope(paths=("d",))
        assert [task.status for task in queue.list_history()] == [
            *(TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.COMPLETED)
        ]
        assert {task.id for task in queue.list_changes(0)} == {task.id for task in tasks}
        assert queue.stats().pending == 3
        assert queue.submit("3").task.revision > revision
    again = start_peer(holds=False)
    again.call("resume")
    for library_id in ("1", 2, "3", 1):
        again.expect("begin", library_id)
        again.expect("end", library_id)


def test_a_large_queue_takes_no_memory_to_open(tmp_path: Path) -> None:
    """As much for 20,000 tasks as for a few; ``nox -s crash`` says it of 100,000, with the time."""
    file = tmp_path / "queue.db"
    fill(file, 20_000)
    assert memory_to_open(file, 20_000) < MEMORY


def test_a_checkpoint_that_was_killed_is_no_damage(file: Path, tmp_path: Path) -> None:
    """The first page says already that the file is longer than it is; the log has the rest."""
    with ScanQueueService(None, store=SQLiteStore(file)) as queue:
        for number in range(80):
            queue.submit_task(number)
        content = bytearray(file.read_bytes())
        log = Path(f"{file}-wal").read_bytes()
    page_size = int.from_bytes(log[8:12])
    for start in range(32, len(log), 24 + page_size):
        if int.from_bytes(log[start : start + 4]) == 1:
            content[:page_size] = log[start + 24 : start + 24 + page_size]
    assert int.from_bytes(content[28:32]) * page_size > len(content)
    copy = tmp_path / "copy.db"
    copy.write_bytes(content)
    Path(f"{copy}-wal").write_bytes(log)
    with ScanQueueService(None, store=SQLiteStore(copy)) as queue:
        assert [task.library_id for task in queue.list_pending()] == list(range(80))
