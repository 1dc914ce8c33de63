"""Records that were damaged: each blocks nobody else, and what can be done without it goes on."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from scanqueue import ScanQueueService, TaskResult, _rules
from scanqueue.models import NO_PROGRESS, TaskStatus, WhenRunning
from scanqueue.protocols import TaskTable
from scanqueue.records import Counts, Slot, TaskRecord
from scanqueue.stores import _sqlite_table
from scanqueue.stores.sqlite import SQLiteStore
from tests.bare_queue import DONE, NOON
from tests.stores.tools import PATIENCE, Call, claim, edit, spoil, submit, waiting

BROKEN = [
    ("status", "banana"),
    ("status", b"\xff"),
    ("priority", 7),
    ("scope", "[1]"),
    ("scope", "{}"),
    ("scope", "no json"),
    ("scope", "[" * 100_000),
    ("deep", 2),
    ("created_at", 2**62),
    ("created_at", "noon"),
    ("revision", "late"),
    ("error", b"\xff\xfe"),
    ("reason", "because"),
    ("library_id", b"bytes"),
    ("library_id", ""),
    ("scanned_paths", -1),
    ("added_count", 1),
    ("holds_slot", 7),
    ("started_at", 1.5e300),
]


@pytest.mark.logs_errors
@pytest.mark.parametrize(("column", "value"), BROKEN, ids=str)
def test_a_record_that_cannot_be_read_blocks_nobody(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture, column: str, value: object
) -> None:
    """Reads pass over it; the first write that meets it sets it aside, and its library works."""
    broken = submit(store, "broken")
    submit(store, "music")
    spoil(path, broken.id, column, value)
    for _ in range(2):
        with store.read() as view:
            assert view.get(broken.id) is None
            assert [task.library_id for task in view.changed(0, None)] == ["music"]
            assert [task.library_id for task in view.changed(0, 1)] == ["music"]
            first = view.first_claimable()
            assert first is not None
            assert first.library_id == "music"
    records = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(records) == 1
    assert records[0].message == "a record cannot be read; it is passed over"
    data = {name: value for name, value in vars(records[0]).items() if "scanqueue_" in name}
    seq = broken.revision
    assert data == {"scanqueue_path": str(path), "scanqueue_table": "tasks", "scanqueue_seq": seq}
    with store.write() as table:
        assert table.get(broken.id) is None
        assert table.counts().pending == 1
    submit(store, "broken")
    assert claim(store).library_id == "music"
    assert claim(store).library_id == "broken"


@pytest.mark.logs_errors
def test_a_record_that_cannot_be_read_is_told_of_in_a_shared_transaction(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the block that meets it, which is not the first of its transaction."""
    broken = submit(store, "broken")
    spoil(path, broken.id, "status", "banana")
    inside, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        with store.write():
            inside.set()
            assert go_on.wait(PATIENCE)

    def meet() -> None:
        with store.write() as table:
            assert table.get(broken.id) is None

    first = Call(stay)
    assert inside.wait(PATIENCE)
    second = Call(meet)
    while store._writers._arrivals == 0 and second.is_alive():
        time.sleep(0)
    go_on.set()
    first.result()
    second.result()
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(record)["scanqueue_path"] == str(path)


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE tasks SET rank = 'first'", "a number is not a number"),
        ("UPDATE tasks SET error = x'ff'", "the error is not a text"),
        ("UPDATE tasks SET scope = '{}'", "the paths are not a list"),
        ("UPDATE tasks SET holds_slot = 0", "nobody can be in that state"),
        ("UPDATE tasks SET status = 'cancelled'", "it has ended, but nobody knows when"),
        ("UPDATE slots SET attempt = 'x'", "the attempt is not a number, or the owner not a text"),
    ],
)
def test_the_log_says_what_is_wrong_with_a_record(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture, damage: str, reason: str
) -> None:
    """So that one need not guess what else the disk has lost."""
    task = submit(store, "music")
    claim(store)
    edit(path, damage)
    with store.read() as view:
        view.get(task.id)
        view.slots()
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == reason


@pytest.mark.logs_errors
def test_the_scan_of_a_record_that_was_lost_frees_its_library(
    store: SQLiteStore, path: Path
) -> None:
    """When it ends, or when its process is dead."""
    for ends in (True, False):
        task = submit(store, "music")
        slot = claim(store)
        spoil(path, task.id, "status", "banana")
        submit(store, "music")
        with store.write() as table:
            assert _rules.claim(table, "me", now=NOON, max_running=None) is None
            assert table.counts().running == 0
        with store.write() as table:
            if ends:
                assert _rules.finish(table, slot, DONE, task.progress, now=NOON) is None
            else:
                assert _rules.recover(table, {"me"}, now=NOON, max_interruptions=3) == []
            assert table.counts().slots == 0
        with store.write() as table:
            _rules.finish(table, claim_in(table), DONE, task.progress, now=NOON)


