"""Forking: before the start the child's copy is as new, after it the copy is closed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest

from scanqueue import (
    LibraryId,
    MemoryStore,
    QueueClosedError,
    ScanContext,
    ScanQueueService,
    SQLiteStore,
    SubmitOutcome,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing import FakeScanner
from tests.both_stores import NewStore
from tests.service.tools import PATIENCE, Call, MakeQueue, libraries, scan_nothing

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork"),
    # Python 3.12 and later warn of what is tested here.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_child(work: Callable[[], object]) -> str:
    """Fork, and return what the work in the child says: its result or its traceback."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = str(work())
        except BaseException:
            text = traceback.format_exc()
        os.write(writing, text.encode())
        os._exit(0)
    return _answer(child, reading, writing)


@contextmanager
def in_a_file() -> Iterator[SQLiteStore]:
    """Make a durable store."""
    with TemporaryDirectory() as folder:
        yield SQLiteStore(Path(folder, "queue.db"))


def _answer(child: int, reading: int, writing: int) -> str:
    """Return what a child writes, or that it hangs."""
    os.close(writing)
    with os.fdopen(reading) as pipe:
        ready, _, _ = select.select([pipe], [], [], PATIENCE / 2)
        if not ready:
            os.kill(child, signal.SIGKILL)
        text = pipe.read()
    os.waitpid(child, 0)
    return text if ready else f"{text}(it hangs)"


# --- before the start


def test_before_the_start_the_childs_copy_works(new_store: NewStore) -> None:
    """As if made there: it starts, scans, waits and shuts down."""
    queue = ScanQueueService(scan_nothing, store=new_store(), workers=2)

    def work() -> object:
        with queue:
            task = queue.wait(queue.submit_task("music"))
        return task.status.value, queue.is_shut_down, queue.stats().ended[TaskStatus.COMPLETED]

    assert in_child(work) == "('completed', True, 1)"
    assert not queue.is_shut_down, "the parent's is its own"


def test_a_memory_store_starts_empty_in_the_child() -> None:
    """The parent's tasks are the parent's; counts begin anew."""
    queue = ScanQueueService(scan_nothing)
    queue.submit_task("films")
    queue.submit_task("music")
    queue.run_pending(1)

    def work() -> object:
        before = queue.list_tasks(), queue.pending_count(), sum(queue.stats().submitted.values())
        outcome = queue.submit("music").outcome
        return before, outcome is SubmitOutcome.CREATED, queue.run_pending()

    assert in_child(work) == "(([], 0, 0), True, 1)"
    assert libraries(queue.list_tasks()) == ["music", "films"]


def test_a_scan_of_run_pending_that_forks_is_the_parents() -> None:
    """What the child's copy of it reports and returns changes nothing; the child goes on."""
    answers: list[str] = []
    parent = os.getpid()

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            context.advance(100)
            children.append(writing)
            return TaskResult(added_count=100)
        answers.append(_answer(child, reading, writing))
        return TaskResult(added_count=1)

    children: list[int] = []
    with in_a_file() as store:
        queue = ScanQueueService(scan, store=store)
        task_id = queue.submit_task("music")
        count = queue.run_pending()
        if os.getpid() != parent:
            os.write(children[0], f"{count} {queue.get_task(task_id).status}".encode())  # type: ignore[union-attr]
            os._exit(0)
        task = queue.wait(task_id, 0)
        queue.shutdown()

    assert answers == ["1 running"]
    assert (task.result, task.progress.scanned_paths) == (TaskResult(added_count=1), 0)


