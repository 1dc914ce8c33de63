"""The scanner of the examples, on real files: what it counts, and what it must never lose."""

import os
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medialibrary import Catalogue, Library, MediaFile, MediaScanner, printable, scanner
from medialibrary.tags import AUDIO_SUFFIXES
from scanqueue import (
    EndReason,
    ScanQueueService,
    ScanScope,
    ScanTask,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import check_scanner
from tests.examples.audio import write_flac, write_mp3, write_wav

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files are the point")


class Media:
    """A library on disk, its catalogue, and a queue that scans it on the calling thread."""

    def __init__(self, folder: Path, catalogue: Catalogue, queue: ScanQueueService) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self.queue = queue
        self.library: Library = catalogue.add_library(folder)

    def run(self, *paths: str, deep: bool = False) -> ScanTask:
        """Scan to the end, whichever it is."""
        scope = ScanScope(paths=paths, deep=deep)
        task_id = self.queue.submit_task(self.library.id, scope=scope)
        self.queue.run_pending()
        return self.queue.wait(task_id, quiet=True)

    def scan(self, *paths: str, deep: bool = False) -> tuple[int, int, int, int]:
        """Scan, and return what was added, updated, removed and failed."""
        task = self.run(*paths, deep=deep)
        assert task.status is TaskStatus.COMPLETED, task.error
        return counts(task.result)

    @property
    def files(self) -> dict[str, MediaFile]:
        """What the catalogue knows."""
        return self.catalogue.files(self.library.id)

    @property
    def paths(self) -> set[str]:
        """The paths that the catalogue knows."""
        return set(self.files)


def counts(result: TaskResult | None) -> tuple[int, int, int, int]:
    """Return the four counts."""
    assert result is not None
    return (
        result.added_count,
        result.updated_count,
        result.removed_count,
        result.failed_count,
    )


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Media]:
    """A library of four files in three folders, not scanned yet."""
    folder = tmp_path / "music"
    (folder / "albums" / "first").mkdir(parents=True)
    (folder / "albums" / "second").mkdir()
    write_mp3(folder / "albums" / "first" / "one.mp3", "One", "Ann")
    write_flac(folder / "albums" / "second" / "two.flac", "Two", "Bob")
    write_wav(folder / "three.wav", "Three", "Cay")
    (folder / "cover.jpg").write_bytes(b"a picture")
    catalogue = Catalogue(tmp_path / "cache" / "catalogue.sqlite3")
    with ScanQueueService(MediaScanner(catalogue), workers=0) as queue:
        yield Media(folder, catalogue, queue)


def test_it_keeps_all_promises_of_a_scanner(media: Media) -> None:
    """Those of one that remembers what it found, and heeds scopes, too."""
    away = media.catalogue.add_library(media.folder / "not mounted")
    albums = media.catalogue.add_library(media.folder / "albums")
    check_scanner(
        MediaScanner(media.catalogue),
        media.library.id,
        unavailable_id=away.id,
        scope=ScanScope(paths=["albums"]),
        is_incremental=True,
        other_id=albums.id,
    )


def test_tags_of_every_kind_of_file_are_read(media: Media) -> None:
    """MP3, FLAC and WAV tell title, artist and length; a picture is a file without tags."""
    assert media.scan() == (4, 0, 0, 0)
    told = {path: (file.title, file.artist, file.seconds) for path, file in media.files.items()}
    assert told == {
        "albums/first/one.mp3": ("One", "Ann", pytest.approx(0.26, abs=0.01)),
        "albums/second/two.flac": ("Two", "Bob", 1.0),
        "three.wav": ("Three", "Cay", pytest.approx(0.1)),
        "cover.jpg": (None, None, None),
    }


def test_second_scan_finds_nothing_new(media: Media) -> None:
    """What has its size and time still is not counted, and not read again."""
    media.scan()
    assert media.scan() == (0, 0, 0, 0)


def test_progress_ends_at_the_number_of_files(media: Media) -> None:
    """The total is known once the files are listed."""
    progress = media.run().progress
    assert (progress.scanned_paths, progress.total_paths) == (4, 4)


def test_each_change_is_counted(media: Media) -> None:
    """One file added, two changed, one removed, one corrupted."""
    media.scan()
    write_mp3(media.folder / "albums" / "new.mp3")
    write_flac(media.folder / "albums" / "second" / "two.flac", "Another title")
    (media.folder / "cover.jpg").write_bytes(b"another picture")
    (media.folder / "three.wav").unlink()
    (media.folder / "albums" / "first" / "one.mp3").write_bytes(b"no music at all")
    assert media.scan() == (1, 2, 1, 1)
    assert media.files["albums/second/two.flac"].title == "Another title"
    assert "three.wav" not in media.paths


