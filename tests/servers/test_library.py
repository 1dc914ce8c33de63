"""The media library behind the servers: its names, its files, and its settings."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import evolve

import medialibrary.__main__
from medialibrary import (
    Catalogue,
    MediaFile,
    Settings,
    load_settings,
    python_folders,
    settings_from_environment,
)
from medialibrary.access import Access
from scanqueue import MemoryStore, ScanQueueService, SQLiteStore
from tests.examples.audio import write_flac
from tests.servers.conftest import LIBRARIES, Server, ServerMaker
from tests.servers.drivers import Json


def test_libraries_have_an_id_and_a_name(server: Server) -> None:
    """In order of their names, whatever is in these."""
    libraries = server.driver.ask("GET", "/api/libraries").json()
    assert libraries == [
        {"id": 3, "name": LIBRARIES[2]},
        {"id": 1, "name": "films"},
        {"id": 2, "name": "Music"},
    ]


def test_what_was_found_can_be_searched_for(make_server: ServerMaker, settings: Settings) -> None:
    """By path, title, artist and album, in capitals or not; nothing else is special."""
    folder = settings.folders[1]
    (folder / "Bach").mkdir()
    write_flac(folder / "Bach" / "1.flac", title="Air", artist="J. S.")
    (folder / "100%_.txt").touch()
    (folder / "caf\udce9.txt").touch()
    server = make_server()
    service = settings.make_service(settings.open_catalogue())
    service.submit_task(2)
    service.run_pending()
    service.shutdown()

    def search(query: str) -> list[Json]:
        found: list[Json] = server.driver.ask("GET", f"/api/files?{query}").json()
        return found

    (file,) = search("search=bACH")
    assert file == {
        "library_id": 2,
        "path": "Bach/1.flac",
        "size": (folder / "Bach" / "1.flac").stat().st_size,
        "title": "Air",
        "artist": "J. S.",
        "album": None,
        "seconds": 1.0,
    }
    assert search("search=air") == search("search=J.%20s") == [file]
    assert [file["path"] for file in search("search=%25")] == ["100%_.txt"]
    assert [file["path"] for file in search("search=_")] == ["100%_.txt"]
    assert [file["path"] for file in search("search=caf")] == ["caf\\xe9.txt"]
    assert len(search("")) == 3
    assert len(search("limit=2")) == 2
    assert search("search=nothing") == search("limit=0") == []


def test_a_search_knows_the_capitals_of_all_letters(
    make_server: ServerMaker, settings: Settings
) -> None:
    """In names and in tags, as typed and in small letters."""
    settings.open_catalogue().save(
        2, [MediaFile("\u00c9t\u00e9.txt", 1, 0.0, album="STRA\u1e9eE")], []
    )
    server = make_server()
    for text in ("\u00c9t\u00e9", "\u00e9T\u00c9", "stra\u00dfe", "STRASSE"):
        (file,) = server.driver.ask("GET", f"/api/files?search={quote(text)}").json()
        assert file["path"] == "\u00c9t\u00e9.txt"


@contextmanager
def transaction(settings: Settings, begin: str) -> Iterator[None]:
    """Keep a transaction open that has looked at the catalogue."""
    path = settings.data / "catalogue.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(begin)
        database.execute("SELECT * FROM file").fetchall()
        yield


def test_nobody_who_looks_waits_for_who_saves(server: Server, settings: Settings) -> None:
    """Neither a listing, nor a search, nor the request for a scan, which looks for its library."""
    with transaction(settings, "BEGIN IMMEDIATE"):
        assert server.driver.ask("GET", "/api/libraries").status == 200
        assert server.driver.ask("GET", "/api/files?search=a").json() == []
        assert server.driver.ask("POST", "/api/libraries/1/scan").status == 202


def test_who_saves_does_not_wait_for_who_looks(settings: Settings) -> None:
    """A search that takes its time holds no scan up."""
    catalogue = settings.open_catalogue()
    with transaction(settings, "BEGIN"):
        catalogue.save(1, [MediaFile("a.txt", 1, 0.0)], [])
    assert list(catalogue.files(1)) == ["a.txt"]


def test_processes_that_make_it_at_once_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of gunicorn do at the first start; SQLite refuses to where its log is set up."""
    path = tmp_path / "catalogue.sqlite3"
    connect = sqlite3.connect
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def let_go(statement: str) -> None:
            if statement == "BEGIN IMMEDIATE" and other.in_transaction:  # somebody waits
                other.execute("COMMIT")

        def connect_traced(path: Path, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
            database: sqlite3.Connection = connect(path, **options)
            database.set_trace_callback(let_go)
            return database

        monkeypatch.setattr(sqlite3, "connect", connect_traced)
        Catalogue(path)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "libraries"), ("GET", "files?search=a"), ("POST", "libraries/1/scan")],
)
def test_a_catalogue_that_fails_is_503(
    server: Server, settings: Settings, method: str, path: str
) -> None:
    """With when to come again; what it is stays in the log."""
    (settings.data / "catalogue.sqlite3").write_bytes(b"no database" * 100)
    answer = server.driver.ask(method, f"/api/{path}")
    assert answer.problem() == (503, "about:blank")
    assert int(answer.headers["retry-after"]) > 0
    assert "database" not in answer.text
    assert server.service.list_tasks() == []