def claim_in(table: TaskTable) -> Slot:
    """Claim inside a transaction."""
    claimed = _rules.claim(table, "me", now=NOON, max_running=None)
    assert claimed is not None
    return claimed[1]


@pytest.mark.logs_errors
@pytest.mark.parametrize(("column", "value"), [("task_id", b"short"), ("attempt", "x")])
def test_a_slot_that_cannot_be_read_is_freed(
    store: SQLiteStore, path: Path, column: str, value: object
) -> None:
    """Nobody can say whose it is."""
    submit(store, "music")
    claim(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE slots SET {column} = ?", (value,))  # noqa: S608
    with store.read() as view:
        assert view.slots() == []
    with store.write() as table:
        assert table.slots() == []
        assert table.counts().slots == 0
    submit(store, "films")
    assert claim(store).library_id == "films"


@pytest.mark.logs_errors
def test_an_ended_record_that_cannot_be_read_is_pruned_all_the_same(
    store: SQLiteStore, path: Path
) -> None:
    """And its neighbours are found and ended, whatever is in its place."""
    tasks = [submit(store, number) for number in range(3)]
    for task in tasks[:2]:
        with store.write() as table:
            _rules.cancel(table, task.id, now=NOON)
    spoil(path, tasks[0].id, "status", "banana")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE tasks SET error = CAST(x'ff' AS TEXT) WHERE library_id = 0")
    with store.read() as view:
        assert [task.library_id for task in view.ended(NOON, None, None)] == [1]
    with store.write() as table:
        assert _rules.prune(table, NOON.replace(year=2001)) == 2
        assert table.counts() == Counts(pending=1)
    submit(store, 3)
    with store.write() as table:
        _rules.cancel(table, tasks[2].id, now=NOON)
    spoil(path, tasks[2].id, "ended_by", "x")
    with store.write() as table:
        _rules.cancel_library(table, 3, now=NOON)
        assert [task.library_id for task in table.ended(NOON, None, None)] == [2, 3]


def test_a_stored_end_is_needed(store: SQLiteStore, path: Path) -> None:
    """A task that ended nobody knows when is not one."""
    task = submit(store, "music")
    with store.write() as table:
        _rules.cancel(table, task.id, now=NOON)
    spoil(path, task.id, "completed_at", None)
    with store.read() as view:
        assert view.get(task.id) is None


@pytest.mark.logs_errors
@pytest.mark.parametrize("status", ["running", "pending", "completed"])
def test_the_scan_of_a_record_that_knows_nothing_of_it_frees_its_library(
    store: SQLiteStore, path: Path, status: str
) -> None:
    """Each value of the record can be read, but they contradict each other."""
    submit(store, "music")
    slot = claim(store)
    edit(path, "UPDATE tasks SET status = ?, completed_at = 0, holds_slot = 0", status)
    with store.write() as table:
        assert _rules.finish(table, slot, DONE, NO_PROGRESS, now=NOON) is None
        assert table.slot_of("music") is None
        assert _rules.is_lost(table, slot, 0)
    submit(store, "music")
    assert claim(store).library_id == "music"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE slots SET owner = x'ff'",
        "UPDATE slots SET task_id = x'00'",
        "UPDATE tasks SET id = x'00'",
        "DELETE FROM slots",
        "UPDATE tasks SET holds_slot = 0",
        "UPDATE tasks SET status = 'completed', completed_at = 0",
        "UPDATE tasks SET status = 'completed', completed_at = 0, holds_slot = 0",
        "UPDATE tasks SET status = 'pending', holds_slot = 0",
        "UPDATE tasks SET status = 'cancelled', completed_at = 0, holds_slot = 0",
    ],
)
def test_a_damaged_record_of_a_scan_blocks_no_library(
    store: SQLiteStore, path: Path, damage: str
) -> None:
    """Not even its own: what runs without a slot is set aside when the library is claimed."""
    submit(store, "music")
    claim(store)
    edit(path, damage)
    with store.read() as view:
        owners = {slot.owner for slot in view.slots()}
    with store.write() as table:
        _rules.recover(table, owners, now=NOON, max_interruptions=3)
    submit(store, "music")
    submit(store, "films")

    assert {claim(store).library_id for _ in range(2)} == {"music", "films"}


