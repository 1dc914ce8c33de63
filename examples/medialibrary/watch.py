"""Watches the folders of the libraries, and asks for scans of what changes: with watchfiles."""

from __future__ import annotations

import logging
import math
import stat
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from watchfiles import Change, watch

from medialibrary.catalogue import printable
from medialibrary.debouncer import Debouncer
from scanqueue import QueueClosedError, ScanQueueError, TaskPriority, WhenRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from medialibrary.catalogue import Library
    from scanqueue import ScanQueueService

logger = logging.getLogger(__name__)


class FolderWatch:
    """Asks for LOW scans of the folders in which something changes.

    - It begins with a scan of the whole library, for what changed while nobody watched.
    - A library whose folder is away is watched, and scanned, as soon as it is back.
    - What has changed is forgotten only when the queue has taken it.

    Thread-safety: every method may be called from any thread. Each library has a thread.

    Args:
        queue: Where to submit.
        libraries: What to watch.
        ignored: A folder whose changes are no news, wherever it is: that of the queue itself, say.
        debouncer: Makes what decides when a library is submitted.
        look_every: Seconds between two looks whether a folder is there still, or again.
        retry: Seconds to wait when the system refuses to watch.
        now: The time in seconds, from wherever it counts.
    """

    def __init__(
        self,
        queue: ScanQueueService,
        libraries: Iterable[Library],
        *,
        ignored: Path,
        debouncer: Callable[[], Debouncer] = Debouncer,
        look_every: float = 0.5,
        retry: float = 60.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._ignored = ignored.resolve()
        self._debouncer = debouncer
        self._look_every = look_every
        self._retry = retry
        self._now = now
        self._libraries = list(libraries)
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Start to watch."""
        for library in self._libraries:
            name = f"watch-{library.id}"
            thread = Thread(target=self._run, args=[library], name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Submit what has changed, and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, library: Library) -> None:
        """Watch a library until the end, whatever happens to its folder."""
        changed = self._debouncer()
        with suppress(QueueClosedError):
            while not self._stop.is_set():
                try:
                    self._watch(library, changed)
                    self._stop.wait(self._look_every)
                except OSError as error:  # too many folders for the system, say
                    self._wait_after(error, library)
                except (RuntimeError, UnicodeError) as error:  # a name is no text: watchfiles ends
                    self._wait_after(error, library)
                    # If such events never cease, no watch lasts until something is submitted.
                    self._submit(library, changed, self._now())
            self._submit(library, changed, math.inf)

    def _wait_after(self, error: Exception, library: Library) -> None:
        logger.warning("cannot watch %s: %r", printable(library.folder), error)
        self._stop.wait(self._retry)

    def _watch(self, library: Library, changed: Debouncer) -> None:
        """Watch a folder for as long as it is the same, and there."""
        root = library.folder
        identity = identify(root)
        if identity is None:
            return
        changed.add("", self._now())  # nobody has watched so far
        milliseconds = round(self._look_every * 1000)
        for changes in watch(
            root,
            watch_filter=None,  # the usual one ignores files that are scanned
            debounce=milliseconds,
            rust_timeout=milliseconds,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            if identify(root) != identity:
                return
            for change, path in changes:
                found = self._what_to_scan(root, change, Path(path))
                if found is not None:
                    changed.add(found, self._now())
            self._submit(library, changed, self._now())

    def _what_to_scan(self, root: Path, change: Change, path: Path) -> str | None:
        if path.is_relative_to(self._ignored):
            return None
        return what_to_scan(root, change, path)

    def _submit(self, library: Library, changed: Debouncer, now: float) -> None:
        """Submit what has waited long enough, or keep it if the queue does not take it.

        Raises:
            QueueClosedError: The queue is shut down.
        """
        scope = changed.due(now)
        if scope is None:
            return
        try:
            self._queue.submit(
                library.id, TaskPriority.LOW, scope=scope, when_running=WhenRunning.FOLLOW_UP
            )
        except QueueClosedError:
            raise
        except ScanQueueError as error:  # it is full, or its disk is
            logger.warning("cannot submit changes of %s: %r", printable(library.folder), error)
            for path in scope.paths or [""]:
                changed.add(path, self._now())


def what_to_scan(root: Path, change: Change, path: Path) -> str | None:
    """Return the path to be scanned after a change, inside the library; `""` is all of it.

    That is the folder of what has changed, or, of what lies in the root itself, no more than that.

    Args:
        root: The folder of the library.
        change: What has happened.
        path: To what; below the root, or the root.

    Returns:
        None when a scan would not see it: it is behind a symbolic link, or it is none of the
        files and folders that are scanned, and has not just taken the place of one.
    """
    inside = path.relative_to(root)
    if any((root / parent).is_symlink() for parent in inside.parents if parent.parts):
        return None
    mode = mode_of(path)
    if change is Change.modified and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return None
    changed = inside if stat.S_ISDIR(mode) or len(inside.parts) <= 1 else inside.parent
    return changed.as_posix() if changed.parts else ""


def mode_of(path: Path) -> int:
    """Return what a path is, without following a link; 0 if there is nothing."""
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def identify(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another with its name, as a drive has that is mounted there.

    Returns:
        None if there is no folder.
    """
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