def test_a_scope_of_any_depth_costs_no_more_than_its_length(media: Media) -> None:
    """It may come from a client; what of it is there is scanned."""
    deep = "/".join(["albums", "first", *"x" * 100_000])
    assert media.scan(deep, "albums/second") == (1, 0, 0, 0)
    assert media.paths == {"albums/second/two.flac"}


def test_a_folder_of_corrupt_files_does_not_fill_the_log(
    media: Media, caplog: pytest.LogCaptureFixture
) -> None:
    """The first few are named, with the reason, and the rest is counted."""
    for number in range(25):
        (media.folder / f"{number}.flac").write_bytes(b"no music")
    assert media.scan() == (4, 0, 0, 25)
    assert len(caplog.messages) == 11
    assert all("is not a valid FLAC file" in message for message in caplog.messages[:10])
    assert caplog.messages[10] == f"{media.folder}: 15 more cannot be read"


def test_corrupt_file_fails_until_it_is_repaired(media: Media) -> None:
    """What was known of it stays, and each scan tries again."""
    media.scan()
    path = media.folder / "albums" / "first" / "one.mp3"
    path.write_bytes(b"no music at all")
    assert media.scan() == (0, 0, 0, 1)
    assert media.scan() == (0, 0, 0, 1)
    assert media.files["albums/first/one.mp3"].title == "One"
    write_mp3(path, "One again")
    assert media.scan() == (0, 1, 0, 0)
    assert media.files["albums/first/one.mp3"].title == "One again"


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
@pytest.mark.parametrize("content", [b"", b"\0" * 5_000, b"fLaC\xff\xff\xff\xff", b"RIFF\xff"])
def test_damaged_audio_never_ends_a_scan(media: Media, suffix: str, content: bytes) -> None:
    """Files that are empty, zeros or cut off are counted as failed, and the others scanned."""
    (media.folder / f"damaged{suffix}").write_bytes(content)
    assert media.scan() == (4, 0, 0, 1)


def test_empty_file_without_tags_is_a_file(media: Media) -> None:
    """Only audio can be damaged."""
    (media.folder / "empty.txt").touch()
    assert media.scan() == (5, 0, 0, 0)


def test_deep_scan_sees_what_size_and_time_hide(media: Media) -> None:
    """A tag editor that keeps both fools a scan, but no deep one."""
    media.scan()
    path = media.folder / "albums" / "first" / "one.mp3"
    before = path.stat()
    write_mp3(path, "Two", "Ann")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert media.scan() == (0, 0, 0, 0)
    assert media.scan(deep=True) == (0, 1, 0, 0)
    assert media.files["albums/first/one.mp3"].title == "Two"
    assert media.scan(deep=True) == (0, 0, 0, 0)


# --- scopes ---


def test_scope_limits_what_is_added_and_removed(media: Media) -> None:
    """A scan of one folder, and of one file, leaves all others alone."""
    media.scan()
    (media.folder / "albums" / "first" / "one.mp3").unlink()
    (media.folder / "three.wav").unlink()
    (media.folder / "cover.jpg").unlink()
    write_mp3(media.folder / "new.mp3")
    write_mp3(media.folder / "albums" / "first" / "new.mp3")
    assert media.scan("albums/first", "cover.jpg") == (1, 0, 2, 0)
    assert media.paths == {"albums/first/new.mp3", "albums/second/two.flac", "three.wav"}


def test_scope_that_is_gone_is_removed(media: Media) -> None:
    """A folder that was deleted is named by a file watcher: its files go, no others."""
    media.scan()
    (media.folder / "albums" / "first" / "one.mp3").unlink()
    (media.folder / "albums" / "first").rmdir()
    assert media.scan("albums/first") == (0, 0, 1, 0)
    assert media.scan("no/such/folder") == (0, 0, 0, 0)
    assert len(media.paths) == 3


def test_scope_is_not_its_namesakes(media: Media) -> None:
    """`albums/first` is not `albums/first again`."""
    (media.folder / "albums" / "first again").mkdir()
    write_mp3(media.folder / "albums" / "first again" / "one.mp3")
    assert media.scan("albums/first") == (1, 0, 0, 0)


# --- libraries that are away ---