def test_a_search_without_a_number_is_400(server: Server) -> None:
    """The limit has a limit."""
    for query in ("limit=x", "limit=-1", "limit=1001"):
        answer = server.driver.ask("GET", f"/api/files?{query}")
        assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), query


def test_without_settings_there_are_libraries(tmp_path: Path) -> None:
    """The folders of this Python, with the queue in a file."""
    settings = settings_from_environment(
        {"MEDIASERVER_TOKEN": "x", "MEDIASERVER_DATA": str(tmp_path)}
    )
    assert settings.folders == python_folders()
    assert len(settings.open_catalogue().libraries()) == len(python_folders()) > 1
    assert isinstance(store_of(settings), SQLiteStore)


def test_the_queue_may_be_in_memory(tmp_path: Path) -> None:
    """By a setting, but not if nobody scans in this process."""
    environment = {
        "MEDIASERVER_TOKEN": "x",
        "MEDIASERVER_DATA": str(tmp_path),
        "MEDIASERVER_FOLDERS": os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]),
        "MEDIASERVER_STORE": "memory",
    }
    settings = settings_from_environment(environment)
    assert [library.folder.name for library in settings.open_catalogue().libraries()] == ["a", "b"]
    assert isinstance(store_of(settings), MemoryStore)
    with pytest.raises(ValueError, match=r"MEDIASERVER_SCANS: .* with MEDIASERVER_STORE=memory"):
        evolve(settings, scans=0)


def store_of(settings: Settings) -> object:
    """Return the store of the queue that the settings make."""
    service: ScanQueueService = settings.make_service(settings.open_catalogue())
    store = service._core.store
    service.shutdown()
    return store


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({}, "MEDIASERVER_TOKEN is not set"),
        ({"MEDIASERVER_TOKEN": ""}, "MEDIASERVER_TOKEN is not set"),
        ({"MEDIASERVER_TOKEN": "t "}, "MEDIASERVER_TOKEN: .* without blanks"),
        ({"MEDIASERVER_TOKEN": "t\u00f6k\u00e9n"}, "MEDIASERVER_TOKEN: .* ASCII"),
        *(
            ({"MEDIASERVER_TOKEN": "x", f"MEDIASERVER_{name}": text}, f"MEDIASERVER_{name}: {why}")
            for name, text, why in [
                ("DATA", "~there-is-nobody/x", "'~there-is-nobody/x': .* no such home folder"),
                ("FOLDERS", f"/a{os.pathsep}~there-is-nobody", ".* no such home folder"),
                ("STORE", "paper", "must be sqlite or memory"),
                ("SCANS", "-1", "must be from 0 to 64, not -1"),
                ("SCANS", "65", "must be from 0 to 64"),
                ("SCANS", "many", "must be a whole number, not 'many'"),
                ("STREAMS", "-1", "must be from 0"),
                ("PAUSE", "inf", "must be from 0 to 60"),
                ("QUIET", "nan", "must be from 0"),
                ("QUIET", "not", "must be a number of seconds, not 'not'"),
                ("WATCH", "yes", "must be 0 or 1, not 'yes'"),
                ("RATE", "often", "must be such as 120/minute"),
                ("RATE", "0/minute", "must be such as"),
                ("RATE", "1/0minute", "must be such as"),
            ]
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(variables: dict[str, str], field: str) -> None:
    """First of all, that there is no token."""
    with pytest.raises(ValueError, match=field):
        settings_from_environment(variables)


def test_a_setting_that_makes_no_sense_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the exit code is the one on which gunicorn gives up."""
    monkeypatch.setenv("MEDIASERVER_TOKEN", "x")
    for name, text in [("STORE", "paper"), ("EVERY", "now"), ("DATA", f"{__file__}/data")]:
        with monkeypatch.context() as patch:
            patch.setenv(f"MEDIASERVER_{name}", text)
            with pytest.raises(SystemExit) as exit_info:
                load_settings()
        assert exit_info.value.code == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: MEDIASERVER_{name}: ")


def test_a_folder_that_cannot_be_used_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Which folder it is, and why: it may be read-only, or have something else in it."""
    (tmp_path / "catalogue.sqlite3").write_bytes(b"no database" * 100)
    monkeypatch.setenv("MEDIASERVER_TOKEN", "x")
    monkeypatch.setenv("MEDIASERVER_DATA", str(tmp_path))
    with pytest.raises(SystemExit):
        load_settings()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: MEDIASERVER_DATA: cannot use {tmp_path}: file is not a database"


@pytest.mark.parametrize(("name", "text"), [("STORE", "memory"), ("SCANS", "0")])
def test_a_process_that_could_not_scan_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    text: str,
) -> None:
    """The one that scans for others, with a queue of its own or no scanner."""
    monkeypatch.setenv("MEDIASERVER_TOKEN", "x")
    monkeypatch.setenv("MEDIASERVER_DATA", str(tmp_path))
    monkeypatch.setenv(f"MEDIASERVER_{name}", text)
    with pytest.raises(SystemExit):
        medialibrary.__main__.main()
    assert f"error: MEDIASERVER_{name}: " in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["120/minute", "1 per second", "10 per 2 hours", "5/10minutes"])
def test_a_rate_that_is_taken_is_one(settings: Settings, rate: str) -> None:
    """What the settings take, those who count take, too."""
    access = Access(settings.token, evolve(settings, rate=rate).rate)
    assert access.refuse("POST", "/api/x", {}, {}, "a") is not None
