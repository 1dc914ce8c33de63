"""Following along: a cursor over the changes of the queue."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from threading import get_ident

import pytest

from scanqueue import (
    MemoryStore,
    ScanQueueService,
    ScanTask,
    TaskPriority,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock, FakeScanner
from tests.service.failing_store import FailingStore
from tests.service.meddling_store import MeddlingStore
from tests.service.tools import (
    Call,
    Fate,
    MakeQueue,
    await_deadline,
    await_that,
    current,
    fate,
    ids,
    libraries,
    run_one,
    scan_nothing,
)

STATUSES = [TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.CANCELLED, TaskStatus.CANCELLED]


# --- revisions


def test_a_new_queue_starts_at_the_time_in_milliseconds(make: MakeQueue, clock: FakeClock) -> None:
    """So one made later goes on above."""
    first = make(scan_nothing)
    assert first.revision == int(clock.now().timestamp() * 1000)
    for n in range(5):
        run_one(first, n)

    clock.advance(1)

    assert make(scan_nothing).revision > first.revision


def test_every_change_has_a_revision_of_its_own(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """It grows with each: submit, upgrade, claim, report, cancel, return."""
    scanner.hold()
    revisions = [queue.revision]

    def changed() -> None:
        revisions.append(queue.revision)

    task_id = queue.submit_task("music")
    changed()
    queue.submit_task("music", TaskPriority.HIGH)
    changed()
    queue.start()
    scan = scanner.next_scan()
    changed()
    scan.report(1)
    changed()
    scan.ignore_cancel()
    queue.cancel_task(task_id)
    changed()
    scan.release()
    queue.wait(task_id, quiet=True)
    changed()

    assert revisions == sorted(set(revisions))
    assert current(queue, task_id).revision == queue.revision


def test_looking_is_no_change(queue: ScanQueueService) -> None:
    """Nor is a join, a pause or a refused cancel."""
    run_one(queue, "ended")
    queue.submit_task("music")
    revision = queue.revision
    queue.submit_task("music")
    queue.stats()
    queue.list_tasks()
    queue.pause()
    queue.resume()

    assert queue.revision == revision


# --- list_changes


def test_changes_are_listed_in_order_of_revision_latest_state_only(
    queue: ScanQueueService,
) -> None:
    """Each task once, as it is now, at the place of its latest change."""
    start = queue.revision
    for name in "abc":
        queue.submit_task(name)
    middle = queue.revision
    queue.submit_task("a", TaskPriority.HIGH)
    cancelled = queue.cancel_library("b")

    changes = queue.list_changes(start)

    assert libraries(changes) == ["c", "a", "b"]
    assert [t.revision for t in changes] == sorted(t.revision for t in changes)
    assert changes[-1] == cancelled[0]
    assert libraries(queue.list_changes(middle)) == ["a", "b"]
    assert queue.list_changes(queue.revision) == []
    for limit in range(5):
        assert queue.list_changes(start, limit=limit) == changes[:limit]


@pytest.mark.parametrize("ahead", [1, 10**12])
def test_a_revision_from_the_future_yields_everything(queue: ScanQueueService, ahead: int) -> None:
    """It is that of another queue: the reader begins anew."""
    run_one(queue, "a")
    queue.submit_task("b")

    assert libraries(queue.list_changes(queue.revision + ahead)) == ["a", "b"]
    assert libraries(islice(queue.changes(queue.revision + ahead), 2)) == ["a", "b"]


@pytest.mark.parametrize("ahead", [2**63, 2**100])
def test_a_revision_of_any_size_will_do(queue: ScanQueueService, ahead: int) -> None:
    """It may come from a client, who can send anything."""
    queue.submit_task("music")
    assert libraries(queue.list_changes(ahead, limit=ahead)) == ["music"]
    assert next(queue.changes(ahead)).library_id == "music"


def test_zero_is_from_the_beginning(queue: ScanQueueService) -> None:
    """Everything that is there."""
    run_one(queue, "a")
    queue.submit_task("b")

    assert libraries(queue.list_changes(0)) == ["a", "b"]


def test_it_waits_for_the_first_change(queue: ScanQueueService) -> None:
    """Up to the timeout, or for ever."""
    after = queue.revision
    call = Call(lambda: queue.list_changes(after, timeout=None))
    task_id = queue.submit_task("music")

    assert ids(call.result()) == [task_id]


def test_a_timeout_gives_nothing(queue: ScanQueueService, clock: FakeClock) -> None:
    """No error: nothing has changed."""
    call = Call(lambda: queue.list_changes(queue.revision, timeout=25))
    await_deadline(clock, 25.0)
    clock.advance(24)
    assert not call.is_over
    clock.advance(1)

    assert call.result() == []


def test_it_ends_at_a_shutdown(queue: ScanQueueService) -> None:
    """Nothing more will come, so it does not wait for it."""
    queue.submit_task("music")
    queue.shutdown()

    assert len(queue.list_changes(0, timeout=None)) == 1
    assert queue.list_changes(queue.revision, timeout=None) == []
    assert queue.list_changes(queue.revision, timeout=30) == []


# --- changes


def test_it_yields_what_has_changed_and_then_waits(queue: ScanQueueService) -> None:
    """From a revision on."""
    after = queue.revision
    queue.submit_task("a")
    queue.submit_task("b")
    reader = queue.changes(after)
    assert libraries(islice(reader, 2)) == ["a", "b"]
    call = Call(lambda: next(reader))
    assert not call.is_over

    task_id = queue.submit_task("c")

    assert call.result().id == task_id


def test_none_is_from_the_moment_of_the_call(queue: ScanQueueService) -> None:
    """Not from that of the first `next`."""
    queue.submit_task("before")
    reader = queue.changes()
    queue.submit_task("after")

    assert next(reader).library_id == "after"


def test_a_revision_taken_before_a_listing_misses_nothing(queue: ScanQueueService) -> None:
    """How to show a list and keep it up to date."""
    queue.submit_task("a")
    revision = queue.revision
    queue.submit_task("b")
    listed = queue.list_tasks()
    queue.submit_task("c")

    assert libraries(listed) == ["a", "b"]
    assert libraries(islice(queue.changes(revision), 2)) == ["b", "c"]


def test_a_reader_reconnects_with_what_it_saw_last(queue: ScanQueueService) -> None:
    """The revision of a task is the cursor."""
    for name in "abcd":
        queue.submit_task(name)
    seen = list(islice(queue.changes(0), 2))

    assert libraries(islice(queue.changes(seen[-1].revision), 2)) == ["c", "d"]


def test_a_fast_reader_sees_each_state(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """One after the other."""
    scanner.hold()
    reader = queue.changes()
    task_id = queue.submit_task("music")
    seen = [next(reader)]
    queue.start()
    scan = scanner.next_scan()
    scan.ignore_cancel()
    seen.append(next(reader))
    queue.cancel_task(task_id)
    seen.append(next(reader))
    scan.release()
    seen.append(next(reader))

    assert [task.status for task in seen] == STATUSES
    assert [task.is_stopping for task in seen] == [False, False, True, False]


def test_a_slow_reader_skips_states_but_no_final_one(
    queue: ScanQueueService, scanner: FakeScanner
) -> None:
    """It gets the last state of each."""
    reader = queue.changes()
    for n in range(1000):
        queue.submit_task(n)
        queue.submit_task(n, TaskPriority.HIGH)
    queue.run_pending()

    seen = list(islice(reader, 1000))

    assert {task.status for task in seen} == {TaskStatus.COMPLETED}
    assert libraries(seen) == list(range(1000))


def test_what_changes_while_a_reader_is_busy_comes_in_its_latest_state(
    queue: ScanQueueService,
) -> None:
    """Also where the reader has fetched an earlier one with the task before it."""
    reader = queue.changes(0)
    music, films, books = (queue.submit_task(name) for name in ("music", "films", "books"))
    assert next(reader).id == music
    queue.cancel_task(films)

    seen = [next(reader), next(reader)]

    assert [task.id for task in seen] == [books, films]
    assert seen[1].status is TaskStatus.CANCELLED


@pytest.mark.own_store("tasks change right after a read")
def test_what_changes_right_after_it_was_fetched_comes_in_its_latest_state(
    make: MakeQueue,
) -> None:
    """The reader knows of changes since before it fetched, and not only since after."""
    store = MeddlingStore()
    queue = make(scan_nothing, store=store)
    music, films = (queue.submit_task(name) for name in ("music", "films"))
    store.after_reads.append(lambda: queue.cancel_task(music))

    seen = list(islice(queue.changes(0), 2))

    assert [task.id for task in seen] == [films, music]
    assert seen[1].status is TaskStatus.CANCELLED


@pytest.mark.own_store("its reads are counted")
def test_a_change_that_a_reader_waited_for_is_read_once(make: MakeQueue) -> None:
    """What it was woken for is the latest state, and the store is not asked whether it is."""
    store = FailingStore(MemoryStore())
    queue = make(scan_nothing, store=store)
    reader = queue.changes()
    reads: list[str] = []

    def follow() -> ScanTask:
        me = get_ident()
        store.fail_when(lambda number, call: reads.append(call) if get_ident() == me else None)
        return next(reader)

    call = Call(follow)
    await_that(lambda: queue._core.hub.readers)
    reads.clear()
    task_id = queue.submit_task("music")

    assert call.result().id == task_id
    assert reads == ["read"]


def test_readers_are_independent(queue: ScanQueueService) -> None:
    """A cursor each."""
    readers = [queue.changes() for _ in range(3)]
    queue.submit_task("music")

    assert len({next(reader) for reader in readers}) == 1


def test_it_ends_at_shutdown_with_the_endings(queue: ScanQueueService, shut_down_as: Fate) -> None:
    """The last thing a reader sees is what became of each task."""
    reader = queue.changes()
    task_id = queue.submit_task("music")
    call: Call[list[ScanTask]] = Call(lambda: list(reader))
    queue.shutdown()

    last = call.result()[-1]
    assert (last.id, fate(last)) == (task_id, shut_down_as)
    assert list(queue.changes()) == []
    assert libraries(queue.changes(0)) == ["music"]


def test_a_consumer_may_call_back(queue: ScanQueueService) -> None:
    """No lock is held while the consumer has the item."""
    queue.submit_task("music")
    for task in queue.changes(0):
        if task.status is TaskStatus.PENDING:
            queue.cancel_task(task.id)
        else:
            queue.shutdown()

    assert queue.is_shut_down


def test_an_abandoned_reader_costs_nothing(queue: ScanQueueService) -> None:
    """There is nothing to unsubscribe."""
    reader = queue.changes(0)
    queue.submit_task("music")
    next(reader)
    del reader

    assert queue.shutdown() is True


def test_a_pruned_task_just_disappears(make: MakeQueue, clock: FakeClock) -> None:
    """A reader that comes back too late is not told of it."""
    queue = make(scan_nothing)
    revision = queue.revision
    run_one(queue, "old")
    clock.advance(24 * 3600 + 1)
    run_one(queue, "new")

    assert libraries(queue.list_changes(revision)) == ["new"]


def test_a_result_after_a_cancel_is_a_change(queue: ScanQueueService, scanner: FakeScanner) -> None:
    """The reader sees what was found."""
    scanner.hold()
    queue.start()
    task_id = queue.submit_task("music")
    scan = scanner.next_scan()
    scan.ignore_cancel()
    queue.cancel_task(task_id)
    revision = queue.revision
    call = Call(lambda: queue.list_changes(revision, timeout=None))
    scan.release(TaskResult(added_count=1))

    assert [task.result for task in call.result()] == [TaskResult(added_count=1)]


def test_a_clock_of_long_ago_begins_at_nought(make: MakeQueue) -> None:
    """Revisions are never negative, whatever the time is."""
    queue = make(scan_nothing, clock=FakeClock(datetime(1960, 1, 1, tzinfo=UTC)))
    assert queue.revision == 0
    changes = queue.changes(0)
    task_id = queue.submit_task("music")

    assert next(changes).id == task_id