def test_a_task_that_says_that_it_holds_a_slot_which_nobody_has_is_claimed(
    store: SQLiteStore, path: Path
) -> None:
    """Whether the slot of a library is free is what the slots say."""
    task = submit(store, "music")
    spoil(path, task.id, "holds_slot", 1)
    slot = claim(store)
    with store.write() as table:
        ended = _rules.finish(table, slot, DONE, NO_PROGRESS, now=NOON)
    assert ended is not None
    assert (ended.id, ended.status) == (task.id, TaskStatus.COMPLETED)


@pytest.mark.logs_errors
def test_the_log_names_what_was_set_aside(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What runs without a slot, and a slot that is none; each once."""
    lost = submit(store, "music")
    claim(store)
    edit(path, "UPDATE slots SET attempt = 'x'")
    submit(store, "music")
    claim(store)
    found = [
        (record.scanqueue_path, record.scanqueue_table, record.scanqueue_seq, record.exc_info[1])  # type: ignore[attr-defined,index]
        for record in caplog.records
    ]
    assert [(*data, str(error)) for *data, error in found] == [
        (str(path), "slots", 1, "the attempt is not a number, or the owner not a text"),
        (str(path), "tasks", lost.revision, "it runs without a slot"),
    ]


@pytest.mark.logs_errors
def test_what_is_stopping_is_counted_when_another_record_is_set_aside(
    store: SQLiteStore, path: Path
) -> None:
    """Everything is counted again then, since nobody knows what the record counted as."""
    tasks = [submit(store, library_id) for library_id in ("music", "films", "books")]
    claim(store)
    claim(store)
    with store.write() as table:
        for task in tasks[:2]:
            _rules.cancel(table, task.id, now=NOON)
    spoil(path, tasks[2].id, "status", "banana")
    submit(store, "photos")
    with store.write() as table:
        assert table.get(tasks[2].id) is None
        assert [task.library_id for task in table.pending(None)] == ["photos"]
        assert table.changed(0, None)
        assert table.counts() == Counts(pending=1, cancelled=2, stopping=2, slots=2)


def service_on(path: Path, *, max_running: int | None) -> ScanQueueService:
    """Return a service that scans when it is told to."""
    return ScanQueueService(
        lambda library_id, context: TaskResult(),
        store=SQLiteStore(path),
        workers=0,
        max_running=max_running,
    )


@pytest.mark.logs_errors
@pytest.mark.parametrize("max_running", [None, 1])
def test_a_slot_that_cannot_be_read_is_freed_by_the_next_start(
    store: SQLiteStore, path: Path, max_running: int | None
) -> None:
    """Nobody need submit anything: what waits behind it is scanned, and so are the others."""
    submit(store, "music")
    claim(store)
    submit(store, "music", when_running=WhenRunning.FOLLOW_UP)
    submit(store, "films")
    store.close()
    edit(path, "UPDATE slots SET attempt = 'x'")
    queue = service_on(path, max_running=max_running)
    queue.start()
    assert queue.run_pending() == 2
    assert (queue.stats().running, queue.stats().completed) == (0, 2)
    queue.shutdown()


@pytest.mark.logs_errors
def test_a_count_of_slots_that_was_damaged_holds_nothing_back(
    store: SQLiteStore, path: Path
) -> None:
    """The slots themselves say how many there are."""
    submit(store, "music")
    store.close()
    edit(path, "UPDATE queue SET slots = 7")
    queue = service_on(path, max_running=1)
    assert queue.run_pending() == 1
    queue.shutdown()


@pytest.mark.logs_errors
def test_a_log_handler_may_ask_the_queue_while_it_starts(store: SQLiteStore, path: Path) -> None:
    """What is found when the file is opened is told when no lock is held."""
    submit(store, "music")
    claim(store)
    store.close()
    edit(path, "UPDATE slots SET attempt = 'x'")
    answers: list[int] = []
    queue = ScanQueueService(None, store=SQLiteStore(path))

    class Curious(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            answers.append(queue.pending_count())

    handler = Curious()
    logging.getLogger("scanqueue").addHandler(handler)
    try:
        Call(queue.start).result()
    finally:
        logging.getLogger("scanqueue").removeHandler(handler)
        queue.shutdown()
    assert answers


def test_a_read_that_is_interrupted_keeps_nothing_open(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one on its connection sees the queue as it is by then."""
    for library in ("music", "books", "comics"):
        submit(store, library)

    def interrupt(row: object) -> TaskRecord:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_sqlite_table, "decode", interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            waiting(store)
    submit(store, "films")
    assert waiting(store) == ["music", "books", "comics", "films"]
    assert caught.traceback  # which keeps alive whatever its frames have
