"""What could go wrong between threads, told one by one; `pairs` has what is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from scanqueue import (
    QueueClosedError,
    ScanScope,
    TaskPriority,
    TaskStatus,
)
from tests.service.failing_store import FailingStore
from tests.simulation import files, pairs, scanners
from tests.simulation.audit import AuditedStore
from tests.simulation.files import FILMS, FOLLOW_UP, HIGH, MUSIC
from tests.simulation.group import tell_group
from tests.simulation.scene import FIRST, Scene, begin, calls

BOOKS = "books"
LOW = TaskPriority.LOW
FAILING_CALLS = 14
"""How many calls of a store there are about, in the scenarios in which one fails."""

Tell = Callable[[Scene], None]


def cancel_against_completion(scene: Scene) -> None:
    """A scan completes or is cancelled, never both, and everyone sees the same."""
    begin(scene, MUSIC)
    scene.client(calls(scene, "cancel_task", FIRST))
    ends = [scene.client(calls(scene, "wait", FIRST)) for _ in range(2)]
    assert len(ends) == 2
    scene.end()
    statuses = {call.answer[1] for call in scene.history.calls if call.name == "wait"}  # type: ignore[index]
    assert len(statuses) == 1, f"more than one winner: {statuses}"


def counted_when_heard(scene: Scene) -> None:
    """Whoever hears that a task has ended finds it counted."""
    begin(scene, MUSIC)

    def wait_and_count() -> None:
        task = scene.queue.wait(FIRST)
        assert scene.queue.stats().ended[task.status] == 1, "it has ended, and is not counted"

    scene.client(wait_and_count)
    scene.client(calls(scene, "cancel_library", MUSIC))
    scene.end()


def one_waiter(scene: Scene) -> None:
    """Who waits for a scan hears of its end."""
    with scene.scheduler.calm():
        pairs.STATES["scanning"](scene)
    scene.client(calls(scene, "wait", FIRST))
    scene.end()


def upgrade_against_claim(scene: Scene) -> None:
    """A request that widens a task is either in time, or has a task of its own."""
    with scene.scheduler.calm():
        scene.make()
        scene.call("submit", MUSIC, LOW, scope=ScanScope(paths=["a"]))
        scene.mark = scene.follow_from_here()
    scene.client(calls(scene, "start"))
    scene.client(calls(scene, "submit", MUSIC, HIGH, scope=ScanScope(paths=["c"])))
    scene.client(calls(scene, "submit", MUSIC, scope=ScanScope(paths=["a/b"], deep=True)))
    scene.end()


def submit_against_shutdown(scene: Scene) -> None:
    """What was accepted ends, and who waits for it is told."""
    begin(scene)

    def submit_and_wait() -> None:
        try:
            task_id = scene.queue.submit_task(MUSIC)
        except QueueClosedError:
            return
        task = scene.queue.wait(task_id)
        assert task.is_ended, task

    scene.judges = scene.counts = False
    scene.client(submit_and_wait)
    scene.client(submit_and_wait)
    scene.client(calls(scene, "shutdown", None))
    scene.end()


def follow_ups(scene: Scene) -> None:
    """Requests behind a running scan share one task, and it is scanned after them."""
    begin(scene, MUSIC)
    scene.client(calls(scene, "submit", MUSIC, when_running=FOLLOW_UP))
    scene.client(
        calls(scene, "submit", MUSIC, HIGH, when_running=FOLLOW_UP),
        calls(scene, "cancel_library", MUSIC),
        calls(scene, "submit", MUSIC),
    )
    scene.end()


def pause_against_claim(scene: Scene) -> None:
    """Once `pause` has returned nothing is claimed until `resume`."""
    begin(scene, MUSIC)
    scene.client(calls(scene, "pause"), calls(scene, "list_running"), calls(scene, "resume"))
    scene.client(calls(scene, "submit", FILMS, HIGH))
    scene.end()


def readers_of_changes(scene: Scene) -> None:
    """A reader sees every task in its final state, in order, and is let go at the shutdown."""
    begin(scene, MUSIC, workers=2)
    ends: list[dict[object, TaskStatus]] = []

    def follow() -> None:
        found: dict[object, TaskStatus] = {}
        ends.append(found)
        last = scene.mark - 1
        for task in scene.queue.changes(0):
            assert task.revision > last or not found, f"{task} was told before"
            last = task.revision
            found[task.id] = task.status

    scene.client(follow)
    scene.client(calls(scene, "submit", FILMS), calls(scene, "cancel_task", FIRST))
    scene.client(calls(scene, "submit", BOOKS, HIGH), calls(scene, "shutdown", None))
    scene.end()
    with scene.scheduler.calm():
        final = {task.id: task.status for task in scene.queue.list_tasks()}
    for found in ends:
        assert found == final, f"a reader saw {found}, but it ended as {final}"


def two_workers_three_libraries(scene: Scene) -> None:
    """Workers that wake each other leave nothing lying."""
    begin(scene, workers=2)
    for library_id in (MUSIC, FILMS, BOOKS):
        scene.client(calls(scene, "submit", library_id))
    scene.client(calls(scene, "wait", FIRST, 5.0))
    scene.end()


def two_shutdowns(scene: Scene) -> None:
    """Two shutdowns at the same time both wait, and one of them interrupts."""
    begin(scene, MUSIC, FILMS)
    scene.client(calls(scene, "shutdown", None))
    scene.client(calls(scene, "shutdown", 5.0, interrupt_running=True))
    scene.client(calls(scene, "wait", FIRST))
    scene.end()


def durable_shutdown(scene: Scene) -> None:
    """In a durable queue nothing is claimed any more, and what waits is left for the next start."""
    scene.is_durable = True
    store = AuditedStore(scene.world)
    store.durable = True
    with scene.scheduler.calm():
        scene.make(store=store)
        scene.call("submit", MUSIC)
        scene.mark = scene.follow_from_here()
    scene.client(calls(scene, "start"))
    scene.client(calls(scene, "submit", FILMS), calls(scene, "submit", MUSIC, HIGH))
    scene.client(calls(scene, "shutdown", 5.0, interrupt_running=True))
    scene.client(calls(scene, "wait", FIRST))
    scene.end()


def workers_beside_run_pending(scene: Scene) -> None:
    """A caller that runs tasks itself shares them with a worker."""
    begin(scene, MUSIC, FILMS)
    scene.client(calls(scene, "run_pending"))
    scene.client(calls(scene, "submit", BOOKS), calls(scene, "run_pending", 1))
    scene.end()


def failing_store(number: int, scene: Scene) -> None:
    """A store that fails at one call loses nothing that it took, and hangs nobody."""
    store = FailingStore(AuditedStore(scene.world))
    store.fail_at(number)
    scene.may_log_errors = True
    with scene.scheduler.calm():
        scene.make(store=store)
    scene.client(calls(scene, "start"))
    scene.client(calls(scene, "submit", MUSIC), calls(scene, "cancel_task", FIRST))
    scene.client(calls(scene, "submit", MUSIC), calls(scene, "list_tasks"))
    scene.join()
    store.recover()
    scene.end()


_TOLD: tuple[Tell, ...] = (
    *(cancel_against_completion, counted_when_heard, one_waiter, upgrade_against_claim),
    *(submit_against_shutdown, follow_ups, pause_against_claim, readers_of_changes),
    *(two_workers_three_libraries, two_shutdowns, durable_shutdown, workers_beside_run_pending),
    *scanners.TOLD,
)

NAMED: dict[str, Tell] = {
    **{getattr(tell, "__name__", "").replace("_", "-"): tell for tell in _TOLD},
    **{f"failing-store-{n}": partial(failing_store, n) for n in range(FAILING_CALLS)},
    **files.SCENARIOS,
    **{f"group-commit-{n}": partial(tell_group, n, 0) for n in (2, 3)},
    **{f"functions-{n}-{m}": partial(tell_group, n, m) for n, m in ((0, 2), (0, 3), (1, 2))},
}
"""Each scenario that is told by hand, by its name."""


def all_scenarios() -> Iterator[tuple[str, Tell]]:
    """Yield every scenario, and its name."""
    yield from NAMED.items()
    yield from pairs.scenarios()
