"""What becomes of the scans of processes that are killed, frozen, or end by themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanqueue import EndReason, ScanQueueService, TaskStatus, WhenRunning
from scanqueue.stores import SQLiteStore
from tests.crash.conftest import StartPeer
from tests.crash.peers import PATIENCE, Peer

pytestmark = pytest.mark.slow

RECOVERY = 5.0
"""Seconds within which a living process takes over what a dead one ran."""
SLACK = 5.0
"""Seconds that a busy machine may take on top."""


@pytest.fixture
def children() -> Iterator[list[int]]:
    """Collect children that scanners forked, and kill them after the test."""
    found: list[int] = []
    yield found
    for child in found:
        os.kill(child, signal.SIGKILL)


def test_the_living_take_over_from_the_dead(queue: ScanQueueService, start_peer: StartPeer) -> None:
    """Within five seconds; one more attempt, and one interruption."""
    first = start_peer()
    task_id = queue.submit_task("music")
    assert first.expect("begin", "music").attempt == 1
    second = start_peer()
    first.kill()
    killed = time.monotonic()
    event = second.expect("begin", "music")
    assert event.attempt == 2
    assert event.at - killed < RECOVERY + SLACK
    second.call("release", "music")
    task = queue.wait(task_id, PATIENCE)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 2, 1)


def test_the_next_start_takes_over_at_once(file: Path, start_peer: StartPeer) -> None:
    """When `start` has returned, what the dead ran waits again."""
    peer = start_peer()
    task = peer.call("submit", "music").task
    peer.expect("begin", "music")
    peer.kill()
    with ScanQueueService(None, store=SQLiteStore(file)) as queue:
        again = queue.get_task(task.id)
        assert again is not None
        assert (again.status, again.attempt, again.interruptions) == (TaskStatus.PENDING, 1, 1)
        assert again.started_at is None
        assert not again.holds_slot
        assert (again.created_at, again.priority) == (task.created_at, task.priority)


def test_a_task_whose_processes_keep_dying_is_given_up(file: Path, start_peer: StartPeer) -> None:
    """After the third death, by whoever finds it dead."""
    peer = start_peer(max_interruptions=3)
    task_id = peer.call("submit_task", "music")
    for attempt in (1, 2, 3):
        assert peer.expect("begin", "music").attempt == attempt
        peer.kill()
        peer = start_peer(max_interruptions=3)
    task = peer.call("get_task", task_id)
    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.INTERRUPTED)
    assert (task.attempt, task.interruptions) == (3, 3)
    peer.call("submit_task", "music")
    peer.expect("begin", "music")


def test_a_follow_up_replaces_the_scan_of_a_dead_process(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """It takes over the count of interruptions."""
    peer = start_peer()
    task_id = queue.submit_task("music")
    peer.expect("begin", "music")
    heir_id = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    peer.kill()
    other = start_peer()
    other.expect("begin", "music")
    task, heir = queue.get_task(task_id), queue.get_task(heir_id)
    assert task is not None
    assert heir is not None
    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.INTERRUPTED)
    assert str(heir_id) in (task.error or "")
    assert (heir.attempt, heir.interruptions) == (1, 1)


def test_a_cancelled_scan_of_a_dead_process_stays_cancelled(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """Its slot is free, and its library is scanned anew if somebody asks."""
    peer = start_peer()
    task_id = queue.submit_task("stubborn")
    peer.expect("begin", "stubborn")
    cancelled = queue.cancel_task(task_id)
    peer.expect("asked to stop", "stubborn")
    next_id = queue.submit_task("stubborn")
    assert cancelled.is_stopping
    peer.kill()
    other = start_peer()
    assert other.expect("begin", "stubborn").attempt == 1
    task = queue.get_task(task_id)
    assert task is not None
    assert (task.status, task.reason) == (TaskStatus.CANCELLED, EndReason.REQUESTED)
    assert (task.completed_at, task.interruptions) == (cancelled.completed_at, 0)
    assert not task.is_stopping
    other.call("release", "stubborn")
    assert queue.wait(next_id, PATIENCE).status is TaskStatus.COMPLETED


def test_a_frozen_process_keeps_its_slot(queue: ScanQueueService, start_peer: StartPeer) -> None:
    """Others recover what the dead held and leave the frozen alone; it goes on when it can."""
    frozen = start_peer()
    task_id = queue.submit_task("music")
    frozen.expect("begin", "music")
    frozen.freeze()
    follow_up_id = queue.submit_task("music", when_running=WhenRunning.FOLLOW_UP)
    # Recovery sees to all slots at once: where another one was freed, this one was looked at.
    dying = start_peer()
    queue.submit_task("films")
    dying.expect("begin", "films")
    dying.kill()
    other = start_peer()
    assert other.expect("begin", "films").attempt == 2
    assert other.events() == []
    task, follow_up = queue.get_task(task_id), queue.get_task(follow_up_id)
    assert task is not None
    assert follow_up is not None
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.RUNNING, 1, 0)
    assert follow_up.status is TaskStatus.PENDING
    other.kill()
    frozen.thaw()
    frozen.call("release", "music")
    frozen.expect("end", "music")
    task = queue.wait(task_id, PATIENCE)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 1, 0)
    frozen.expect("begin", "music")
    frozen.call("release", "music")
    assert queue.wait(follow_up_id, PATIENCE).status is TaskStatus.COMPLETED


def test_a_frozen_process_that_is_killed_is_dead(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """It need not go on for that."""
    frozen = start_peer()
    queue.submit_task("music")
    frozen.expect("begin", "music")
    frozen.freeze()
    other = start_peer()
    frozen.kill()
    assert other.expect("begin", "music").attempt == 2


@pytest.mark.parametrize("library_id", ["fork", "multiprocessing"])
def test_a_child_of_a_scanner_does_not_keep_a_dead_process_alive(
    queue: ScanQueueService, start_peer: StartPeer, children: list[int], library_id: str
) -> None:
    """It was born with the lock that says so, and has let go of it."""
    first = start_peer()
    queue.submit_task(library_id)
    first.expect("begin", library_id)
    children.append(first.expect("forked", library_id).child)
    first.kill()
    killed = time.monotonic()
    os.kill(children[0], 0)  # it lives on
    with_second = start_peer()
    event = with_second.expect("begin", library_id)
    assert event.attempt == 2
    assert event.at - killed < RECOVERY + SLACK
    children.append(with_second.expect("forked", library_id).child)


def test_graceful_restarts_are_no_interruptions(file: Path, start_peer: StartPeer) -> None:
    """Three of one long scan: four attempts, and it completes."""
    peer = start_peer(max_interruptions=1)
    task_id = peer.call("submit_task", "music")
    for attempt in (1, 2, 3):
        assert peer.expect("begin", "music").attempt == attempt
        _shut_down(peer)
        peer = start_peer(max_interruptions=1)
    assert peer.expect("begin", "music").attempt == 4
    peer.call("release", "music")
    task = peer.call("wait", task_id, PATIENCE)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 4, 0)


def _shut_down(peer: Peer) -> None:
    """Have a process shut down, and end."""
    peer.ask("shutdown", PATIENCE, interrupt_running=True)
    peer.expect("asked to stop", "music")
    peer.expect("end", "music")
    assert peer.answer() is True
    assert peer.process.stdin is not None
    peer.process.stdin.close()
    assert peer.process.wait(PATIENCE) == 0


def test_a_scan_that_a_shutdown_left_behind_is_no_interruption(
    file: Path, start_peer: StartPeer
) -> None:
    """Its task waits again at once, and its slot is free when its process has ended."""
    peer = start_peer(max_interruptions=1)
    task_id = peer.call("submit_task", "stubborn")
    peer.expect("begin", "stubborn")
    assert peer.call("shutdown", 0.01) is False
    task = peer.call("get_task", task_id)
    assert (task.status, task.holds_slot) == (TaskStatus.PENDING, True)
    other = start_peer(max_interruptions=1)
    assert other.call("get_task", task_id) == task
    peer.kill()
    assert other.expect("begin", "stubborn").attempt == 2
    assert other.call("get_task", task_id).interruptions == 0
