"""Several processes on one file are one queue."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from scanqueue import (
    EndReason,
    ScanQueueService,
    SubmitOutcome,
    TaskPriority,
    TaskStatus,
    WhenRunning,
)
from tests.crash.conftest import StartPeer
from tests.crash.event import Event
from tests.crash.peers import PATIENCE
from tests.stores.tools import Call

pytestmark = pytest.mark.slow

AT_ONCE = 1.0
"""Seconds within which one process sees what another does."""
SLACK = 2.0
"""Seconds that a busy machine may take on top."""


def test_three_processes_that_submit_the_same_make_each_task_once(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """300 libraries, asked for three times at the same moment: 300 tasks."""
    peers = [start_peer(workers=0) for _ in range(3)]
    queue.pause()
    for number in range(300):
        for peer in peers:
            peer.ask("submit", number)
    found = [[peer.answer() for _ in range(300)] for peer in peers]
    outcomes = Counter(submission.outcome for answers in found for submission in answers)
    assert outcomes == {SubmitOutcome.CREATED: 300, SubmitOutcome.JOINED: 600}
    ids = {frozenset(answers[number].task_id for answers in found) for number in range(300)}
    assert all(len(same) == 1 for same in ids)
    assert len(ids) == queue.pending_count() == 300


def test_a_library_is_scanned_by_one_process_at_a_time(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """A follow-up waits for the slot in another process, and an idle one takes it over."""
    first = start_peer()
    queue.submit_task("music")
    first.expect("begin", "music")
    second = start_peer()
    followed = queue.submit("music", when_running=WhenRunning.FOLLOW_UP)
    assert followed.outcome is SubmitOutcome.FOLLOW_UP
    queue.submit_task("films")
    second.expect("begin", "films")  # not music, which is older
    second.call("release", "films")
    second.expect("end", "films")
    queue.submit_task("photos", TaskPriority.LOW)
    second.expect("begin", "photos")
    assert queue.get_task(followed.task_id) == followed.task
    first.call("release", "music")
    ended = first.expect("end", "music")
    again = first.expect("begin", "music")
    assert ended.at <= again.at


def test_order_holds_over_processes(queue: ScanQueueService, start_peer: StartPeer) -> None:
    """Whoever submitted: the higher priority first, then the older."""
    one, two = start_peer(workers=0), start_peer(workers=0)
    queue.pause()
    for number in range(4):
        for name, submitter in (("one", one), ("two", two)):
            for priority in TaskPriority:
                submitter.call("submit_task", f"{priority.name} {number} {name}", priority)
    expected = [
        f"{priority} {number} {name}"
        for priority in ("HIGH", "NORMAL", "LOW")
        for number in range(4)
        for name in ("one", "two")
    ]
    assert [task.library_id for task in one.call("list_pending")] == expected
    worker = start_peer(workers=1, holds=False)
    queue.resume()
    for library_id in expected:
        worker.expect("begin", library_id)
        worker.expect("end", library_id)


def test_max_running_holds_over_processes(queue: ScanQueueService, start_peer: StartPeer) -> None:
    """Two scans at a time, of six workers in three processes; all of these come to scan."""
    queue.pause()
    ids = [queue.submit_task(number) for number in range(20)]
    peers = [start_peer(workers=2, holds=False, max_running=2) for _ in range(3)]
    queue.resume()
    for task_id in ids:
        assert queue.wait(task_id, PATIENCE).status is TaskStatus.COMPLETED
    events = sorted((event for peer in peers for event in peer.events()), key=_moment)
    assert len(events) == 40
    running = 0
    for event in events:
        running += 1 if event.what == "begin" else -1
        assert running <= 2


def _moment(event: Event) -> tuple[float, bool]:
    return event.at, event.what == "begin"


def test_a_scan_counts_for_max_running_until_its_scanner_has_returned(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """Also when it runs in another process, and was cancelled."""
    first, second = start_peer(max_running=1), start_peer(max_running=1)
    task_id = queue.submit_task("stubborn")
    deadline = time.monotonic() + PATIENCE
    events: list[Event] = []
    while not events:
        assert time.monotonic() < deadline
        events = first.events() + second.events()
    is_first = first.call("stats").busy_workers == 1
    busy, idle = (first, second) if is_first else (second, first)
    queue.cancel_task(task_id)
    busy.expect("asked to stop", "stubborn")
    waiting = queue.submit_task("music")
    # The idle process has seen it, and may not start it.
    assert idle.call("run_pending") == 0
    assert idle.call("get_task", waiting).status is TaskStatus.PENDING
    assert idle.call("stats").stopping == 1
    busy.call("release", "stubborn")
    busy.expect("end", "stubborn")
    assert queue.wait(task_id, PATIENCE, quiet=True).status is TaskStatus.CANCELLED


def test_a_cancel_reaches_a_scan_in_another_process(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """Within a second; the task is CANCELLED at once, and its slot is free when it returns."""
    peer = start_peer()
    task_id = queue.submit_task("music")
    peer.expect("begin", "music")
    began = time.monotonic()
    task = queue.cancel_task(task_id)
    assert (task.status, task.reason) == (TaskStatus.CANCELLED, EndReason.REQUESTED)
    assert task.is_stopping
    asked = peer.expect("asked to stop", "music")
    assert asked.at - began < AT_ONCE + SLACK
    quiet = queue.wait(task_id, PATIENCE, quiet=True)
    assert (quiet.status, quiet.completed_at) == (task.status, task.completed_at)
    assert quiet.result is not None
    assert not quiet.is_stopping


def test_a_submission_reaches_an_idle_worker_in_another_process(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """Within a second."""
    peer = start_peer(holds=False)
    for library_id in ("music", "films"):
        began = time.monotonic()
        queue.submit_task(library_id)
        assert peer.expect("begin", library_id).at - began < AT_ONCE + SLACK
        peer.expect("end", library_id)


def test_progress_is_seen_in_another_process(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """Within a second, also the last report before a long silence."""
    peer = start_peer()
    task_id = queue.submit_task("music")
    peer.expect("begin", "music")
    for count in (1, 2, 3):
        peer.call("report", "music", count)
        began = time.monotonic()
        while True:
            task = queue.get_task(task_id)
            assert task is not None
            if task.progress.scanned_paths == count:
                break
            assert time.monotonic() - began < AT_ONCE + SLACK


def test_an_ending_in_another_process_ends_a_wait(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """Within a second."""
    peer = start_peer()
    task_id = queue.submit_task("music")
    peer.expect("begin", "music")
    call = Call(lambda: queue.wait(task_id, PATIENCE))
    peer.call("release", "music")
    ended = peer.expect("end", "music")
    task = call.result()
    assert time.monotonic() - ended.at < AT_ONCE + SLACK
    assert task == queue.get_task(task_id)
    assert queue.wait(task_id).status is TaskStatus.COMPLETED


def test_changes_tell_of_other_processes(queue: ScanQueueService, start_peer: StartPeer) -> None:
    """In order of revision, each state at most a second old, and every ending."""
    peer = start_peer(holds=False)
    told: list[tuple[float, object, TaskStatus]] = []
    after = queue.revision

    def follow() -> None:
        revision = after
        for task in queue.changes(after):
            assert task.revision > revision
            revision = task.revision
            told.append((time.monotonic(), task.library_id, task.status))
            if task.library_id == "last" and task.is_ended:
                return

    reader = Call(follow)
    libraries = [*map(str, range(10)), "last"]
    ended_at = 0.0
    for library_id in libraries:
        peer.call("submit_task", library_id)
        peer.expect("begin", library_id)
        ended_at = peer.expect("end", library_id).at
    reader.result()
    assert told[-1][0] - ended_at < AT_ONCE + SLACK
    ends = [library_id for _, library_id, status in told if status is TaskStatus.COMPLETED]
    assert ends == libraries


def test_a_pause_holds_for_all_processes(queue: ScanQueueService, start_peer: StartPeer) -> None:
    """Running scans go on, no new one starts, and all go on at the resume of any of them."""
    one, two = start_peer(), start_peer()
    queue.submit_task("music")
    queue.submit_task("films")
    running = {}
    for peer in (one, two):
        event = peer._events.get(timeout=PATIENCE)
        running[event.library_id] = peer
    one.call("pause")
    assert queue.is_paused
    assert two.call("is_paused")
    for library_id in running:
        queue.submit_task(library_id, when_running=WhenRunning.FOLLOW_UP)
    for library_id, peer in running.items():
        peer.call("release", library_id)
        peer.expect("end", library_id)
    # Nothing can be claimed, by their workers or otherwise.
    assert [one.call("run_pending"), two.call("run_pending")] == [0, 0]
    assert one.events() == two.events() == []
    assert queue.stats().pending == 2
    began = time.monotonic()
    queue.resume()
    for peer in (one, two):
        assert peer._events.get(timeout=PATIENCE).at - began < AT_ONCE + SLACK
    assert not two.call("is_paused")


def test_a_queue_closed_here_goes_on_elsewhere(
    queue: ScanQueueService, start_peer: StartPeer
) -> None:
    """A shutdown is that of one process: its tasks wait for the others."""
    first, second = start_peer(), start_peer(workers=0)
    task_id = queue.submit_task("music")
    first.expect("begin", "music")
    third = start_peer()
    first.ask("shutdown", 20.0, interrupt_running=True)
    first.expect("asked to stop", "music")
    first.expect("end", "music")
    assert first.answer() is True
    assert third.expect("begin", "music").attempt == 2
    assert second.call("get_task", task_id).interruptions == 0
    third.call("release", "music")
    assert queue.wait(task_id, PATIENCE).attempt == 2
