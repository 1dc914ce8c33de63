"""What a media server is made of, as the environment says."""

from __future__ import annotations

import os
import sqlite3
import sys
import sysconfig
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from attrs import Factory, field, frozen

from medialibrary.catalogue import Catalogue
from medialibrary.scanner import MediaScanner
from medialibrary.variables import (
    RATE,
    between,
    matching,
    read_duration,
    read_folder,
    read_folders,
    read_integer,
    read_seconds,
    read_switch,
    variable,
)
from scanqueue import MemoryStore, ScanQueueService, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from medialibrary.triggers import OneProcess, Trigger

PAGE = Path(__file__).with_name("static")
"""The folder of the page that the servers show."""
DATA = "~/.cache/scanqueue/mediaserver"
T = TypeVar("T")


@frozen(kw_only=True)
class Settings:
    """How a media server is set up; each has a variable in the environment.

    Raises:
        ValueError: A setting is not as it should be; the message names its variable.
    """

    token: str = field(
        validator=matching("[!-~]+", "letters of ASCII, digits and signs, without blanks"),
        repr=False,
    )
    """`MEDIASERVER_TOKEN`: what clients have to show, in a header."""
    data: Path
    """`MEDIASERVER_DATA`: the folder of the queue and the catalogue."""
    folders: list[Path] = Factory(list)
    """`MEDIASERVER_FOLDERS`: what to serve as libraries, with `:` in between (`;` on Windows)."""
    store: str = field(default="sqlite", validator=matching("sqlite|memory", "sqlite or memory"))
    """`MEDIASERVER_STORE`: `sqlite`, or `memory` for a queue that ends with its process."""
    scans: int = field(default=1, validator=between(0, 64))
    """`MEDIASERVER_SCANS`: how many libraries a process scans at a time; 0: others scan."""
    pause: float = field(default=0.0, validator=between(0, 60))
    """`MEDIASERVER_PAUSE`: seconds to wait at each file, to have something to watch."""
    streams: int = field(default=8, validator=between(0, 10_000))
    """`MEDIASERVER_STREAMS`: how many event streams a process holds open."""
    rate: str = field(default="120/minute", validator=matching(RATE, "such as 120/minute"))
    """`MEDIASERVER_RATE`: how often a client may ask for anything but to look."""
    every: timedelta | None = None
    """`MEDIASERVER_EVERY`: how long after its last scan a library is scanned again, `6h` say."""
    watch: bool = False
    """`MEDIASERVER_WATCH`: 1 to watch the folders, and to scan what changes."""
    quiet: float = field(default=10.0, validator=between(0, 3600))
    """`MEDIASERVER_QUIET`: seconds without a change after which a watched folder is scanned."""

    def __attrs_post_init__(self) -> None:
        """Refuse a queue that nobody could scan for."""
        if self.store == "memory" and not self.scans:
            message = "MEDIASERVER_SCANS: must not be 0 with MEDIASERVER_STORE=memory"
            raise ValueError(message)

    def open_catalogue(self) -> Catalogue:
        """Return the catalogue, with a library for each folder.

        Raises:
            OSError: The folder for it cannot be made.
            sqlite3.Error: It cannot be used.
        """
        catalogue = Catalogue(self.data / "catalogue.sqlite3")
        for folder in self.folders:
            catalogue.add_library(folder)
        return catalogue

    def make_service(self, catalogue: Catalogue) -> ScanQueueService:
        """Return the queue of this process, which nobody has started yet."""
        scanner = MediaScanner(catalogue, pause=self.pause) if self.scans else None
        in_file = self.store == "sqlite"
        return ScanQueueService(
            scanner,
            store=SQLiteStore(self.data / "queue.sqlite3") if in_file else MemoryStore(),
            workers=self.scans,
            max_pending=1000,
            # The schedule goes by what the history has.
            history_retention=max(timedelta(days=1), 2 * (self.every or timedelta())),
        )

    def make_triggers(self, catalogue: Catalogue, service: ScanQueueService) -> OneProcess | None:
        """Return what submits scans by itself, not started yet, or None if nothing does.

        Args:
            catalogue: Its libraries of now are those that are scanned and watched.
            service: Where to submit.
        """
        if self.every is None and not self.watch:
            return None
        # Only who uses them needs APScheduler, filelock and watchfiles.
        from medialibrary.debouncer import Debouncer  # noqa: PLC0415
        from medialibrary.schedule import Schedule  # noqa: PLC0415
        from medialibrary.triggers import OneProcess  # noqa: PLC0415
        from medialibrary.watch import FolderWatch  # noqa: PLC0415

        libraries = catalogue.libraries()
        triggers: list[Trigger] = []
        if self.every is not None:
            triggers.append(Schedule(service, [library.id for library in libraries], self.every))
        if self.watch:
            debouncer = partial(Debouncer, quiet=self.quiet)
            triggers.append(FolderWatch(service, libraries, ignored=self.data, debouncer=debouncer))
        return OneProcess(self.data / "triggers.lock", triggers)


def load_settings() -> Settings:
    """Return the settings of this process; if they cannot be used, say so in one line, and exit.

    The exit code is that on which gunicorn ends, instead of starting its worker again for ever.
    """
    try:
        settings = settings_from_environment()
    except ValueError as error:
        fail(str(error))
    try:
        settings.open_catalogue()
    except (OSError, sqlite3.Error) as error:
        fail(f"MEDIASERVER_DATA: cannot use {settings.data}: {error}")
    return settings


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong with the settings, and exit."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(3)


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; without `MEDIASERVER_FOLDERS`, folders of this Python are libraries.

    Raises:
        ValueError: A variable is not as it should be, or there is no `MEDIASERVER_TOKEN`.
    """

    def read(name: str, convert: Callable[[str], T], default: T) -> T:
        text = environment.get(variable(name))
        try:
            return convert(text) if text else default
        except ValueError as error:
            message = f"{variable(name)}: {error}"
            raise ValueError(message) from error

    if not environment.get("MEDIASERVER_TOKEN"):
        message = "MEDIASERVER_TOKEN is not set: it is what clients have to show"
        raise ValueError(message)
    return Settings(
        token=environment["MEDIASERVER_TOKEN"],
        data=read("DATA", read_folder, None) or read_folder(DATA),
        folders=read("FOLDERS", read_folders, []) or python_folders(),
        store=read("STORE", str, "sqlite"),
        scans=read("SCANS", read_integer, 1),
        pause=read("PAUSE", read_seconds, 0.0),
        streams=read("STREAMS", read_integer, 8),
        rate=read("RATE", str, "120/minute"),
        every=read("EVERY", read_duration, None),
        watch=read("WATCH", read_switch, False),
        quiet=read("QUIET", read_seconds, 10.0),
    )


def python_folders() -> list[Path]:
    """Return folders that every machine with a Python has."""
    standard_library = Path(sysconfig.get_path("stdlib"))
    packages = ("asyncio", "email", "encodings", "importlib", "json", "unittest")
    folders = [
        standard_library,
        *(standard_library / package for package in packages),
        Path(sysconfig.get_path("purelib")),
    ]
    return [folder for folder in folders if folder.is_dir()]
