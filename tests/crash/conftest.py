"""A file, services of this process on it, and other processes, all gone after the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from scanqueue import ScanQueueService
from scanqueue.stores import SQLiteStore
from tests.crash.peers import Peer


class StartPeer(Protocol):
    """Starts another process on the file."""

    def __call__(self, *, workers: int = 1, holds: bool = True, **settings: object) -> Peer:
        """Start one, and wait until its service has started."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the queue is."""
    return tmp_path / "queue.db"


@pytest.fixture
def start_peer(file: Path) -> Iterator[StartPeer]:
    """Start processes, and kill them after the test."""
    peers: list[Peer] = []

    def start(*, workers: int = 1, holds: bool = True, **settings: object) -> Peer:
        peers.append(Peer(file, workers=workers, holds=holds, **settings))
        return peers[-1]

    yield start
    for peer in peers:
        peer.end()


@pytest.fixture
def queue(file: Path) -> Iterator[ScanQueueService]:
    """Return a service of this process, which scans nothing itself."""
    with ScanQueueService(None, store=SQLiteStore(file)) as service:
        yield service
