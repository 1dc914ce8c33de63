"""The catalogue: which libraries there are, and what the scans found in them."""

from __future__ import annotations

import os
import re
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scanqueue import LibraryId

# Paths are BLOBs: a file name need not be valid Unicode.
SCHEMA = """
CREATE TABLE IF NOT EXISTS library (
    id INTEGER PRIMARY KEY,
    folder BLOB NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS file (
    library_id INTEGER NOT NULL REFERENCES library ON DELETE CASCADE,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    modified REAL NOT NULL,
    title TEXT,
    artist TEXT,
    album TEXT,
    seconds REAL,
    PRIMARY KEY (library_id, path)
) WITHOUT ROWID;
"""


class Library(NamedTuple):
    """A folder that gets scanned."""

    id: int
    folder: Path


class MediaFile(NamedTuple):
    """What is known of one file."""

    path: str
    """Where it is inside its library, with `/` between the folders."""
    size: int
    modified: float
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    seconds: float | None = None


class Catalogue:
    """A small SQLite database, with a transaction for each call.

    Reads wait for nobody: neither for a scan that saves what it found, nor for each other.

    Thread-safety: every method may be called from any thread.

    Args:
        path: The file of the database; made when missing, with the folders above it.

    Raises:
        OSError: A folder for it cannot be made.
        sqlite3.Error: It cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._write_to_log()
        except sqlite3.OperationalError:  # another process does the same: SQLite does not wait
            with self._writing():  # but here it does
                pass
            self._write_to_log()
        with self._writing() as database:
            for statement in SCHEMA.split(";"):
                database.execute(statement)

    def add_library(self, folder: str | os.PathLike[str]) -> Library:
        """Return the library of a folder, whichever way the folder is spelled.

        Args:
            folder: It need not exist: its drive may be away.
        """
        real = os.path.realpath(folder)
        with self._writing() as database:
            database.execute(
                "INSERT OR IGNORE INTO library (folder) VALUES (?)", [os.fsencode(real)]
            )
            (library_id,) = database.execute(
                "SELECT id FROM library WHERE folder = ?", [os.fsencode(real)]
            ).fetchone()
        return Library(library_id, Path(real))

    def libraries(self) -> list[Library]:
        """Return all libraries, in the order in which they were added."""
        with self._reading() as database:
            rows = database.execute("SELECT id, folder FROM library ORDER BY id").fetchall()
        return [Library(library_id, Path(os.fsdecode(folder))) for library_id, folder in rows]

    def find_library(self, text: str) -> int | None:
        """Return the id that a part of an address names, or None if there is no such library."""
        if not re.fullmatch("[1-9][0-9]{0,17}", text):  # SQLite has no longer ones
            return None
        with self._reading() as database:
            row = database.execute("SELECT id FROM library WHERE id = ?", [int(text)]).fetchone()
        return row and int(row[0])

    def library(self, library_id: LibraryId) -> Library:
        """Return a library.

        Raises:
            LookupError: There is none with this id.
        """
        with self._reading() as database:
            row = database.execute(
                "SELECT id, folder FROM library WHERE id = ?", [library_id]
            ).fetchone()
        if row is None:
            message = f"there is no library {library_id!r}"
            raise LookupError(message)
        return Library(row[0], Path(os.fsdecode(row[1])))

    def files(self, library_id: LibraryId) -> dict[str, MediaFile]:
        """Return what is known of the files of a library, by path."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT path, size, modified, title, artist, album, seconds"
                " FROM file WHERE library_id = ?",
                [library_id],
            ).fetchall()
        files = (MediaFile(os.fsdecode(path), *rest) for path, *rest in rows)
        return {file.path: file for file in files}

    def search(self, text: str, limit: int) -> list[tuple[int, MediaFile]]:
        """Return files that have a text in their path, title, artist or album.

        Args:
            text: What to look for; capital letters are as good as small ones.
            limit: Return at most this many.

        Returns:
            The id of the library of each, and the file.
        """
        wanted = text.casefold()

        def is_found(path: bytes, *tags: str | None) -> bool:
            return any(wanted in tag.casefold() for tag in (os.fsdecode(path), *tags) if tag)

        with self._reading() as database:
            # SQLite's own lower() knows the letters of ASCII only.
            database.create_function("is_found", 4, is_found, deterministic=True)
            rows = database.execute(
                "SELECT * FROM file WHERE is_found(path, title, artist, album)"
                " ORDER BY library_id, path LIMIT ?",
                [limit],
            ).fetchall()
        return [(row[0], MediaFile(os.fsdecode(row[1]), *row[2:])) for row in rows]

    def save(
        self, library_id: LibraryId, changed: Iterable[MediaFile], removed: Iterable[str]
    ) -> None:
        """Take over what a scan found, all of it or nothing.

        Args:
            library_id: The library.
            changed: Files that are new, or not what they were.
            removed: Paths of files that are gone.
        """
        with self._writing() as database:
            database.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((library_id, os.fsencode(path), *rest) for path, *rest in changed),
            )
            database.executemany(
                "DELETE FROM file WHERE library_id = ? AND path = ?",
                ((library_id, os.fsencode(path)) for path in removed),
            )

    def _write_to_log(self) -> None:
        """Have writes go to a log first, so that reads need not wait; the file remembers it."""
        with self._connect() as database:
            database.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Open the database, and show it as it is at one moment."""
        with self._connect() as database, database:
            database.execute("BEGIN")
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Open the database for a transaction, which waits until no other one writes."""
        with self._connect() as database, database:  # commits, or rolls back on an exception
            database.execute("BEGIN IMMEDIATE")
            yield database

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Open the database: a connection belongs to one thread."""
        with closing(sqlite3.connect(self.path, timeout=30.0, isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            yield database


def name_libraries(libraries: Iterable[Library]) -> dict[LibraryId, str]:
    """Return what to call each library: the name of its folder, or the whole path if need be."""
    folders = {library.id: library.folder for library in libraries}
    used = Counter(folder.name for folder in folders.values())
    return {
        library_id: printable(folder.name if used[folder.name] == 1 and folder.name else folder)
        for library_id, folder in folders.items()
    }


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a path fit to be shown: bytes that are no text, and control characters, as escapes.

    >>> printable("caf\udce9\n")
    'caf\\xe9\\n'
    """
    text = os.fsencode(path).decode(errors="backslashreplace")
    shown = "\u200c\u200d"  # joiners: Persian and emoji are not the same without them
    return "".join(c if c.isprintable() or c in shown else ascii(c)[1:-1] for c in text)