def test_after_a_start_that_found_too_few_threads_the_child_starts_all_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that the parent has are not there."""

    class Scarce(threading.Thread):
        def start(self) -> None:
            if self.name.endswith("worker-2"):
                raise RuntimeError
            super().start()

    queue = ScanQueueService(scan_nothing, workers=2)
    with monkeypatch.context() as patch:
        patch.setattr("scanqueue._sync.Thread", Scarce)
        with pytest.raises(RuntimeError):
            queue.start()

    def work() -> object:
        queue.start()
        return sum(t.name.startswith("scanqueue-worker") for t in threading.enumerate())

    assert in_child(work) == "2"
    queue.shutdown()


def test_it_works_though_a_lock_was_held_at_the_fork() -> None:
    """The child has only one thread: the one that would let go is not there."""
    store = MemoryStore()
    queue = ScanQueueService(scan_nothing, store=store)
    queue.submit_task("music")

    def work() -> object:
        queue.submit_task("music")
        return queue.run_pending()

    with store.read():
        assert in_child(work) == "1"


def test_ids_of_parent_and_child_differ(new_store: NewStore) -> None:
    """Whatever made ids in advance made them for one process."""
    queue = ScanQueueService(scan_nothing, store=new_store())
    queue.submit_task("before")

    def work() -> object:
        return " ".join(str(queue.submit_task(f"{os.getpid()}-{n}")) for n in range(500))

    first, second = in_child(work).split(), in_child(work).split()
    own = [str(queue.submit_task(f"{os.getpid()}-{n}")) for n in range(500)]

    assert len({*first, *second, *own}) == 1500


def test_a_grandchild_works_too() -> None:
    """A fork of a fork is a fork."""
    queue = ScanQueueService(scan_nothing)

    def work() -> object:
        queue.submit_task("child")
        return in_child(lambda: (queue.list_tasks(), queue.submit("x").outcome.value))

    assert in_child(work) == "([], 'created')"


def test_a_child_that_started_its_copy_is_a_parent_itself(new_store: NewStore) -> None:
    """What it forks then gets a closed copy."""
    queue = ScanQueueService(scan_nothing, store=new_store())

    def work() -> object:
        queue.start()
        return in_child(lambda: _outcomes(queue))

    assert in_child(work) == str(sorted(CALLS))


# --- after the start

CALLS: dict[str, Callable[[ScanQueueService], object]] = {
    "start": lambda q: q.start(),
    "enter": lambda q: q.__enter__(),
    "submit": lambda q: q.submit("music"),
    "submit_task": lambda q: q.submit_task("music"),
    "get_task": lambda q: q.get_task(uuid4()),
    "get_library_task": lambda q: q.get_library_task("music"),
    "cancel_task": lambda q: q.cancel_task(uuid4()),
    "cancel_running": lambda q: q.cancel_task(_running[0]) if _running else q.pause(),
    "cancel_library": lambda q: q.cancel_library("music"),
    "list_pending": lambda q: q.list_pending(),
    "list_running": lambda q: q.list_running(),
    "list_history": lambda q: q.list_history(),
    "list_tasks": lambda q: q.list_tasks(),
    "list_changes": lambda q: q.list_changes(0),
    "changes": lambda q: q.changes(),
    "next_change": lambda q: next(q.changes(0)),
    "revision": lambda q: q.revision,
    "pending_count": lambda q: q.pending_count(),
    "wait": lambda q: q.wait(uuid4(), 1),
    "pause": lambda q: q.pause(),
    "resume": lambda q: q.resume(),
    "is_paused": lambda q: q.is_paused,
    "run_pending": lambda q: q.run_pending(),
    "run_none": lambda q: q.run_pending(0),
    "stats": lambda q: q.stats(),
    "shutdown": lambda q: q.shutdown(),
    "is_started": lambda q: q.is_started,
    "is_shut_down": lambda q: q.is_shut_down,
}
"""Every call of the service."""

_running: list[UUID] = []


def _outcomes(queue: ScanQueueService) -> object:
    """Return the calls that raised what they should, or what one did instead."""
    closed = []
    for name, call in CALLS.items():
        try:
            result = call(queue)
        except QueueClosedError:
            closed.append(name)
        else:
            return f"{name} returned {result!r}"
    return sorted(closed)


def test_every_call_is_in_the_list() -> None:
    """A new one is tested, too."""
    public = {name for name in dir(ScanQueueService) if not name.startswith("_")}

    assert public <= set(CALLS)


def test_after_the_start_every_call_of_the_childs_copy_raises(new_store: NewStore) -> None:
    """`QueueClosedError` instead of a hang; the parent's goes on."""
    with ScanQueueService(scan_nothing, store=new_store()) as queue:
        assert in_child(lambda: _outcomes(queue)) == str(sorted(CALLS))
        assert queue.wait(queue.submit_task("music")).status is TaskStatus.COMPLETED


def test_a_call_that_has_nothing_to_do_raises_too(new_store: NewStore) -> None:
    """None of the changes, please."""
    with ScanQueueService(scan_nothing, store=new_store()) as queue:
        answer = in_child(lambda: queue.list_changes(0, limit=0))

    assert "QueueClosedError" in answer


def test_it_raises_though_locks_were_held_and_a_scan_had_reported() -> None:
    """Nothing that a thread of the parent held is waited for."""
    scanner = FakeScanner()
    scanner.hold()
    store = MemoryStore()
    queue = ScanQueueService(scanner, store=store)
    queue.start()
    _running[:] = [queue.submit_task("music")]
    scan = scanner.next_scan()
    scan.report(1)
    scan.report(2)
    try:
        with store.read():
            answer = in_child(lambda: _outcomes(queue))
    finally:
        _running.clear()
        scanner.let_go()
        queue.shutdown(None)

    assert answer == str(sorted(CALLS))


