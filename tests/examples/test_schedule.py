"""Scheduled scans: when a library is due, as the history says, and what is then submitted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from medialibrary import Catalogue, MediaScanner
from medialibrary.schedule import (
    LONG_AGO,
    LOOK_AGAIN,
    OVERDUE_JITTER,
    RECENT,
    AfterLastScan,
    Schedule,
    next_scan_at,
)
from scanqueue import (
    EndReason,
    LibraryUnavailable,
    ScanContext,
    ScanQueueService,
    ScanScope,
    ScanTask,
    SQLiteStore,
    StoreError,
    SubmitOutcome,
    TaskPriority,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeClock, FakeScanner

EVERY = timedelta(hours=6)
RETRY = timedelta(minutes=15)
NOW = datetime(2000, 1, 1, 12, tzinfo=UTC)
SOME = ScanScope(paths=["a"])


class Host:
    """A queue on a clock that a test moves, and a schedule that nobody has started."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.is_away = False
        self.queue = ScanQueueService(self.scan, clock=self.clock, workers=0)
        self.schedule = make_schedule(self.queue, self.clock)

    def scan(self, _library_id: object, _context: ScanContext) -> TaskResult:
        """Take an hour."""
        if self.is_away:
            raise LibraryUnavailable
        self.clock.advance(3600)
        return TaskResult()

    def look(self) -> int:
        """Do what the scheduler does when it is time, and return how many scans that made."""
        self.schedule.scan_if_due("music")
        return self.queue.run_pending()


def make_schedule(queue: ScanQueueService, clock: FakeClock) -> Schedule:
    """Return a schedule of one library."""
    return Schedule(queue, ["music"], EVERY, retry=RETRY, now=clock.now)


@pytest.fixture
def host() -> Host:
    """A queue, and a schedule of it."""
    return Host()


def test_the_interval_counts_from_the_end_of_the_last_scan(host: Host) -> None:
    """However long that took; a scan that was never made is due at once."""
    assert host.schedule.due_at("music") == LONG_AGO
    assert host.look() == 1
    ended = host.clock.now()
    assert host.schedule.due_at("music") == ended + EVERY
    host.clock.advance(EVERY.total_seconds() - 1)
    assert host.look() == 0
    host.clock.advance(1)
    assert host.look() == 1
    assert {task.priority for task in host.queue.list_history()} == {TaskPriority.NORMAL}


def test_what_a_person_asked_for_counts_too(host: Host) -> None:
    """A scan between the planning and its time puts that off."""
    host.look()
    host.clock.advance(EVERY.total_seconds() - 3600)
    host.queue.submit_task("music", TaskPriority.HIGH)
    host.queue.run_pending()
    assert host.look() == 0


def test_scans_never_pile_up(host: Host) -> None:
    """While one is pending, another look joins it."""
    for _ in range(3):
        host.schedule.scan_if_due("music")
    assert host.queue.pending_count() == 1
    assert host.queue.stats().submitted[SubmitOutcome.JOINED] == 2


def test_a_library_that_was_away_is_tried_again_soon(host: Host) -> None:
    """Its drive may be back."""
    host.is_away = True
    host.look()
    assert host.schedule.due_at("music") == host.clock.now() + RETRY


def test_a_full_queue_is_asked_again_later(caplog: pytest.LogCaptureFixture) -> None:
    """The schedule goes on, and says so."""
    queue = ScanQueueService(FakeScanner(), max_pending=0)
    Schedule(queue, ["music"], EVERY).scan_if_due("music")
    assert queue.pending_count() == 0
    assert "cannot submit library 'music': QueueFullError" in caplog.text


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """The history is in the file, so the interval goes on."""
    clock = FakeClock()
    due = []
    for _ in range(2):
        with ScanQueueService(
            FakeScanner(), store=SQLiteStore(tmp_path / "queue.sqlite3"), clock=clock, workers=0
        ) as queue:
            schedule = make_schedule(queue, clock)
            schedule.scan_if_due("music")
            queue.run_pending()
            due.append(schedule.due_at("music"))
            clock.advance(3600)
    assert due == [clock.now() - timedelta(hours=2) + EVERY] * 2


def ended(*, ago: int, **changes: Any) -> ScanTask:  # noqa: ANN401 - any attribute
    """Return a task that has ended so many minutes ago."""
    queue = ScanQueueService(FakeScanner())
    queue.submit_task("music")
    queue.run_pending()
    (task,) = queue.list_history()
    return evolve(task, completed_at=NOW - timedelta(minutes=ago), **changes)


WHOLE_SCAN = ended(ago=0)
FAILED: dict[str, Any] = {"status": TaskStatus.FAILED, "result": None, "error": "it went wrong"}


