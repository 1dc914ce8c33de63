"""Folder watching, on real folders that the system watches."""

import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import watchfiles
from watchfiles import Change

import medialibrary.watch
from medialibrary import Catalogue, Library, MediaScanner
from medialibrary.debouncer import Debouncer
from medialibrary.watch import FolderWatch, what_to_scan
from scanqueue import (
    ScanQueueService,
    ScanScope,
    ScanTask,
    TaskPriority,
    TaskStatus,
)
from scanqueue.testing import FakeScanner

if sys.platform != "linux":
    pytest.skip("the events of inotify are the point", allow_module_level=True)

SOON = partial(Debouncer, quiet=0.1, longest=5.0)
WHOLE = ScanScope()


class Watched:
    """A library of real files that is watched, and scanned."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "music"
        self.root.mkdir()
        self.catalogue = Catalogue(folder / "data" / "catalogue.sqlite3")
        self.library: Library = self.catalogue.add_library(self.root)
        self.queue = ScanQueueService(MediaScanner(self.catalogue))
        self.watch = watch_over(self.queue, self.library)
        self._revision = self.queue.revision

    def put(self, path: str, *files: str) -> None:
        """Put a file, or a folder with some in it, into the library, in one step."""
        made = self.root.with_name("made")
        for file in files:
            (made / file).parent.mkdir(parents=True, exist_ok=True)
            (made / file).touch()
        if not files:
            made.touch()
        made.rename(self.root / path)

    def next_scan(self) -> ScanTask:
        """Wait for the next scan to end."""
        for task in self.queue.changes(self._revision):
            self._revision = task.revision
            if task.is_ended:
                return task
        raise AssertionError("the queue ended first")

    @property
    def paths(self) -> set[str]:
        """The files that scans have found."""
        return set(self.catalogue.files(self.library.id))


def watch_over(
    queue: ScanQueueService,
    library: Library,
    *,
    debouncer: Callable[[], Debouncer] = SOON,
) -> FolderWatch:
    """Return an impatient watch."""
    return FolderWatch(
        queue,
        [library],
        ignored=library.folder / "data",
        debouncer=debouncer,
        look_every=0.05,
        retry=0.05,
    )


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A library that is being watched, whose first scan has ended."""
    made = Watched(tmp_path)
    with made.queue:
        made.watch.start()
        first = made.next_scan()
        assert (first.priority, first.scope) == (TaskPriority.LOW, WHOLE)
        yield made
        made.watch.stop()


def test_what_changes_is_scanned(watched: Watched) -> None:
    """The folder, and not the library; a file in the root is scanned alone."""
    watched.put("Bach", "Motets/1.txt")
    task = watched.next_scan()
    assert (task.priority, task.scope.paths) == (TaskPriority.LOW, ("Bach",))
    (watched.root / "Bach" / "Motets" / "1.txt").rename(watched.root / "Bach" / "Motets" / "2.txt")
    assert watched.next_scan().scope.paths == ("Bach/Motets",)
    watched.put("notes.swp")  # programmers would not look at it
    assert watched.next_scan().scope.paths == ("notes.swp",)
    assert watched.paths == {"Bach/Motets/2.txt", "notes.swp"}


def test_a_name_that_is_no_text_has_the_library_scanned(watched: Watched) -> None:
    """Nobody is told where it is; then the watch goes on."""
    watched.put("caf\udce9.txt")
    assert watched.next_scan().scope == WHOLE
    assert watched.paths == {"caf\udce9.txt"}
    watched.put("notes.txt")
    assert watched.next_scan().scope.paths == ("notes.txt",)


def test_names_that_are_no_text_cannot_keep_a_library_from_being_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them change all the time, so that no watch lasts."""

    def fail(*_paths: Path, **_options: object) -> None:
        raise RuntimeError("Unable to decode path")

    monkeypatch.setattr(medialibrary.watch, "watch", fail)
    with ScanQueueService(FakeScanner()) as queue:
        changes = queue.changes()
        hasty = partial(Debouncer, longest=0.1)
        watch = watch_over(queue, Library(1, tmp_path), debouncer=hasty)
        watch.start()
        assert next(changes).scope == WHOLE
        watch.stop()


def test_a_library_whose_own_name_is_no_text_is_scanned(tmp_path: Path) -> None:
    """No watch of it lasts."""
    root = tmp_path / "caf\udce9"
    root.mkdir()
    with ScanQueueService(FakeScanner()) as queue:
        changes = queue.changes()
        watch = watch_over(queue, Library(1, root), debouncer=partial(Debouncer, longest=0.1))
        watch.start()
        assert next(changes).scope == WHOLE
        watch.stop()


def test_a_folder_that_comes_back_is_scanned_and_watched(watched: Watched) -> None:
    """Another with its name, that is: the system goes on to watch the one that has gone."""
    watched.root.rename(watched.root.with_name("away"))
    watched.put("", "1.txt")
    assert watched.next_scan().scope == WHOLE
    watched.put("2.txt")
    assert watched.next_scan().scope.paths == ("2.txt",)
    assert watched.paths == {"1.txt", "2.txt"}


def test_a_change_during_a_scan_gets_a_follow_up(tmp_path: Path) -> None:
    """The scan may have passed the folder already."""
    scanner = FakeScanner()
    scanner.hold()
    with ScanQueueService(scanner) as queue:
        revision = queue.revision
        watch = watch_over(queue, Library(1, tmp_path))
        watch.start()
        scan = scanner.next_scan()
        (tmp_path / "Bach").mkdir()
        follow_up = next(task for task in queue.changes(revision) if task.scope.paths)
        assert follow_up.status is TaskStatus.PENDING
        assert follow_up.scope.paths == ("Bach",)
        assert not scan.has_returned
        watch.stop()
        scanner.let_go()


def test_a_library_that_is_away_is_watched_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is submitted before."""
    looked = Event()
    identify = medialibrary.watch.identify

    def look(folder: Path) -> object:
        looked.set()
        return identify(folder)

    monkeypatch.setattr(medialibrary.watch, "identify", look)
    root = tmp_path / "music"
    with ScanQueueService(FakeScanner()) as queue:
        revision = queue.revision
        watch = watch_over(queue, Library(1, root))
        watch.start()
        assert looked.wait(10)
        assert queue.revision == revision
        root.mkdir()
        assert next(queue.changes(revision)).scope == WHOLE
        watch.stop()