def test_leaving_the_context_in_a_child_does_nothing(new_store: NewStore) -> None:
    """A child that unwinds past the `with` of its parent raises nothing and waits for nothing."""
    queue = ScanQueueService(scan_nothing, store=new_store())

    def work() -> object:
        queue.__exit__(None, None, None)
        return "nothing"

    with queue:
        assert in_child(work) == "nothing"
        assert not queue.is_shut_down


def test_a_closed_copy_stays_closed(new_store: NewStore) -> None:
    """Forked after its shutdown, the copy is no less shut down."""
    queue = ScanQueueService(scan_nothing, store=new_store())
    queue.start()
    queue.shutdown()

    assert in_child(lambda: _outcomes(queue)) == str(sorted(CALLS))


def test_the_child_of_a_busy_queue_does_not_hang(new_store: NewStore) -> None:
    """Forks at any moment of a queue at work, which goes on."""
    stop = threading.Event()

    def submit() -> None:
        n = 0
        while not stop.is_set():
            with suppress(QueueClosedError):
                queue.submit_task(n % 50)
            n += 1

    with ScanQueueService(scan_nothing, store=new_store(), workers=2) as queue:
        calls = [Call(submit) for _ in range(2)]
        answers = {in_child(lambda: _outcomes(queue)) for _ in range(10)}
        stop.set()
        for call in calls:
            call.result()

    assert answers == {str(sorted(CALLS))}


def test_a_new_service_in_the_child_works() -> None:
    """What the error tells to do."""
    with ScanQueueService(scan_nothing):

        def work() -> object:
            with ScanQueueService(scan_nothing) as own:
                return own.wait(own.submit_task("music")).status.value

        assert in_child(work) == "completed"


# --- inside a scanner


def _forking(
    answers: list[str], work: Callable[[ScanContext], object]
) -> Callable[..., TaskResult]:
    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        context.advance()
        answers.append(in_child(lambda: work(context)))
        context.advance()
        return TaskResult()

    return scan


def test_a_scanner_may_fork(make: MakeQueue) -> None:
    """The scan goes on in the parent; in the child the queue is closed."""
    answers: list[str] = []
    queue = make(_forking(answers, lambda context: _outcomes(queue)))
    queue.start()

    task = queue.wait(queue.submit_task("music"))

    assert answers == [str(sorted(CALLS))]
    assert (task.status, task.progress.scanned_paths) == (TaskStatus.COMPLETED, 2)


def test_the_childs_copy_of_a_context_reports_to_nobody(make: MakeQueue) -> None:
    """It neither hangs nor raises."""

    def work(context: ScanContext) -> object:
        context.advance(5)
        context.report(7)
        return len(list(context.track("abc"))) if not context.cancelled else "cancelled"

    answers: list[str] = []
    queue = make(_forking(answers, work))
    queue.start()
    task = queue.wait(queue.submit_task("music"))

    assert answers in (["3"], ["cancelled"])
    assert task.progress.scanned_paths == 2


@pytest.mark.parametrize("by_hand", [False, True], ids=["worker", "run_pending"])
def test_a_child_that_returns_from_the_scanner_ends(by_hand: bool) -> None:
    """A scan that forks and returns in both: the child's ending is nobody's, and does not hang."""
    reading, writing = os.pipe()
    children: list[int] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        children.append(os.fork())
        return TaskResult()

    parent = os.getpid()
    queue = ScanQueueService(scan)
    task_id = queue.submit_task("music")
    if by_hand:
        with suppress(QueueClosedError):
            queue.run_pending(1)
        if os.getpid() != parent:
            os.write(writing, b"over")
            os._exit(0)
    else:
        # The child's only thread is the worker, and ends with it.
        queue.start()
        queue.wait(task_id)
    answer = _answer(children[0], reading, writing)

    assert "hangs" not in answer
    assert queue.wait(task_id).status is TaskStatus.COMPLETED
    assert queue.shutdown() is True


HOOKS = """
import os
from pathlib import Path

made = []

def make():
    from scanqueue import ScanQueueService, SQLiteStore
    store = SQLiteStore(Path("queue.db"))
    made.append(ScanQueueService(None, store=store))

os.register_at_fork(before=make, after_in_parent=make, after_in_child=make)
import scanqueue

child = os.fork()
if child == 0:
    made[-1].submit_task("music")
    os._exit(len(made))
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == len(made) == 2
assert made[-1].get_library_task("music").library_id == "music"
"""


def test_a_hook_of_the_host_may_make_a_service_while_it_forks(tmp_path: Path) -> None:
    """Whatever the order in which the hooks were registered."""
    subprocess.run([sys.executable, "-c", HOOKS], check=True, cwd=tmp_path, timeout=PATIENCE)
