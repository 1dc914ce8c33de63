"""Who is dead and who is alive, with real processes; and what a fork does to a store."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from scanqueue import ScanQueueService, TaskResult, TaskStatus, _forks
from scanqueue.errors import QueueClosedError, StoreBusyError, StoreError, StoreFullError
from scanqueue.stores import _file_lock, _patience, _sqlite_file, sqlite
from scanqueue.stores._liveness import Liveness
from scanqueue.stores._sqlite_table import SQLiteView
from scanqueue.stores.sqlite import SQLiteStore
from tests.stores.tools import PATIENCE, Call, OpenStore, Waiting, claim, edit, submit, waiting

OTHER = """
import sys
from scanqueue.stores import SQLiteStore
from tests.stores.tools import claim, submit
store = SQLiteStore(sys.argv[1])
store.open("other", 1000)
submit(store, "music")
claim(store, "other")
print("ready", flush=True)
sys.stdin.readline()
store.close()
print("closed", flush=True)
"""


@pytest.fixture
def _looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sign of life looked at with each use, and not just now and then."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)


class Other:
    """Another process, that holds the slot of `music`."""

    def __init__(self, path: Path) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.expect("ready")

    def expect(self, word: str) -> None:
        """Wait until it says something."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word

    def end(self) -> None:
        """Kill it, if it lives."""
        self.process.kill()
        self.process.communicate()


def open_files() -> list[str]:
    """Return the files that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            found.append(str(descriptor.readlink()))
    return sorted(found)


def owner_files(path: Path) -> set[str]:
    """Return the owners that have a file."""
    prefix = path.name + "-owner-"
    return {file.name.removeprefix(prefix) for file in path.parent.glob(prefix + "*")}


def test_a_process_is_alive_until_it_is_dead(store: SQLiteStore, path: Path) -> None:
    """Frozen it is alive; killed it is dead at once, and its file is removed."""
    other = Other(path)
    try:
        assert store.dead_owners({"me", "other", "nobody"}) == {"nobody"}
        other.process.send_signal(signal.SIGSTOP)
        assert store.dead_owners({"other"}) == set()
        assert owner_files(path) == {"me", "other"}
        other.process.kill()
        other.process.wait(PATIENCE)
        assert store.dead_owners({"other"}) == {"other"}
        assert owner_files(path) == {"me"}
        assert store.dead_owners({"other"}) == {"other"}
    finally:
        other.end()


def test_a_process_that_closes_its_store_leaves_nothing(store: SQLiteStore, path: Path) -> None:
    """Its owner is dead from then on."""
    other = Other(path)
    try:
        assert other.process.stdin is not None
        other.process.stdin.write("\n")
        other.process.stdin.flush()
        other.expect("closed")
        assert owner_files(path) == {"me"}
        assert store.dead_owners({"other"}) == {"other"}
    finally:
        other.end()


@pytest.mark.usefixtures("_looks_always")
@pytest.mark.parametrize("use", [waiting, lambda store: submit(store, "films")])
def test_a_sign_of_life_that_was_deleted_is_given_again(
    store: SQLiteStore,
    path: Path,
    use: Callable[[SQLiteStore], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever cleaned up there: the process lives, and others are to know."""
    submit(store, "music")
    sign = path.with_name(f"{path.name}-owner-me")
    sign.unlink()
    use(store)

    assert not _file_lock.is_free(str(sign))
    use(store)
    assert caplog.messages == ["the owner file of this process was deleted; it was made again"]
    assert caplog.records[0].scanqueue_path == str(path)  # type: ignore[attr-defined]
    store.close()
    assert owner_files(path) == set()


