"""The scanner: what a host hands to the queue."""

from __future__ import annotations

import logging
import os
import stat
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from medialibrary.catalogue import MediaFile, printable
from medialibrary.tags import read_tags
from scanqueue import LibraryUnavailable, TaskResult

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from medialibrary.catalogue import Catalogue
    from scanqueue import LibraryId, ScanContext

logger = logging.getLogger(__name__)

MOST_WARNINGS = 10
"""How many unreadable files of one scan are named."""


class MediaScanner:
    """Compares the files of a library with its catalogue, and brings that up to date.

    - The catalogue is written once, at the end: a scan that fails or is cancelled changes nothing.
    - A file is removed from it only if its folder was listed without the file. So nothing is lost
      when a drive is away, or goes away, or a folder cannot be read; a library that is empty all
      of a sudden counts as away, since that is what an empty mount point looks like.
    - A file that cannot be read, or a folder that cannot be listed, is counted as failed. What
      was known of it stays, and the next scan tries again.
    - Symbolic links are not followed; pipes, sockets and devices are never opened.

    Args:
        catalogue: Where the libraries and their files are kept.
        pause: Seconds to wait at each file, to have something to watch.
    """

    def __init__(self, catalogue: Catalogue, pause: float = 0.0) -> None:
        self._catalogue = catalogue
        self._pause = pause

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Scan a library, as `scanqueue.Scanner` has it.

        Args:
            library_id: A library of the catalogue.
            context: A deep scan reads all files again, not just those whose size or time changed.

        Raises:
            LibraryUnavailable: The folder is missing, cannot be read, or is suddenly empty.
            LookupError: The catalogue has no such library.
        """
        root = self._catalogue.library(library_id).folder
        known = self._catalogue.files(library_id)
        scope = set(context.scope.paths) or {""}
        require_folder(root, known)
        listing = list_files(root, scope, context)

        changed: list[MediaFile] = []
        failed_count = len(listing.unreadable)
        for path in context.track(listing.files):
            context.advance(0, message=path)
            if self._pause:
                context.sleep(self._pause)
            before = known.get(path)
            try:
                file = read_file(root, path, None if context.scope.deep else before)
            except FileNotFoundError:
                continue  # it vanished just now: the next scan will not find it listed
            except Exception as error:  # noqa: BLE001 - the other files go on, whatever it is
                failed_count += 1
                if failed_count <= MOST_WARNINGS:
                    reason = str(error) or type(error).__name__
                    logger.warning("cannot read %s: %s", printable(root / path), reason)
                continue
            if file != before:
                changed.append(file)

        if failed_count > MOST_WARNINGS:
            more = failed_count - MOST_WARNINGS
            logger.warning("%s: %d more cannot be read", printable(root), more)

        removed = [
            path
            for path in known.keys() - set(listing.files)
            if is_within(path, scope) and not is_within(path, listing.unreadable)
        ]
        require_folder(root, known)  # it may have gone away meanwhile
        context.raise_if_cancelled()
        self._catalogue.save(library_id, changed, removed)
        added_count = sum(file.path not in known for file in changed)
        return TaskResult(
            added_count=added_count,
            updated_count=len(changed) - added_count,
            removed_count=len(removed),
            failed_count=failed_count,
        )


class Listing(NamedTuple):
    """The files of a library, by their paths inside it."""

    files: list[str]
    unreadable: set[str]
    """Folders that could not be listed."""


def require_folder(root: Path, known: Collection[str]) -> None:
    """Make sure that a library is there before its catalogue is compared with it.

    Raises:
        LibraryUnavailable: It is not.
    """
    try:
        with os.scandir(root) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        message = f"{error.strerror}: {root}"
        raise LibraryUnavailable(message) from error
    if is_empty and known:
        message = f"Empty, but had {len(known):,} files (is its drive mounted?): {root}"
        raise LibraryUnavailable(message)


def list_files(root: Path, scope: Collection[str], context: ScanContext) -> Listing:
    """List the regular files of a scope.

    Args:
        root: The folder of the library.
        scope: Paths inside it; `""` is all of it.
        context: Asked between two folders whether to stop.
    """
    wanted = sorted(scope)
    listing = Listing([], set())
    folders = [""]
    while folders:
        folder = folders.pop()
        context.raise_if_cancelled()
        context.report(0, message=f"listing: {len(listing.files):,} files")
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    in_scope = is_within(path, scope)
                    if entry.is_dir(follow_symlinks=False):
                        if in_scope or is_above(path, wanted):
                            folders.append(path)
                    elif in_scope and entry.is_file(follow_symlinks=False):
                        listing.files.append(path)
        except OSError as error:
            logger.warning("cannot list %s: %r", printable(root / folder), error)
            listing.unreadable.add(folder)
    return listing


def read_file(root: Path, path: str, before: MediaFile | None) -> MediaFile:
    """Return what a file says about itself now.

    Args:
        root: The folder of the library.
        path: The file.
        before: What was known of it; returned as it is if the file has its size and time still.

    Raises:
        FileNotFoundError: It is gone, or no regular file any more.
        Exception: It cannot be read.
    """
    status = (root / path).lstat()
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(path)
    if before and (before.size, before.modified) == (status.st_size, status.st_mtime):
        return before
    return MediaFile(path, status.st_size, status.st_mtime, *read_tags(root / path))


def is_above(folder: str, paths: Sequence[str]) -> bool:
    """Return whether one of these paths, which are sorted, is below a folder."""
    start = f"{folder}/"
    place = bisect_left(paths, start)
    return place < len(paths) and paths[place].startswith(start)


def is_within(path: str, folders: Collection[str]) -> bool:
    """Return whether a path is one of these, or below one; `""` is above all."""
    while path not in folders:
        if not path:
            return False
        path = path.rpartition("/")[0]
    return True