def test_missing_folder_leaves_the_catalogue(media: Media) -> None:
    """A drive that is away empties nothing, and is as it was when it is back."""
    media.scan()
    before = media.files
    away = media.folder.rename(media.folder.with_name("away"))
    task = media.run()
    assert (task.status, task.reason) == (TaskStatus.FAILED, EndReason.UNAVAILABLE)
    assert task.error == f"LibraryUnavailable: No such file or directory: {media.folder}"
    assert media.files == before
    away.rename(media.folder)
    assert media.scan() == (0, 0, 0, 0)


def test_empty_mount_point_leaves_the_catalogue(media: Media) -> None:
    """A library that has lost all at once was unmounted, be it a scan of a part."""
    media.scan()
    before = media.files
    media.folder.rename(media.folder.with_name("away"))
    media.folder.mkdir()
    for paths in ((), ("albums",)):
        task = media.run(*paths)
        assert task.reason is EndReason.UNAVAILABLE
        assert "had 4 files" in (task.error or "")
    assert media.files == before


def test_empty_folder_is_a_library_at_first(media: Media, tmp_path: Path) -> None:
    """Nothing was known of it, so nothing is missed."""
    (tmp_path / "empty").mkdir()
    media.library = media.catalogue.add_library(tmp_path / "empty")
    assert media.scan() == (0, 0, 0, 0)


def test_file_is_no_library(media: Media) -> None:
    """A path that is a file is unavailable, and says why."""
    media.library = media.catalogue.add_library(media.folder / "cover.jpg")
    task = media.run()
    assert task.reason is EndReason.UNAVAILABLE
    assert (task.error or "").startswith("LibraryUnavailable: Not a directory: ")


def test_unknown_library_fails(media: Media) -> None:
    """An id that the catalogue does not have is an error, not an empty library."""
    task_id = media.queue.submit_task("no such library")
    media.queue.run_pending()
    assert media.queue.wait(task_id).error == "LookupError: there is no library 'no such library'"


# --- what goes away in the middle of a scan ---


def before_listing(
    monkeypatch: pytest.MonkeyPatch, folder: Path, action: Callable[[], object]
) -> None:
    """Do something right before the walk lists a folder."""
    scandir = os.scandir

    def listing(path: Path) -> "os._ScandirIterator[str]":
        if Path(path) == folder:
            action()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)


def test_folder_that_vanishes_in_mid_walk_is_kept(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was listed by its parent, so it may be a drive that went away: nothing is removed."""
    media.scan()
    folder = media.folder / "albums" / "first"
    before_listing(monkeypatch, folder, lambda: folder.rename(folder.with_name("away")))
    assert media.scan() == (0, 0, 0, 1)
    assert len(media.paths) == 4


def test_folder_that_turns_unreadable_in_mid_walk_is_kept(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan completes with the others, and what was below it stays."""
    media.scan()
    (media.folder / "three.wav").unlink()

    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "albums")

    before_listing(monkeypatch, media.folder / "albums", refuse)
    assert media.scan() == (0, 0, 1, 1)
    assert media.paths == {"albums/first/one.mp3", "albums/second/two.flac", "cover.jpg"}


