"""What a media server is made of, as the environment says."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import Factory, field, frozen, validators

from medialibrary.catalogue import Catalogue
from medialibrary.scanner import MediaScanner
from scanqueue import MemoryStore, ScanQueueService, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from medialibrary.triggers import OneProcess, Trigger

PAGE = Path(__file__).with_name("static")
"""The folder of the page that the servers show."""
DATA = "~/.cache/scanqueue/mediaserver"
T = TypeVar("T")
RATE = r"\d+ ?(/|per) ?(\d+ ?)?(second|minute|hour|day)s?"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@frozen(kw_only=True)
class Settings:
    """How a media server is set up; each has a variable in the environment.

    Raises:
        ValueError: There is no token, no such store or rate, or a number is below 0.
    """

    token: str = field(validator=validators.min_len(1), repr=False)
    """`MEDIASERVER_TOKEN`: what clients have to show."""
    data: Path
    """`MEDIASERVER_DATA`: the folder of the queue and the catalogue."""
    folders: list[Path] = Factory(list)
    """`MEDIASERVER_FOLDERS`: what to serve as libraries, with `:` in between (`;` on Windows)."""
    store: str = field(default="sqlite", validator=validators.in_(("sqlite", "memory")))
    """`MEDIASERVER_STORE`: `sqlite`, or `memory` for a queue that ends with its process."""
    scans: int = field(default=1, validator=validators.ge(0))
    """`MEDIASERVER_SCANS`: how many libraries a process scans at a time; 0: others scan."""
    pause: float = field(default=0.0, validator=validators.ge(0))
    """`MEDIASERVER_PAUSE`: seconds to wait at each file, to have something to watch."""
    streams: int = field(default=8, validator=validators.ge(0))
    """`MEDIASERVER_STREAMS`: how many event streams a process holds open."""
    rate: str = field(default="120/minute", validator=validators.matches_re(RATE))
    """`MEDIASERVER_RATE`: how often a client may ask for anything but to look."""
    every: timedelta | None = None
    """`MEDIASERVER_EVERY`: how long after its last scan a library is scanned again, `6h` say."""
    watch: bool = False
    """`MEDIASERVER_WATCH`: 1 to watch the folders, and to scan what changes."""
    quiet: float = field(default=10.0, validator=validators.ge(0))
    """`MEDIASERVER_QUIET`: seconds without a change after which a watched folder is scanned."""

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
        """Return the queue of this process, which nobody has started yet.

        Raises:
            ValueError: Nobody would scan: the store is in memory, and `scans` is 0.
        """
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
    """Return the settings of this process; if they make no sense, say so in one line, and exit.

    The exit code is that on which gunicorn ends, instead of starting its worker again for ever.
    """
    try:
        return settings_from_environment()
    except ValueError as error:
        print(f"error: {error.args[0]}", file=sys.stderr, flush=True)  # attrs has more of them
        sys.exit(3)


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; without `MEDIASERVER_FOLDERS`, folders of this Python are libraries.

    Raises:
        ValueError: A variable is not as it should be, or there is no `MEDIASERVER_TOKEN`.
    """

    def read(name: str, convert: Callable[[str], T], default: T) -> T:
        variable = f"MEDIASERVER_{name}"
        text = environment.get(variable)
        try:
            return convert(text) if text else default
        except ValueError as error:
            message = f"{variable}: {error}"
            raise ValueError(message) from error

    if not environment.get("MEDIASERVER_TOKEN"):
        message = "MEDIASERVER_TOKEN is not set: it is what clients have to show"
        raise ValueError(message)
    return Settings(
        token=environment["MEDIASERVER_TOKEN"],
        data=Path(read("DATA", str, DATA)).expanduser(),
        folders=read("FOLDERS", read_folders, []) or python_folders(),
        store=read("STORE", str, "sqlite"),
        scans=read("SCANS", int, 1),
        pause=read("PAUSE", float, 0.0),
        streams=read("STREAMS", int, 8),
        rate=read("RATE", str, "120/minute"),
        every=read("EVERY", read_duration, None),
        watch=bool(read("WATCH", int, 0)),
        quiet=read("QUIET", float, 10.0),
    )


def read_folders(text: str) -> list[Path]:
    """Return folders that are written with `:` in between, or `;` on Windows."""
    return [Path(name).expanduser() for name in text.split(os.pathsep) if name]


def read_duration(text: str) -> timedelta:
    """Return a duration as people write it: `30m`, `6h`, `7d`.

    Raises:
        ValueError: It is none, or no time at all.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})([smhd])", text)
    if found is None:
        message = f"{text!r}: must be a number with s, m, h or d behind it, such as 6h"
        raise ValueError(message)
    return timedelta(**{UNITS[found[2]]: int(found[1])})


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