@pytest.mark.parametrize(
    ("reason", "wait"),
    [
        (EndReason.ERROR, EVERY),
        (EndReason.INTERRUPTED, EVERY),
        (EndReason.UNAVAILABLE, RETRY),
    ],
)
def test_how_a_scan_ended_decides_when_the_next_begins(reason: EndReason, wait: timedelta) -> None:
    """What kills the process is not tried again at once."""
    task = ended(ago=1, reason=reason, **FAILED)
    before = ended(ago=100)
    assert next_scan_at([task, before], NOW, EVERY, RETRY) == NOW - timedelta(minutes=1) + wait


def test_an_interval_shorter_than_the_retry_holds_for_all() -> None:
    """A library that is away is not scanned less often than others."""
    task = ended(ago=0, reason=EndReason.UNAVAILABLE, **FAILED)
    assert next_scan_at([task], NOW, RETRY / 3, RETRY) == NOW + RETRY / 3


@given(st.lists(st.tuples(st.integers(-60, 10_000), st.booleans(), st.booleans())))
def test_the_last_scan_of_all_of_it_counts(ends: list[tuple[int, bool, bool]]) -> None:
    """Scans of some folders never do; and a clock that was wrong puts nothing off for ever."""
    history = [
        evolve(
            WHOLE_SCAN,
            completed_at=NOW - timedelta(minutes=ago),
            scope=SOME if is_partial else ScanScope(),
            reason=EndReason.UNAVAILABLE if is_away else None,
            status=TaskStatus.FAILED if is_away else TaskStatus.COMPLETED,
        )
        for ago, is_partial, is_away in sorted(ends)
    ]
    due = next_scan_at(history, NOW, EVERY, RETRY)
    whole = [(ago, is_away) for ago, is_partial, is_away in sorted(ends) if not is_partial]
    if not whole:
        assert due == LONG_AGO
    else:
        ago, is_away = whole[0]
        assert due == NOW - timedelta(minutes=max(ago, 0)) + (RETRY if is_away else EVERY)
    assert due <= NOW + EVERY


JITTER = timedelta(minutes=10)


def fires_at(
    due_at: Callable[[], datetime], previous: datetime | None = None, jitter: timedelta = JITTER
) -> datetime:
    """Return when the trigger fires next."""
    return AfterLastScan(due_at, jitter).get_next_fire_time(previous, NOW)


def test_libraries_that_are_due_do_not_all_begin_at_once() -> None:
    """Each waits for a random time: not long after a day without the server, say."""
    times = [fires_at(lambda: LONG_AGO) for _ in range(100)]
    assert all(NOW <= time <= NOW + OVERDUE_JITTER for time in times)
    assert len(set(times)) > 90
    due = NOW + EVERY
    assert all(due <= fires_at(lambda: due) <= due + JITTER for _ in range(100))


def test_a_scan_that_has_not_ended_yet_is_looked_at_again_later() -> None:
    """Until it has ended, the history says that it is due."""
    assert fires_at(lambda: LONG_AGO, previous=NOW, jitter=timedelta()) == NOW + LOOK_AGAIN
    times = [fires_at(lambda: LONG_AGO, previous=NOW) for _ in range(100)]
    assert all(NOW + LOOK_AGAIN <= time <= NOW + LOOK_AGAIN + OVERDUE_JITTER for time in times)


def test_a_short_interval_is_kept(host: Host) -> None:
    """A library is not looked at less often than it is to be scanned."""
    every = timedelta(seconds=30)
    schedule = Schedule(host.queue, ["music"], every, jitter=timedelta(), now=host.clock.now)
    (job,) = schedule._scheduler.get_jobs()
    assert job.trigger.get_next_fire_time(NOW, NOW) == NOW + every


@pytest.mark.parametrize("scans", [RECENT - 1, RECENT, RECENT + 1])
def test_a_busy_watcher_hides_no_scan_of_all_of_it(host: Host, scans: int) -> None:
    """However many scans of some folders have come after that."""
    host.look()
    due = host.schedule.due_at("music")
    for _ in range(scans):
        host.queue.submit_task("music", scope=SOME)
        host.queue.run_pending()
    assert host.schedule.due_at("music") == due


def test_a_history_that_cannot_be_read_does_not_end_the_scheduler() -> None:
    """It is read again soon, however long the interval is, and the jitter with it."""

    def fail() -> datetime:
        raise StoreError("the disk is gone")

    assert fires_at(fail, jitter=EVERY) == NOW + LOOK_AGAIN


def test_a_real_library_is_scanned_by_a_real_scheduler(tmp_path: Path) -> None:
    """Without anybody asking; the end of the schedule leaves the queue alone."""
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "notes.txt").touch()
    catalogue = Catalogue(tmp_path / "catalogue.sqlite3")
    library = catalogue.add_library(folder)
    with ScanQueueService(MediaScanner(catalogue)) as queue:
        revision = queue.revision
        schedule = Schedule(queue, [library.id], EVERY, jitter=timedelta())
        schedule.start()
        task = next(task for task in queue.changes(revision) if task.is_ended)
        schedule.stop()
        assert task.result == TaskResult(added_count=1)
        assert task.priority is TaskPriority.NORMAL
        assert queue.get_library_task(library.id) is None