def test_a_system_that_refuses_to_watch_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has a limit of folders, which somebody may raise."""
    refusals = [OSError("OS file watch limit reached.")]

    def refuse_once(*paths: Path, **options: Any) -> Any:  # noqa: ANN401 - those of watchfiles
        if refusals:
            raise refusals.pop()
        return watchfiles.watch(*paths, **options)

    monkeypatch.setattr(medialibrary.watch, "watch", refuse_once)
    with ScanQueueService(FakeScanner()) as queue:
        revision = queue.revision
        watch = watch_over(queue, Library(1, tmp_path))
        watch.start()
        assert next(queue.changes(revision)).scope == WHOLE
        watch.stop()
    assert "limit reached" in caplog.text


def test_what_has_changed_is_submitted_at_the_end(tmp_path: Path) -> None:
    """Or a restart would lose it."""
    changed = Event()

    class Patient(Debouncer):
        """Waits until the end, and says that there is something."""

        def add(self, path: str, now: float) -> None:
            super().add(path, now)
            changed.set()

    queue = ScanQueueService(FakeScanner())
    debouncer = partial(Patient, quiet=math.inf, longest=math.inf)
    watch = watch_over(queue, Library(1, tmp_path), debouncer=debouncer)
    watch.start()
    assert changed.wait(10)
    watch.stop()
    (task,) = queue.list_pending()
    assert (task.priority, task.scope) == (TaskPriority.LOW, WHOLE)


def test_a_queue_that_is_shut_down_ends_the_watch(tmp_path: Path) -> None:
    """Whoever has forgotten to stop it has no threads left over."""
    queue = ScanQueueService(FakeScanner())
    queue.shutdown()
    watch = watch_over(queue, Library(1, tmp_path))
    watch.start()
    for thread in watch._threads:
        thread.join(10)
        assert not thread.is_alive()


def test_what_a_full_queue_refuses_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And submitted when it is quiet again."""
    queue = ScanQueueService(FakeScanner(), max_pending=0)
    watch = watch_over(queue, Library(1, tmp_path))
    for scope in (ScanScope(paths=["a", "b/c"]), WHOLE):
        changed = Debouncer()
        for path in scope.paths or [""]:
            changed.add(path, 0)
        watch._submit(Library(1, tmp_path), changed, math.inf)
        assert changed.due(math.inf) == scope
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


@pytest.mark.parametrize(
    ("change", "path", "scope"),
    [
        (Change.added, "Bach/1.txt", "Bach"),
        (Change.modified, "Bach/1.txt", "Bach"),
        (Change.deleted, "Bach/gone.txt", "Bach"),
        (Change.added, "Bach", "Bach"),
        (Change.added, "Bach/Motets", "Bach/Motets"),
        (Change.deleted, "Bach/Gone", "Bach"),
        (Change.deleted, "Gone", "Gone"),
        (Change.deleted, "", ""),
        (Change.modified, "", ""),
        (Change.modified, ".git/__pycache__/x.pyc", ".git/__pycache__"),
        (Change.added, "Bach/link/1.txt", None),
        (Change.deleted, "Bach/link/Gone/1.txt", None),
        (Change.modified, "Bach/pipe", None),
        (Change.modified, "Bach/link", None),
        (Change.modified, "Bach/gone.txt", None),
        (Change.added, "Bach/link", "Bach"),
        (Change.added, "Bach/pipe", "Bach"),
    ],
)
def test_what_is_scanned_after_a_change(
    tmp_path: Path, change: Change, path: str, scope: str | None
) -> None:
    """What the scanner does not see is no news, unless it has taken the place of a file."""
    root, outside = tmp_path / "music", tmp_path / "outside"
    for folder in (root / "Bach" / "Motets", root / ".git" / "__pycache__", outside):
        folder.mkdir(parents=True)
    for file in (root / "Bach" / "1.txt", root / ".git/__pycache__/x.pyc", outside / "1.txt"):
        file.touch()
    (root / "Bach" / "link").symlink_to(outside)
    os.mkfifo(root / "Bach" / "pipe")
    assert what_to_scan(root, change, root / path) == scope


def test_the_queue_writing_its_own_file_is_no_news(tmp_path: Path) -> None:
    """Or each scan would ask for another."""
    watch = watch_over(ScanQueueService(FakeScanner()), Library(1, tmp_path))
    for path in ("data", "data/queue.sqlite3-wal"):
        assert watch._what_to_scan(tmp_path, Change.modified, tmp_path / path) is None