def test_library_that_vanishes_after_its_listing_is_kept(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files vanish between listing and stat: the drive is away, and nothing was found out."""
    media.scan()
    before = media.files
    list_files = scanner.list_files

    def list_and_lose(*args: object) -> scanner.Listing:
        listing = list_files(*args)  # type: ignore[arg-type]
        media.folder.rename(media.folder.with_name("away"))
        return listing

    monkeypatch.setattr(scanner, "list_files", list_and_lose)
    assert media.run().reason is EndReason.UNAVAILABLE
    assert media.files == before


def test_file_that_vanishes_after_its_listing_is_left_to_the_next_scan(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither removed nor failed now; one that was replaced by a pipe is not opened."""
    media.scan()
    list_files = scanner.list_files

    def list_and_lose(*args: object) -> scanner.Listing:
        listing = list_files(*args)  # type: ignore[arg-type]
        (media.folder / "cover.jpg").unlink()
        (media.folder / "three.wav").unlink()
        os.mkfifo(media.folder / "three.wav")
        return listing

    with monkeypatch.context() as patch:
        patch.setattr(scanner, "list_files", list_and_lose)
        assert media.scan() == (0, 0, 0, 0)
    assert media.scan() == (0, 0, 2, 0)


# --- scans that do not complete ---


def test_cancelled_scan_changes_nothing(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue is written at the end, or not at all."""
    media.scan()
    before = media.files
    (media.folder / "cover.jpg").unlink()
    for number in range(5):
        write_mp3(media.folder / f"{number}.mp3")

    def cancel(*_: object) -> MediaFile:
        media.queue.cancel_library(media.library.id)
        raise OSError

    monkeypatch.setattr(scanner, "read_file", cancel)
    task = media.run()
    assert (task.status, task.result) == (TaskStatus.CANCELLED, None)
    assert task.progress.scanned_paths == 0
    assert media.files == before


def test_failed_save_changes_nothing(media: Media) -> None:
    """A catalogue that refuses one row takes none."""
    media.scan()
    before = media.files
    added = MediaFile("new", 1, 1.0)
    refused = MediaFile("newer", 1, None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        media.catalogue.save(media.library.id, [added, refused], [])
    assert media.files == before


# --- names and kinds of files ---


def test_names_that_are_no_text(media: Media) -> None:
    """File names are bytes: they come back from the catalogue as they are."""
    folder = os.fsencode(media.folder) + b"/caf\xe9"
    Path(os.fsdecode(folder)).mkdir()
    write_mp3(Path(os.fsdecode(folder + b"/na\xefve\n\x1b[31m.mp3")))
    write_mp3(Path(os.fsdecode(folder + b"/broken\xff.mp3"))).write_bytes(b"")
    assert media.scan() == (5, 0, 0, 1)
    assert media.scan() == (0, 0, 0, 1)
    assert "caf\udce9/na\udcefve\n\x1b[31m.mp3" in media.paths
    assert printable("caf\udce9/\x1b[31m.mp3") == r"caf\xe9/\x1b[31m.mp3"
    assert printable("\u202emp3.exe") == r"\u202emp3.exe"  # it would be read backwards
    assert printable("👩\u200d👧.mp3") == "👩\u200d👧.mp3"


def test_library_whose_folder_is_no_text(media: Media, tmp_path: Path) -> None:
    """The same goes for the folder of a library, and the message when it is away."""
    folder = tmp_path / os.fsdecode(b"m\xfcsic")
    media.library = media.catalogue.add_library(folder)
    assert (media.run().error or "").endswith(r"/m\xfcsic")
    media.folder.rename(folder)
    assert media.scan() == (4, 0, 0, 0)


def test_symbolic_links_are_not_followed(media: Media) -> None:
    """Neither loops, nor what is elsewhere, nor links to nothing."""
    (media.folder / "albums" / "loop").symlink_to(media.folder)
    (media.folder / "one again.mp3").symlink_to("albums/first/one.mp3")
    (media.folder / "nothing.mp3").symlink_to("no such file")
    assert media.scan() == (4, 0, 0, 0)
    assert media.scan("albums/loop") == (0, 0, 0, 0)


def test_special_files_are_never_opened(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that opened a pipe without a writer would hang for ever."""
    os.mkfifo(media.folder / "pipe.mp3")
    monkeypatch.chdir(media.folder)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.mp3")
        assert media.scan() == (4, 0, 0, 0)


def test_times_far_away(media: Media) -> None:
    """A broken clock on a camera is no reason to fail."""
    path = media.folder / "cover.jpg"
    for seconds in (-(2**33), 2**33, 2**34):
        os.utime(path, (seconds, seconds))
        media.scan()
    assert media.scan() == (0, 0, 0, 0)


def test_folder_becomes_file_and_back(media: Media) -> None:
    """What was below the folder is removed, and what has its name is added."""
    media.scan()
    first = media.folder / "albums" / "first"
    (first / "one.mp3").unlink()
    first.rmdir()
    first.write_text("a file now")
    assert media.scan() == (1, 0, 1, 0)
    first.unlink()
    first.mkdir()
    write_mp3(first / "one.mp3")
    assert media.scan() == (1, 0, 1, 0)


def test_folder_is_one_library_however_it_is_spelled(media: Media, tmp_path: Path) -> None:
    """Dots, slashes and links lead to the same library; a folder inside is one of its own."""
    (tmp_path / "link").symlink_to(media.folder)
    for spelling in (f"{media.folder}/", media.folder / ".." / "music", tmp_path / "link"):
        assert media.catalogue.add_library(spelling) == media.library
    nested = media.catalogue.add_library(media.folder / "albums")
    assert nested.id != media.library.id
    media.scan()
    assert media.catalogue.files(nested.id) == {}
