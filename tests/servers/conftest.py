"""Set-up: a server with three libraries, and a scanner in the hand of the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import evolve, frozen

from medialibrary import Settings
from scanqueue import ScanQueueService
from scanqueue.testing import FakeScanner
from tests.servers.drivers import TOKEN, Driver, driving

LIBRARIES = ("films", "Music", "<b>books")
"""Their ids are 1, 2 and 3."""


@frozen
class Server:
    """A server, and what is behind it."""

    driver: Driver
    service: ScanQueueService
    scanner: FakeScanner


ServerMaker: TypeAlias = Callable[..., Server]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """How the servers of the tests are set up."""
    folders = [tmp_path / "libraries" / name for name in LIBRARIES]
    for folder in folders:
        folder.mkdir(parents=True)
    return Settings(token=TOKEN, data=tmp_path / "data", folders=folders, rate="100000/second")


@pytest.fixture(params=["flask", "fastapi"])
def make_server(request: pytest.FixtureRequest, settings: Settings) -> Iterator[ServerMaker]:
    """Give what makes servers; what it is given changes their settings."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Server:  # noqa: ANN401 - any of the settings
            scanner = FakeScanner()
            service = ScanQueueService(scanner)
            stack.callback(scanner.let_go)
            changed = evolve(settings, **changes)
            driver = stack.enter_context(driving(request.param, changed, service))
            return Server(driver, service, scanner)

        yield make


@pytest.fixture
def server(make_server: ServerMaker) -> Server:
    """A server whose scans are held."""
    server = make_server()
    server.scanner.hold()
    return server
