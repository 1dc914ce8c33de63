"""What a host sees of a file that cannot be used: a typed error, and a queue that goes on."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from scanqueue import (
    ScanQueueService,
    SQLiteStore,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
    TaskStatus,
)
from scanqueue.stores import _patience, _writer
from scanqueue.testing import FakeClock, FakeScanner
from tests.faults.after import check_rows
from tests.service.tools import await_deadline, await_that, current, libraries
from tests.stores.test_faults import fill
from tests.stores.test_opening import NEWEST, contents, edit_version, mounted

PAGE = 4096

Fault = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no other program."""
    monkeypatch.setattr(_patience, "BUSY_TIMEOUT", 0.0)
    monkeypatch.setattr(_writer, "_TRIES", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a queue may be, in a folder of its own that can be mounted on."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "queue.db"


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


@pytest.fixture
def scanner() -> FakeScanner:
    """Return a scanner that returns at once until told to hold."""
    return FakeScanner()


@pytest.fixture
def queue(path: Path, clock: FakeClock, scanner: FakeScanner) -> Iterator[ScanQueueService]:
    """Return a service with one worker, which is not started."""
    service = ScanQueueService(scanner, store=SQLiteStore(path), clock=clock)
    yield service
    scanner.let_go()
    service.shutdown(None)


# --- at the start ---


@contextmanager
def no_folder(path: Path) -> Iterator[None]:
    """Have no folder."""
    hidden = path.parent.with_name("hidden")
    path.parent.rename(hidden)
    yield
    hidden.rename(path.parent)


@contextmanager
def other_content(path: Path, make: Callable[[bytes], bytes]) -> Iterator[None]:
    """Have something else in the file, and put a backup in its place."""
    backup = path.parent.with_name("backup.db")
    path.rename(backup)
    path.write_bytes(make(backup.read_bytes()))
    yield
    backup.rename(path)


@contextmanager
def other_program(path: Path) -> Iterator[None]:
    """Have the database of another program there."""
    backup = path.parent.with_name("backup.db")
    path.rename(backup)
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("CREATE TABLE tasks (id)")
    yield
    backup.rename(path)


@contextmanager
def newer(path: Path) -> Iterator[None]:
    """Have a newer format."""
    edit_version(path, NEWEST + 1)
    yield
    edit_version(path, NEWEST)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have another program that lets nobody else in."""
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA locking_mode = EXCLUSIVE")
        theirs.execute("BEGIN EXCLUSIVE")
        theirs.execute("PRAGMA user_version = 1")
        yield
        theirs.execute("ROLLBACK")


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Have the folder in a file system that can only be read."""
    content = path.read_bytes()
    with mounted(path.parent):
        path.write_bytes(content)
        remount(path.parent, "ro")
        yield


@contextmanager
def full(path: Path) -> Iterator[None]:
    """Have a full disk, with no queue yet."""
    with mounted(path.parent, "-o", "size=64k"):
        fill(path.parent / "ballast")
        yield


def remount(folder: Path, option: str) -> None:
    """Change how a file system is mounted."""
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)  # noqa: S607


def corrupt(content: bytes) -> bytes:
    """Damage all pages but the first."""
    return content[:PAGE] + b"\xff" * (len(content) - PAGE)


