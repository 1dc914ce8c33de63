"""The store that is an example for stores of one's own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import json_store
from json_store import JSONStore
from scanqueue import (
    ScanQueueService,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    TaskStatus,
)
from scanqueue.testing import FakeScanner, check_store, store_machine

KILLED = """
import os, sys
import json_store
from json_store import JSONStore
from scanqueue import ScanQueueService

def scan(library_id, context):
    os._exit(0)

queue = ScanQueueService(scan, store=JSONStore(sys.argv[1]))
print(queue.submit_task("music"), flush=True)
queue.run_pending()
"""


def reopen(store: JSONStore) -> JSONStore:
    """Return another store of the same queue."""
    return JSONStore(store.path)


def test_it_keeps_all_promises(tmp_path: Path) -> None:
    """That of a durable store, too."""
    check_store(lambda: JSONStore(tmp_path / f"{uuid4()}.json"), reopen=reopen)


def test_it_says_what_a_plain_table_says(tmp_path: Path) -> None:
    """Whatever happens, and whenever it is opened again."""
    machine = store_machine(lambda: JSONStore(tmp_path / f"{uuid4()}.json"), reopen=reopen)
    run_state_machine_as_test(machine, settings=settings(max_examples=5))


def test_a_queue_goes_on_after_its_process_died(tmp_path: Path) -> None:
    """What was being scanned is scanned again."""
    path = tmp_path / "queue.json"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, path],
        cwd=Path(json_store.__file__).parent,  # where it finds what it imports
        capture_output=True,
        text=True,
        check=True,
    )
    with ScanQueueService(FakeScanner(), store=JSONStore(path)) as queue:
        (task,) = queue.list_tasks()
        assert str(task.id) == killed.stdout.strip()
        task = queue.wait(task.id, 10)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 2, 1)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Until the first has closed the file."""
    path = tmp_path / "queue.json"
    first, second = JSONStore(path), JSONStore(path)
    first.open("first", 0)
    with pytest.raises(StoreBusyError, match="another process uses"):
        second.open("second", 0)
    first.close()
    second.open("second", 0)
    second.close()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"revision": 1, "is_paused": false}', "{"])
def test_a_file_that_is_damaged_is_refused(text: str, tmp_path: Path) -> None:
    """And left as it is."""
    path = tmp_path / "queue.json"
    path.write_text(text)
    store = JSONStore(path)
    with pytest.raises(StoreCorruptError, match="is damaged"):
        store.open("me", 0)
    with pytest.raises(StoreCorruptError, match="is damaged"):  # and not: in use
        JSONStore(path).open("you", 0)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere/queue.json", "cannot be locked"), (".", "cannot be read")]
)
def test_a_path_that_cannot_be_a_file_is_refused(name: str, message: str, tmp_path: Path) -> None:
    """As the protocol has it."""
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(StoreError, match=message):
        JSONStore(path / name).open("me", 0)


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_on_disk_before_it_takes_the_place_of_another(
    sync: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may lose a commit that need not be safe, but none of those before."""
    store = JSONStore(tmp_path / "queue.json")
    store.open("me", 0)
    steps: list[object] = []

    def fsync(number: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(number).st_mode)
        drafts = [json.loads(draft.read_text()) for draft in tmp_path.glob("*.draft")]
        steps.append("folder" if is_folder else drafts[0]["is_paused"])

    monkeypatch.setattr("os.fsync", fsync)
    with store.write(sync=sync) as table:
        table.set_paused(True)
    store.close()
    assert steps == ([True, "folder"] if sync else [True])
    assert json.loads(store.path.read_text())["is_paused"]


def test_a_write_that_fails_leaves_the_queue_as_it_was(tmp_path: Path) -> None:
    """The caller hears of it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    store = JSONStore(folder / "queue.json")
    store.open("me", 0)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"), store.write() as table:
        table.set_paused(True)
    with store.read() as view:
        assert not view.paused()
    store.close()
    with pytest.raises(StoreError, match="is not open"), store.write() as table:
        table.set_paused(True)
