"""A start is interrupted, wherever Python can do that; made again, it is a whole one."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from scanqueue import (
    ScanQueueService,
    ScanTask,
    SQLiteStore,
    TaskStatus,
    _core,
    _keeper,
    _service,
    _workers,
)
from scanqueue.stores import (
    _file_lock,
    _liveness,
    _readers,
    _sqlite_file,
    _sqlite_schema,
    _writer,
    sqlite,
)
from scanqueue.testing import FakeClock
from tests.interrupts import Interrupt, Interrupter
from tests.service.shared_store import SharedQueue
from tests.service.tools import PATIENCE, Call, scan_nothing

pytestmark = [
    pytest.mark.own_store("one that is shared, so that there is a keeper"),
    # What was lost to an interrupt is closed when it is freed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FILES = {str(module.__file__) for module in (_core, _keeper, _service, _workers)}
FILES_OF_STORES = {
    str(module.__file__)
    for module in (_file_lock, _liveness, _readers, _sqlite_file, _sqlite_schema, _writer, sqlite)
}


def keepers() -> list[threading.Thread]:
    """Return the keepers that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "scanqueue-keeper"]


STEP = 24


def scanned(queue: ScanQueueService) -> ScanTask:
    """Have a library scanned, and return its task."""
    return queue.wait(queue.submit_task("music"), PATIENCE)


def all_places(begin: Callable[[ScanQueueService], object]) -> int:
    """Interrupt a call at every place, one after the other; return how many there are."""
    number = 0
    while True:
        number += 1
        shared = SharedQueue()
        queue = ScanQueueService(scan_nothing, store=shared.store(), clock=FakeClock(), workers=2)
        interrupter = Interrupter(number, FILES)
        interrupter.begin()
        try:
            begin(queue)
        except Interrupt:
            pass
        finally:
            interrupter.end()
        place = f"after an interrupt at {interrupter.place}"
        queue.start()
        task = Call(partial(scanned, queue)).result()
        assert task.status is TaskStatus.COMPLETED, place
        assert queue.is_started, place
        assert queue.stats().workers == 2, place
        (thread,) = queue._core.keeper.threads()
        assert thread.is_alive(), place
        assert queue.shutdown(PATIENCE) is True, place
        for thread in keepers():
            thread.join(PATIENCE)
        assert keepers() == [], place
        assert queue.stats().workers == 0, place
        if interrupter.place is None:
            return number


def test_a_start_that_is_interrupted_can_be_made_again() -> None:
    """Nothing is taken for started that was not, and nothing is started twice."""
    assert all_places(ScanQueueService.start) > 30


def test_a_run_that_is_interrupted_leaves_a_queue_that_works() -> None:
    """What was claimed is given back, and what follows other processes can be started."""

    def begin(queue: ScanQueueService) -> None:
        queue.submit_task("films")
        queue.run_pending()

    assert all_places(begin) > 50


@pytest.mark.parametrize("is_new", [True, False])
def test_an_opening_that_is_interrupted_can_be_made_again(tmp_path: Path, is_new: bool) -> None:
    """Nothing stays locked, nothing is doubled, and a fork waits for nobody.

    There are many places: each run looks at other ones.
    """
    for number in count(random.randint(1, STEP), STEP):
        folder = tmp_path / f"{number if is_new else 0}"
        folder.mkdir(exist_ok=True)
        path = folder / "queue"
        before = pending(path) if path.exists() else 0
        queue = ScanQueueService(None, store=SQLiteStore(path, durability="normal"))
        interrupter = Interrupter(number, FILES_OF_STORES)
        interrupter.begin()
        try:
            queue.submit_task(number)
        except Interrupt:
            pass
        finally:
            interrupter.end()
        place = f"after an interrupt at {interrupter.place}"
        Call(partial(queue.submit_task, number)).result()
        assert pending(path) == before + 1, place
        gc.collect()
        store = queue._core.store
        assert isinstance(store, SQLiteStore)
        store.before_fork()
        assert store._is_quiet, place
        store.after_fork_in_parent()
        assert queue.shutdown(PATIENCE) is True, place
        assert [file.name for file in folder.iterdir()] == ["queue"], place
        if interrupter.place is None:
            break
    assert number > 100


def pending(path: Path) -> int:
    """Return how many tasks wait in a file, for another service."""
    with ScanQueueService(None, store=SQLiteStore(path, durability="normal")) as other:
        assert other.pending_count() == len(other.list_pending(None))
        return other.pending_count()