REFUSALS: dict[str, tuple[Fault, type[StoreError], str]] = {
    "missing folder": (no_folder, StoreError, "its folder does not exist; make it first"),
    "corrupt pages": (partial(other_content, make=corrupt), StoreCorruptError, "it is damaged"),
    "garbage": (
        partial(other_content, make=lambda _: b"garbage" * 1000),
        StoreCorruptError,
        "it is no SQLite database",
    ),
    "0 bytes": (partial(other_content, make=lambda _: b""), StoreCorruptError, "is empty"),
    "another program's": (other_program, StoreVersionError, "database of another program"),
    "newer": (newer, StoreVersionError, "made by a newer version"),
    "locked": (locked, StoreBusyError, "held it locked for too long"),
    "read-only": (read_only, StoreReadOnlyError, "mounted read-only"),
    "full": (full, StoreFullError, "no room is left"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_call_says_why_a_file_is_refused(
    queue: ScanQueueService, path: Path, name: str
) -> None:
    """It touches nothing; and the same service works when the fault is gone."""
    fault, error, match = REFUSALS[name]
    with ScanQueueService(None, store=SQLiteStore(path)) as earlier:
        kept = earlier.submit_task("music")
    calls: list[Callable[[], object]] = [
        queue.start,
        queue.run_pending,
        lambda: queue.submit("films"),
        lambda: queue.cancel_task(uuid4()),
        queue.list_tasks,
        queue.stats,
        queue.pause,
        lambda: queue.wait(kept),
    ]
    with fault(path):
        before = contents(path.parent) if path.parent.is_dir() else {}
        for call in calls:
            with pytest.raises(error, match=match) as caught:
                call()
            assert type(caught.value) is error
            assert caught.value.http_status in {500, 503, 507}
        for file, content in before.items():
            assert (path.parent / file).read_bytes() == content
        # The keeper of the service may be trying it, too.
        await_that(lambda: not before or {file.name for file in path.parent.iterdir()} == {*before})
    queue.start()
    assert queue.wait(kept, quiet=True).status is TaskStatus.COMPLETED


# --- under way ---


@contextmanager
def deleted(path: Path) -> Iterator[None]:
    """Take the file away."""
    hidden = path.parent.with_name("hidden")
    path.rename(hidden)
    yield
    hidden.rename(path)


@contextmanager
def replaced(path: Path) -> Iterator[None]:
    """Put another file in its place."""
    with deleted(path):
        path.write_bytes(b"another file")
        yield


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have another program write for a long time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN IMMEDIATE")
        yield
        theirs.execute("ROLLBACK")


UNDER_WAY: dict[str, tuple[Fault, type[StoreError], str]] = {
    "deleted": (deleted, StoreError, "is gone while it is in use"),
    "replaced": (replaced, StoreError, "was replaced while it was in use"),
    "locked": (held, StoreBusyError, "held it locked for too long"),
    "newer": (newer, StoreVersionError, "made by a newer version"),
}


@pytest.mark.parametrize("name", UNDER_WAY)
def test_a_queue_goes_on_when_the_fault_is_gone(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock, path: Path, name: str
) -> None:
    """Callers hear of it, and the worker tries until it can record the end of its scan."""
    fault, error, match = UNDER_WAY[name]
    scanner.hold("music")
    queue.start()
    music, films = queue.submit_task("music"), queue.submit_task("films")
    scan = scanner.next_scan()
    with fault(path):
        for call in (partial(queue.submit, "new"), partial(queue.cancel_task, films), queue.pause):
            with pytest.raises(error, match=match) as caught:
                call()
            assert type(caught.value) is error
        scan.release()
        await_deadline(clock, 1.0)  # the worker's next try
    clock.advance(1)
    assert queue.wait(films, quiet=True).status is TaskStatus.COMPLETED
    assert current(queue, music).status is TaskStatus.COMPLETED
    assert queue.get_library_task("new") is None
    assert [scan.context.task.attempt for scan in scanner.scans] == [1, 1]


def test_a_full_disk_loses_nothing_that_was_acknowledged(
    queue: ScanQueueService, scanner: FakeScanner, clock: FakeClock, path: Path
) -> None:
    """Submissions are refused, reads answer, the worker waits for room, and all is run."""
    with mounted(path.parent, "-o", "size=1m"):
        ballast = path.parent / "ballast"
        scanner.hold("music")
        queue.start()
        kept: dict[str, UUID] = {"music": queue.submit_task("music")}
        scan = scanner.next_scan()
        fill(ballast)

        def submit_many() -> None:
            for number in range(10_000):
                kept[f"{number}"] = queue.submit_task(f"{number}")

        with pytest.raises(StoreFullError, match="no room is left on its disk; free some"):
            submit_many()
        assert libraries(queue.list_pending()) == list(kept)[1:]
        with pytest.raises(StoreFullError):
            queue.submit_task("x" * 200)
        scan.release()
        await_deadline(clock, 1.0)  # the worker's next try
        assert current(queue, kept["music"]).holds_slot
        ballast.unlink()
        kept["films"] = queue.submit_task("films")
        clock.advance(1)
        for task_id in kept.values():
            assert queue.wait(task_id, quiet=True).status is TaskStatus.COMPLETED
        assert len(scanner.scans) == len(kept)
        assert queue.shutdown(None)
        check_rows(path)