@pytest.mark.usefixtures("_looks_always")
def test_a_sign_of_life_that_cannot_be_looked_at_is_taken_to_be_there(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is locked; to make another one would be to give it up."""
    sign = f"{path}-owner-me"
    real_stat, looks = os.stat, []

    def stat(path: str | int, **options: object) -> os.stat_result:
        if path == sign:
            looks.append(path)
            raise PermissionError(13, "Permission denied")
        return real_stat(path, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        submit(store, "music")
    assert looks == [sign]
    assert not _file_lock.is_free(sign)


@pytest.mark.usefixtures("_looks_always")
def test_no_fork_comes_between_a_sign_of_life_and_its_store(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child would keep a lock that it knows nothing of."""
    create = _file_lock.create
    made: list[str] = []

    def create_held(path: str, like: os.stat_result) -> _file_lock.LockFile:
        assert store._opening.locked()
        made.append(path)
        return create(path, like)

    monkeypatch.setattr(_file_lock, "create", create_held)
    path.with_name(f"{path.name}-owner-me").unlink()
    submit(store, "music")
    assert len(made) == 1


@pytest.mark.usefixtures("_looks_always")
def test_a_sign_of_life_is_given_again_once(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two threads that miss it, the second finds it."""
    real, is_gone = Liveness.is_gone, [True]
    monkeypatch.setattr(Liveness, "is_gone", lambda self: is_gone.pop() if is_gone else real(self))
    submit(store, "music")
    assert (is_gone, caplog.messages) == ([], [])


@pytest.mark.usefixtures("_eager_switching")
def test_a_store_is_closed_while_others_read(open_store: OpenStore) -> None:
    """They read on: a wait for a scan that outlives its service does."""
    for number in range(40):
        store = open_store(f"owner{number}")
        is_closed, reads = threading.Event(), threading.Event()

        def read(store: SQLiteStore, is_closed: threading.Event, reads: threading.Event) -> None:
            while not is_closed.is_set():
                assert waiting(store) == []
                reads.set()

        call = Call(partial(read, store, is_closed, reads))
        assert reads.wait(PATIENCE)
        store.close()
        is_closed.set()
        call.result()


@pytest.mark.usefixtures("_looks_always")
def test_where_all_files_are_gone_it_is_the_database_that_is_missed(
    store: SQLiteStore, path: Path
) -> None:
    """And not the sign of life beside it."""
    submit(store, "music")
    for file in path.parent.iterdir():
        file.unlink()
    text = (
        rf"^the queue in {re.escape(repr(str(path)))} is gone while it is in use \(.*\); put the"
        " file back, or end all processes that use it to begin a new queue$"
    )
    with pytest.raises(StoreError, match=text):
        submit(store, "films")


def test_a_queue_that_was_replaced_is_not_written(store: SQLiteStore, path: Path) -> None:
    """It may be a backup, which a new service looks at from its beginning."""
    submit(store, "music")
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)
    text = (
        f"^the queue in {re.escape(repr(str(path)))} was replaced while it was in use; put the file"
        " back, or end all processes that use it to use the new one$"
    )
    with pytest.raises(StoreError, match=text):
        submit(store, "films")


def test_without_a_sign_of_life_each_write_is_refused(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However seldom it is looked at while it is there, and whoever else has missed it."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 60.0)
    submit(store, "music")
    sign = path.with_name(f"{path.name}-owner-me")
    sign.unlink()
    sign.mkdir()  # so it cannot be made anew
    monkeypatch.setattr(store, "_next_look", 0.0)  # as after a while
    for _ in range(3):
        assert waiting(store) == ["music"]
        with pytest.raises(StoreError, match="Is a directory"):
            submit(store, "films")
    sign.rmdir()
    submit(store, "films")
    assert not _file_lock.is_free(str(sign))
    sign.unlink()
    submit(store, "books")  # it was there a moment ago
    assert not sign.exists()


@pytest.mark.usefixtures("_looks_always")
def test_without_a_sign_of_life_nothing_is_written(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would take what it does for that of a dead process. It can still be read."""
    submit(store, "music")
    path.with_name(f"{path.name}-owner-me").unlink()

    def fail(path: str, like: os.stat_result) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_file_lock, "create", fail)
        with pytest.raises(StoreFullError, match=f"^the queue in {str(path)!r} failed: "):
            submit(store, "films")
        assert waiting(store) == ["music"]
    submit(store, "films")
    assert waiting(store) == ["music", "films"]


def test_the_dead_that_hold_a_slot_are_left_for_recovery(path: Path) -> None:
    """Their file stays until somebody has asked; that of others goes at the next opening."""
    other = Other(path)
    other.end()
    idle = path.with_name(path.name + "-owner-" + "f" * 32)
    idle.touch()
    store = SQLiteStore(path)
    store.open("me", 1000)
    assert owner_files(path) == {"me", "other"}
    assert store.dead_owners({"other"}) == {"other"}
    store.close()


def test_two_stores_of_one_process_see_each_other(open_store: OpenStore) -> None:
    """Each is an owner of its own."""
    one, two = open_store("one"), open_store("two")
    assert one.dead_owners({"one", "two"}) == set()
    two.close()
    assert one.dead_owners({"one", "two"}) == {"two"}


@pytest.mark.logs_errors
def test_an_owner_that_cannot_be_is_dead(store: SQLiteStore, path: Path) -> None:
    """Its name was damaged on disk; no file outside of the folder is looked at."""
    submit(store, "music")
    claim(store)
    edit(path, "UPDATE slots SET owner = ?", "/../../etc")
    assert store.dead_owners({"/../../etc"}) == {"/../../etc"}


def test_a_lock_that_cannot_be_asked_about_is_an_error(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is declared dead on suspicion."""

    def fail(path: str) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_file_lock, "is_free", fail)
    text = f"^the queue in {store.path!r} failed: .*Input/output error"
    with pytest.raises(StoreError, match=text):
        store.dead_owners({"other"})
    assert SQLiteStore("elsewhere.db").dead_owners({"other"}) == ()


def test_a_sign_of_life_that_cannot_be_given_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue is not used without."""

    def fail(name: str, mode: int) -> int:
        raise OSError(28, "No space left on device")

    SQLiteStore(path).open("first", 1000)
    monkeypatch.setattr(_file_lock, "create", fail)
    with pytest.raises(StoreError, match=f"^the queue in {str(path)!r} failed: .*No space left"):
        SQLiteStore(path).open("me", 1000)


def test_a_store_that_cannot_be_read_at_opening_gives_no_sign_of_life(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be opened again."""

    def fail(self: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    other = SQLiteStore(path)
    with monkeypatch.context() as patch:
        patch.setattr(SQLiteView, "slots", fail)
        with pytest.raises(StoreError, match="disk I/O error"):
            other.open("you", 1000)
    assert owner_files(path) == {"me"}
    other.open("you", 1000)
    other.close()


def test_a_file_that_is_cleaned_up_before_it_is_locked_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cleaner comes between the two steps, whatever it does."""
    real_acquire = _file_lock.acquire
    cleaners: list[Callable[[Path], object]] = [Path.unlink, lambda file: file.rename(path)]

    def acquire(file: int | _file_lock.LockFile) -> None:
        if cleaners:
            cleaners.pop()(lock)
            lock.touch() if cleaners else None
        real_acquire(file)

    lock = path.with_name("lock")
    monkeypatch.setattr(_file_lock, "acquire", acquire)
    with _file_lock.create(str(lock)):
        assert not _file_lock.is_free(str(lock))
        assert not _file_lock.remove_free(str(lock))
    assert _file_lock.is_free(str(lock))
    assert _file_lock.remove_free(str(lock))
    assert not _file_lock.remove_free(str(lock))


@pytest.mark.logs_errors
@pytest.mark.parametrize("has_copy", [False, True])
def test_an_owner_file_that_was_moved_is_made_again(
    store: SQLiteStore, path: Path, tmp_path: Path, has_copy: bool
) -> None:
    """Others look for it by its name, and take its owner for dead."""
    (owner_file,) = path.parent.glob("*-owner-me")
    elsewhere = tmp_path / "elsewhere"
    if has_copy:
        os.link(owner_file, elsewhere)
        owner_file.unlink()
    else:
        owner_file.rename(elsewhere)

    assert waiting(store) == []

    assert not _file_lock.is_free(str(owner_file))
    assert _file_lock.is_free(str(elsewhere))


def test_an_owner_file_that_cannot_be_looked_for_is_there(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not gone for sure is left alone."""

    def fail(*arguments: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_file_lock, "is_at", fail)
    submit(store, "music")
    assert owner_files(path) == {"me"}


@pytest.mark.parametrize("name", ["owner-me", f"new-{0:032x}-lock"])
@pytest.mark.parametrize("is_in_time", [True, False])
def test_a_lock_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_in_time: bool
) -> None:
    """Who cleans up holds it for a moment; one that is frozen meanwhile does not hold others up."""
    if name == "owner-me":
        _sqlite_file.create(str(path), 1000)
    monkeypatch.setattr(_sqlite_file, "uuid4", lambda: UUID(int=0))
    cleaner = _file_lock.create(f"{path}-{name}")
    waiting_for = Waiting(cleaner.close)
    monkeypatch.setattr("scanqueue._sync.Event", waiting_for)
    store = SQLiteStore(path)
    if not is_in_time:
        monkeypatch.setattr(_patience, "BUSY_TIMEOUT", 0.0)
        with pytest.raises(StoreBusyError, match="keeps its folder, or a file there, locked"):
            store.open("me", 1000)
        cleaner.close()
    store.open("me", 1000)
    assert waiting_for.times == (3 if is_in_time else 0)
    assert owner_files(path) == {"me"}
    store.close()


def test_a_file_that_was_replaced_under_way_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another one's by now."""
    path.touch()
    monkeypatch.setattr(_file_lock, "is_at", lambda descriptor, path: False)
    assert not _file_lock.remove_free(str(path))
    assert path.exists()


def test_a_lock_that_may_not_be_looked_at_is_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another user's, and who is not dead for sure counts as alive."""

    def fail(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    path.touch()
    monkeypatch.setattr(os, "open", fail)
    assert not _file_lock.is_free(str(path))


def test_a_sign_of_life_can_be_seen_by_all_who_may_use_the_queue(
    store: SQLiteStore, open_store: OpenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SQLite does with its files, root gives it to the owner of the database."""
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: owners.append((user, group)))
    path.chmod(0o660)
    open_store("other")

    sign = path.with_name(f"{path.name}-owner-other").stat()
    assert stat.S_IMODE(sign.st_mode) == 0o660
    assert owners == [(path.stat().st_uid, path.stat().st_gid)]


def test_the_name_of_a_damaged_owner_leads_nowhere(store: SQLiteStore, path: Path) -> None:
    """Whatever the file of the database says, no other file is removed for it."""
    path.with_name(f"{path.name}-owner-x").mkdir()
    victim = path.with_name("victim")
    victim.touch()
    assert list(store.dead_owners(["x/../victim"])) == ["x/../victim"]
    assert victim.exists()


def test_only_files_that_stores_made_are_cleaned_up(path: Path) -> None:
    """Not those of others, nor those of the owner itself and of whom it is still to ask about."""
    mine, asked, dead = (character * 32 for character in "abc")
    names = (mine, asked, dead, "notes", "d" * 33)
    path.touch()
    files = [path.with_name(f"{path.name}-owner-{name}") for name in names]
    sign = Liveness(str(path), mine)
    for file in files:
        file.touch()
    files[-1].write_text("not empty")
    sign.remove_abandoned([asked])
    assert [name for name, file in zip(names, files, strict=True) if not file.exists()] == [dead]
    sign.give_up()


def test_a_file_that_is_gone_when_it_is_to_be_cleaned_up_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process was first."""

    def fail(path: str) -> int:
        raise FileNotFoundError(2, "No such file or directory", path)

    path.touch()
    path.with_name(f"{path.name}-owner-{'a' * 32}").touch()
    sign = Liveness(str(path), "b" * 32)
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "getsize", fail)
        sign.remove_abandoned([])
    sign.give_up()


def test_a_lock_file_of_somebody_else_is_locked_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may use it is its owner's business."""

    def fail(descriptor: int, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", fail)
    with _file_lock.create(str(path)):
        assert not _file_lock.is_free(str(path))
    assert _file_lock.is_free(str(path))


def test_a_lock_that_cannot_be_had_leaves_nothing_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without locks, say."""

    def fail(descriptor: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_file_lock, "acquire", fail)
    with pytest.raises(OSError, match="No locks"):
        _file_lock.create(str(path))
    assert not [link for link in open_files() if str(path) in link]


@pytest.mark.logs_errors
@pytest.mark.usefixtures("_looks_always")
def test_an_owner_file_that_is_back_by_then_is_left_as_it_is(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store holds its lock, and does not wait for itself."""
    (sign,) = path.parent.glob("*-owner-me")
    elsewhere = sign.rename(path.with_name("elsewhere"))
    create = _file_lock.create

    def create_late(path: str, like: os.stat_result) -> _file_lock.LockFile:
        elsewhere.rename(sign)
        return create(path, like)

    monkeypatch.setattr(_file_lock, "create", create_late)
    submit(store, "music")
    assert waiting(store) == ["music"]
    assert not _file_lock.is_free(str(sign))
    assert open_files().count(str(sign)) == 1


# --- forks ---


@pytest.mark.parametrize("what", ["is_free", "remove_free", "publish"])
def test_a_child_that_was_forked_meanwhile_keeps_no_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A lock that is held for a moment ends with it, though the child still has the file open."""
    flock = fcntl.flock
    inherited: list[int] = []

    def fork_after(file: int | _file_lock.LockFile, how: int) -> None:
        flock(file, how)
        if isinstance(file, int) and how != fcntl.LOCK_UN:
            inherited.append(os.dup(file))  # the same open file, as in a child

    locked = path if what != "publish" else path.parent
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fork_after)
        if what == "publish":
            _sqlite_file.create(str(path), 1000)
        else:
            path.touch()
            patch.setattr(_file_lock, "is_at", lambda descriptor, path: False)
            getattr(_file_lock, what)(str(path))
    descriptor = os.open(locked, os.O_RDONLY)
    try:
        assert inherited
        _file_lock.acquire(descriptor)
    finally:
        for number in (descriptor, *inherited):
            os.close(number)


def in_child(function: Callable[[], object]) -> None:
    """Call a function in a forked child, and check that it ends well."""
    child = os.fork()
    if child == 0:  # pragma: no cover - measured, but os._exit comes first
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0


def test_a_fork_has_no_database_open(store: SQLiteStore, path: Path) -> None:
    """The child would take the locks of its parent for its own, and lose what it writes."""
    submit(store, "parent")
    waiting(store)

    def child() -> None:
        assert not [link for link in open_files() if str(path) in link]
        mine = SQLiteStore(path)
        mine.open("child", 1000)
        submit(mine, "child")
        assert mine.dead_owners({"me"}) == set()
        mine.close()

    in_child(child)
    submit(store, "later")
    assert waiting(store) == ["parent", "child", "later"]


def test_a_child_that_lives_on_does_not_keep_its_parent_alive(path: Path) -> None:
    """It has let go of the lock that it was born with."""
    script = (
        "import os, sys\n"
        "from scanqueue.stores import SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1])\n"
        "store.open('parent', 1000)\n"
        "if os.fork() == 0:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    os._exit(0)\n"
        "os._exit(0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.wait(PATIENCE)  # the parent; its child still reads
        store = SQLiteStore(path)
        store.open("me", 1000)
        assert store.dead_owners({"parent"}) == {"parent"}
        store.close()
    finally:
        process.communicate("\n")


def test_a_service_forked_before_its_start_works_in_the_child(path: Path) -> None:
    """On the same file, as another owner."""
    queue = ScanQueueService(lambda library, context: TaskResult(), store=SQLiteStore(path))
    task_id = queue.submit_task("music")

    def child() -> None:
        assert queue.run_pending() == 1
        assert queue.shutdown()

    in_child(child)
    task = queue.get_task(task_id)
    assert task is not None
    assert task.status is TaskStatus.COMPLETED
    queue.shutdown()


def test_a_service_forked_after_its_start_is_closed_in_the_child(path: Path) -> None:
    """And the parent works on."""
    with ScanQueueService(lambda library, context: TaskResult(), store=SQLiteStore(path)) as queue:
        queue.wait(queue.submit_task("music"), PATIENCE)

        def child() -> None:
            with pytest.raises(QueueClosedError):
                queue.submit_task("films")

        in_child(child)
        queue.wait(queue.submit_task("films"), PATIENCE)
        assert len(queue.list_history()) == 2


def test_a_fork_during_a_long_transaction_cannot_be_used(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is refused, rather than that it loses what it writes; the parent works on."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.001)

    def child() -> None:
        with pytest.raises(StoreError, match="was in use when this process was forked"):
            SQLiteStore(path).open("child", 1000)

    with store.write():
        in_child(child)
    with store.read():
        in_child(child)
    submit(store, "music")
    assert waiting(store) == ["music"]
    in_child(lambda: SQLiteStore(path).open("child", 1000))


def test_nothing_is_made_while_a_fork_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not be prepared for it."""
    made: list[object] = []

    class Held(set[object]):
        def add(self, holder: object) -> None:
            assert _forks._forking.locked()
            made.append(holder)

    monkeypatch.setattr(_forks, "_hooks", Held())
    monkeypatch.setattr(_forks, "_forkables", Held())
    store = SQLiteStore("queue.db")
    assert made == [store, store]


@pytest.mark.parametrize("crowd", [1, 9])
def test_a_fork_waits_until_a_reader_has_closed_its_connection(
    store: SQLiteStore, crowd: int
) -> None:
    """Also one that is closed because there are enough, or because the store is."""
    readers = store._readers
    active: list[int] = []

    class Watched(sqlite3.Connection):
        def close(self) -> None:
            active.append(len(readers._active))
            super().close()

    readers.close_idle()
    connect = readers.file.connect
    readers.file.connect = lambda **_: sqlite3.connect(  # type: ignore[method-assign]
        store.path, isolation_level=None, check_same_thread=False, factory=Watched
    )
    with ExitStack() as stack:
        for _ in range(crowd):
            stack.enter_context(store.read())
    readers.close_idle()
    readers.file.connect = connect  # type: ignore[method-assign]
    assert len(active) == crowd
    assert min(active) >= 1


def test_a_fork_waits_for_a_reader(store: SQLiteStore) -> None:
    """A short one, at least."""
    with store.read():
        fork = Call(store.before_fork)
        while not store._readers._is_held:
            assert fork.is_alive()
        assert fork.is_alive()
    fork.result()
    assert store._is_quiet
    store.after_fork_in_parent()


def test_a_fork_while_the_store_is_opened_leaves_the_opening_alone(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent goes on with it; the child cannot use the file."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.0)
    with store._opening:
        store.before_fork()
        assert not store._is_quiet
        store.after_fork_in_parent()
        assert store._opening.locked()
    submit(store, "music")
    assert waiting(store) == ["music"]


def test_readers_wait_for_a_fork(store: SQLiteStore) -> None:
    """They go on in the parent."""
    store.before_fork()
    call = Call(lambda: waiting(store))
    writer = Call(lambda: submit(store, "music"))
    assert call.is_alive()
    store.after_fork_in_parent()
    writer.result()
    call.result()
    assert waiting(store) == ["music"]
