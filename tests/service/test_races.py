"""Races: many threads, switched as often as can be, and what must hold whoever wins."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

import pytest

from scanqueue import (
    LibraryId,
    QueueClosedError,
    ScanContext,
    ScanQueueService,
    ScanTask,
    SubmitOutcome,
    TaskNotCancellableError,
    TaskPriority,
    TaskResult,
    TaskStatus,
    WhenRunning,
)
from scanqueue.protocols import TaskStore
from tests.both_stores import NewStore
from tests.service.tools import PATIENCE, Call, Fate, current, fate, scan_nothing

pytestmark = [pytest.mark.usefixtures("_eager_switching"), pytest.mark.slow]

COMPLETED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.CANCELLED


def rounds(number: int, store_kind: str) -> int:
    """Return how often to try: fewer times where each takes much longer."""
    return number if store_kind == "memory" else number // 6


def together(*functions: Callable[[], object]) -> list[object]:
    """Call the functions at the same time, and return what they returned."""
    start = threading.Barrier(len(functions))

    def begin(function: Callable[[], object]) -> object:
        start.wait(PATIENCE)
        return function()

    calls = [Call(lambda f=function: begin(f)) for function in functions]  # type: ignore[misc]
    return [call.result() for call in calls]


class Overlaps:
    """A scanner that notices when two of its scans are of one library."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: Counter[LibraryId] = Counter()
        self.most = 0
        self.begun: list[UUID] = []

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Enter, report, leave."""
        with self._lock:
            self._at_work[library_id] += 1
            self.most = max(self.most, self._at_work[library_id])
            self.begun.append(context.task.id)
        try:
            for _ in context.track("abc"):
                pass
        finally:
            with self._lock:
                self._at_work[library_id] -= 1
        return TaskResult(added_count=1)


def test_of_a_cancel_and_a_completion_exactly_one_wins(
    store_kind: str, new_store: NewStore
) -> None:
    """Everyone sees the same winner: the caller, the history, the waiters, the readers."""
    winners: Counter[TaskStatus] = Counter()
    with ScanQueueService(Overlaps(), store=new_store(), workers=2) as queue:
        for n in range(rounds(400, store_kind)):
            go = threading.Event()
            task_id = queue.submit_task(n)
            after = current(queue, task_id).revision

            def cancel(task_id: UUID = task_id, go: threading.Event = go) -> TaskStatus:
                try:
                    return queue.cancel_task(task_id).status
                except TaskNotCancellableError as error:
                    return error.task.status

            def read(task_id: UUID = task_id, after: int = after - 1) -> TaskStatus:
                return next(
                    task.status
                    for task in queue.changes(after)
                    if task.id == task_id and task.is_ended
                )

            seen = together(
                cancel,
                cancel,
                read,
                lambda i=task_id: queue.wait(i).status,  # type: ignore[misc]
            )
            final = queue.wait(task_id, quiet=True)
            assert set(seen) == {final.status}, seen
            assert final.status in (COMPLETED, CANCELLED)
            winners[final.status] += 1
        stats = queue.stats()

    assert stats.ended[COMPLETED] == winners[COMPLETED]
    assert stats.ended[CANCELLED] == winners[CANCELLED]


def test_exactly_one_of_many_cancels_succeeds(new_store: NewStore) -> None:
    """The others are told that it was cancelled already."""
    queue = ScanQueueService(Overlaps(), store=new_store())
    for n in range(50):
        task_id = queue.submit_task(n)

        def cancel(task_id: UUID = task_id) -> bool:
            try:
                queue.cancel_task(task_id)
            except TaskNotCancellableError:
                return False
            return True

        assert sum(map(bool, together(*[cancel] * 4))) == 1
    assert queue.stats().ended[CANCELLED] == 50


@pytest.mark.parametrize("interrupt", [False, True])
def test_whatever_was_accepted_before_a_shutdown_ran_or_ended_by_it(
    interrupt: bool, new_store: NewStore, is_durable: bool, shut_down_as: Fate
) -> None:
    """No accepted id is left in the air, and none is accepted after."""
    for _ in range(12):
        scanner = Overlaps()
        queue = ScanQueueService(scanner, store=new_store(), workers=3)
        queue.start()
        accepted: list[UUID] = []

        def submit(
            queue: ScanQueueService = queue, accepted: list[UUID] = accepted, name: str = ""
        ) -> None:
            with suppress(QueueClosedError):
                for n in range(10_000):
                    task_id = queue.submit_task(f"{name}{n}")
                    accepted.append(task_id)

        def shut_down(queue: ScanQueueService = queue, accepted: list[UUID] = accepted) -> object:
            while len(accepted) < 20:
                pass
            return queue.shutdown(5, interrupt_running=interrupt)

        results = together(
            lambda s=submit: s(name="a"),  # type: ignore[misc]
            lambda s=submit: s(name="b"),  # type: ignore[misc]
            lambda s=submit: s(name="c"),  # type: ignore[misc]
            shut_down,
        )
        assert results[-1] is True
        tasks = [current(queue, task_id) for task_id in accepted]
        begun = set(scanner.begun)
        for task in tasks:
            if task.id not in begun or task.status is not COMPLETED:
                assert fate(task) == shut_down_as
        stats = queue.stats()
        assert (stats.running, stats.stopping) == (0, 0)
        assert is_durable or stats.pending == 0
        assert sum(stats.ended.values()) == len(accepted) - stats.pending
        with pytest.raises(QueueClosedError):
            queue.submit_task("late")


def test_of_an_upgrade_and_a_claim_one_comes_first(new_store: NewStore) -> None:
    """Either the claimed task has what was asked for, or another one follows that has."""
    with ScanQueueService(Overlaps(), store=new_store(), workers=2) as queue:
        for n in range(200):
            first = queue.submit(n, TaskPriority.LOW)
            second = queue.submit(n, TaskPriority.HIGH, when_running=WhenRunning.FOLLOW_UP)

            task = queue.wait(second.task_id)
            assert task.priority is TaskPriority.HIGH
            assert task.status is COMPLETED
            same = second.task_id == first.task_id
            assert same == (second.outcome is SubmitOutcome.UPGRADED)
            assert queue.wait(first.task_id).priority is (
                TaskPriority.HIGH if same else TaskPriority.LOW
            )


def test_many_submitters_of_the_same_libraries_make_no_doubles(new_store: NewStore) -> None:
    """Never two RUNNING and never two PENDING of one library, at any moment anybody looks."""
    scanner = Overlaps()
    stop = threading.Event()
    doubles: list[list[ScanTask]] = []
    accepted: list[UUID] = []

    def submit() -> None:
        for n in range(300):
            when = WhenRunning.FOLLOW_UP if n % 3 else WhenRunning.JOIN
            accepted.append(queue.submit_task(n % 5, TaskPriority(n % 3 - 1), when_running=when))
            if n % 7 == 0:
                queue.cancel_library(n % 5)

    def look() -> None:
        while not stop.is_set():
            active = [task for task in queue.list_tasks(50) if task.is_active]
            counts = Counter((task.library_id, task.status) for task in active)
            if max(counts.values(), default=0) > 1:
                doubles.append(active)

    with ScanQueueService(scanner, store=new_store(), workers=3) as queue:
        looking = Call(look)
        together(submit, submit, submit)
        for task_id in accepted:
            assert queue.wait(task_id, quiet=True).is_ended
        stop.set()
        looking.result()

    assert doubles == []
    assert scanner.most == 1


def test_readers_lose_no_final_state(new_store: NewStore, is_durable: bool) -> None:
    """Whatever goes on, each reader has seen the end of every task when the queue is shut down."""
    with ScanQueueService(Overlaps(), store=new_store(), workers=3) as queue:
        after = queue.revision

        def read() -> dict[UUID, ScanTask]:
            last: dict[UUID, ScanTask] = {}
            seen = 0
            for task in queue.changes(after):
                assert task.revision > seen, "in order of revision"
                seen = task.revision
                last[task.id] = task
            return last

        readers = [Call(read) for _ in range(3)]

        def submit() -> set[UUID]:
            made = set()
            for n in range(200):
                made.add(queue.submit_task(n % 20, when_running=WhenRunning.FOLLOW_UP))
                if n % 5 == 0:
                    queue.cancel_library(n % 20)
            return made

        accepted: set[UUID] = set()
        for made in together(submit, submit):
            assert isinstance(made, set)
            accepted |= made
        queue.shutdown()
        finals = {task_id: current(queue, task_id) for task_id in accepted}

    assert is_durable or all(task.is_ended for task in finals.values())
    for reader in readers:
        assert reader.result() == finals


def test_no_answer_and_no_error_is_ahead_of_what_a_read_says(
    store_kind: str, new_store: NewStore
) -> None:
    """Whatever a call has told, everybody can see."""
    ahead: list[tuple[ScanTask, ScanTask | None]] = []

    def check(task: ScanTask) -> None:
        found = queue.get_task(task.id)
        if found is None or found.revision < task.revision:
            ahead.append((task, found))

    def be_a_client(seed: int) -> None:
        chance = random.Random(seed)
        ids: list[UUID] = []
        for _ in range(rounds(600, store_kind)):
            if not ids or chance.random() < 0.5:
                submission = queue.submit(chance.randrange(4))
                ids.append(submission.task_id)
                check(submission.task)
            else:
                try:
                    check(queue.cancel_task(ids.pop()))
                except TaskNotCancellableError as error:
                    check(error.task)

    with ScanQueueService(scan_nothing, store=new_store(), workers=2) as queue:
        together(*(partial(be_a_client, seed) for seed in range(4)))
    assert ahead == []


def test_a_pause_and_a_resume_lose_no_wake_up(new_store: NewStore) -> None:
    """However often, in the end all has run."""
    with ScanQueueService(Overlaps(), store=new_store(), workers=3) as queue:

        def toggle() -> None:
            for _ in range(100):
                queue.pause()
                queue.resume()

        def submit(name: str) -> list[UUID]:
            return [queue.submit_task(f"{name}{n}") for n in range(100)]

        results = together(toggle, toggle, lambda: submit("a"), lambda: submit("b"))
        queue.resume()
        for made in results[2:]:
            assert isinstance(made, list)
            for task_id in made:
                assert queue.wait(task_id, 5).status is COMPLETED


def test_max_running_holds_at_any_moment(new_store: NewStore) -> None:
    """Workers, `run_pending` and cancels together never have more scans than that."""
    lock = threading.Lock()
    at_work = most = 0

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        for _ in range(20):
            context.advance()
        with lock:
            at_work -= 1
        return TaskResult()

    with ScanQueueService(scan, store=new_store(), workers=4, max_running=2) as queue:
        ids = [queue.submit_task(n) for n in range(200)]
        together(
            queue.run_pending,
            queue.run_pending,
            lambda: [queue.cancel_library(n) for n in range(0, 200, 9)],
        )
        for task_id in ids:
            queue.wait(task_id, 5, quiet=True)

    assert most <= 2


def test_without_a_scan_a_shutdown_leaves_none_behind(store_kind: str, new_store: NewStore) -> None:
    """Whatever the workers were looking for when it was called, and however short its timeout."""
    answers = []
    for _ in range(rounds(600, store_kind)):
        queue = ScanQueueService(Overlaps(), store=new_store(), workers=3)
        queue.start()
        queue.resume()
        answers.append(queue.shutdown(0))

    assert answers.count(False) == 0


def test_of_services_made_on_one_store_at_once_one_gets_it(new_store: NewStore) -> None:
    """The others are told."""
    for _ in range(50):
        store = new_store()
        made: list[ScanQueueService] = []

        def make(store: TaskStore = store, made: list[ScanQueueService] = made) -> None:
            with suppress(ValueError):
                made.append(ScanQueueService(scan_nothing, store=store))

        together(*[make] * 4)
        assert len(made) == 1


def test_workers_are_counted_from_the_start_on(store_kind: str, new_store: NewStore) -> None:
    """Not from the moment at which each of them got to run first."""
    counts: Counter[int] = Counter()
    number = rounds(600, store_kind)
    for _ in range(number):
        with ScanQueueService(Overlaps(), store=new_store(), workers=3) as queue:
            counts[queue.stats().workers] += 1

    assert counts == {3: number}


def test_starts_and_shutdowns_at_once_end_shut_down(new_store: NewStore, is_durable: bool) -> None:
    """Whoever comes first: no thread stays behind, and nothing raises but `QueueClosedError`."""
    for _ in range(40):
        before = set(threading.enumerate())
        queue = ScanQueueService(Overlaps(), store=new_store(), workers=2)

        def start(queue: ScanQueueService = queue) -> None:
            with suppress(QueueClosedError):
                queue.start()
                queue.submit_task("music")

        together(start, start, queue.shutdown, queue.shutdown)
        assert queue.shutdown() is True
        assert queue.stats().workers == 0
        assert is_durable or queue.pending_count() == 0
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)
            assert not thread.is_alive()
