"""What could go wrong between threads, told one by one; `pairs` has what is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from scanqueue import (
    LibraryId,
    MemoryStore,
    QueueClosedError,
    ScanContext,
    ScanScope,
    ScanTask,
    TaskPriority,
    TaskResult,
    TaskStatus,
)
from tests.service.failing_store import FailingStore
from tests.simulation import files, pairs
from tests.simulation.audit import AuditedStore
from tests.simulation.files import FILMS, FOLLOW_UP, HIGH, MUSIC
from tests.simulation.group import tell_group
from tests.simulation.scene import FIRST, Scene

BOOKS = "books"
LOW = TaskPriority.LOW
FAILING_CALLS = 14
"""How many calls of a store there are about, in the scenarios in which one fails."""

Tell = Callable[[Scene], None]
Act = Callable[[], object]


def _calls(scene: Scene, name: str, *arguments: object, **options: object) -> Act:
    return partial(scene.call, name, *arguments, **options)


def _begin(
    scene: Scene, *submitted: LibraryId, workers: int = 1, max_running: int | None = None
) -> None:
    """Submit, start, and race from there."""
    with scene.scheduler.calm():
        scene.make(workers=workers, max_running=max_running)
        for library_id in submitted:
            scene.call("submit", library_id)
        scene.call("start")
        scene.mark = scene.follow_from_here()


def cancel_against_completion(scene: Scene) -> None:
    """A scan completes or is cancelled, never both, and everyone sees the same."""
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "cancel_task", FIRST))
    ends = [scene.client(_calls(scene, "wait", FIRST)) for _ in range(2)]
    assert len(ends) == 2
    scene.end()
    statuses = {call.answer[1] for call in scene.history.calls if call.name == "wait"}  # type: ignore[index]
    assert len(statuses) == 1, f"more than one winner: {statuses}"


def counted_when_heard(scene: Scene) -> None:
    """Whoever hears that a task has ended finds it counted."""
    _begin(scene, MUSIC)

    def wait_and_count() -> None:
        task = scene.queue.wait(FIRST)
        assert scene.queue.stats().ended[task.status] == 1, "it has ended, and is not counted"

    scene.client(wait_and_count)
    scene.client(_calls(scene, "cancel_library", MUSIC))
    scene.end()


def one_waiter(scene: Scene) -> None:
    """Who waits for a scan hears of its end."""
    with scene.scheduler.calm():
        pairs.STATES["scanning"](scene)
    scene.client(_calls(scene, "wait", FIRST))
    scene.end()


def upgrade_against_claim(scene: Scene) -> None:
    """A request that widens a task is either in time, or has a task of its own."""
    with scene.scheduler.calm():
        scene.make()
        scene.call("submit", MUSIC, LOW, scope=ScanScope(paths=["a"]))
        scene.mark = scene.follow_from_here()
    scene.client(_calls(scene, "start"))
    scene.client(_calls(scene, "submit", MUSIC, HIGH, scope=ScanScope(paths=["c"])))
    scene.client(_calls(scene, "submit", MUSIC, scope=ScanScope(paths=["a/b"], deep=True)))
    scene.end()


def submit_against_shutdown(scene: Scene) -> None:
    """What was accepted ends, and who waits for it is told."""
    _begin(scene)

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
    scene.client(_calls(scene, "shutdown", None))
    scene.end()


def follow_ups(scene: Scene) -> None:
    """Requests behind a running scan share one task, and it is scanned after them."""
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "submit", MUSIC, when_running=FOLLOW_UP))
    scene.client(
        _calls(scene, "submit", MUSIC, HIGH, when_running=FOLLOW_UP),
        _calls(scene, "cancel_library", MUSIC),
        _calls(scene, "submit", MUSIC),
    )
    scene.end()


def pause_against_claim(scene: Scene) -> None:
    """Once `pause` has returned nothing is claimed until `resume`."""
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "pause"), _calls(scene, "list_running"), _calls(scene, "resume"))
    scene.client(_calls(scene, "submit", FILMS, HIGH))
    scene.end()


def scanner_submits(scene: Scene) -> None:
    """A scanner asks for its own library again, and for another."""
    again = [MUSIC, FILMS]

    def act(context: ScanContext) -> TaskResult | None:
        for library_id in again:
            scene.call("submit", library_id, when_running=FOLLOW_UP)
        again.clear()
        return None

    scene.log.acts[MUSIC] = act
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "submit", MUSIC, when_running=FOLLOW_UP))
    scene.end()


def scanner_cancels_itself(scene: Scene) -> None:
    """A scanner that cancels its own task is told so, and stops.

    Who was just before it may not have told the context yet: that is done after the commit.
    """

    def act(context: ScanContext) -> TaskResult | None:
        cancelled = scene.call("cancel_task", context.task.id)
        assert context.cancelled or not isinstance(cancelled, ScanTask), "it was not told"
        context.raise_if_cancelled()
        return None

    scene.log.acts[MUSIC] = act
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "cancel_library", MUSIC))
    scene.end()


def scanner_waits_for_another(scene: Scene) -> None:
    """A scanner submits another library and waits for it, with a worker to spare."""

    def act(context: ScanContext) -> TaskResult | None:
        task_id = scene.queue.submit_task(FILMS)
        assert scene.queue.wait(task_id).is_ended
        return None

    scene.log.acts[MUSIC] = act
    scene.judges = scene.counts = False
    _begin(scene, MUSIC, workers=2)
    scene.client(_calls(scene, "wait", FIRST, quiet=True))
    scene.end()


def scanner_shuts_down(scene: Scene) -> None:
    """A scanner shuts the queue down: it waits for the other scan only, and answers False."""

    def act(context: ScanContext) -> TaskResult | None:
        assert scene.queue.shutdown(None) is False
        return None

    scene.log.acts[MUSIC] = act
    scene.judges = False
    _begin(scene, MUSIC, FILMS, workers=2)
    scene.client(_calls(scene, "wait", FIRST))
    scene.end()


def readers_of_changes(scene: Scene) -> None:
    """A reader sees every task in its final state, in order, and is let go at the shutdown."""
    _begin(scene, MUSIC, workers=2)
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
    scene.client(_calls(scene, "submit", FILMS), _calls(scene, "cancel_task", FIRST))
    scene.client(_calls(scene, "submit", BOOKS, HIGH), _calls(scene, "shutdown", None))
    scene.end()
    with scene.scheduler.calm():
        final = {task.id: task.status for task in scene.queue.list_tasks()}
    for found in ends:
        assert found == final, f"a reader saw {found}, but it ended as {final}"


def two_workers_three_libraries(scene: Scene) -> None:
    """Workers that wake each other leave nothing lying."""
    _begin(scene, workers=2)
    for library_id in (MUSIC, FILMS, BOOKS):
        scene.client(_calls(scene, "submit", library_id))
    scene.client(_calls(scene, "wait", FIRST, 5.0))
    scene.end()


def one_at_a_time(scene: Scene) -> None:
    """With `max_running` 1, two workers never scan at the same time, and both libraries are."""
    at_work: list[LibraryId] = []

    def act(context: ScanContext) -> TaskResult | None:
        assert not at_work, "two scans at a time"
        at_work.append(context.library_id)
        scene.scheduler.point("scan")
        at_work.clear()
        return None

    scene.log.acts.update({MUSIC: act, FILMS: act})
    scene.judges = False
    _begin(scene, workers=2, max_running=1)
    scene.client(_calls(scene, "submit", MUSIC))
    scene.client(_calls(scene, "submit", FILMS), _calls(scene, "cancel_library", MUSIC))
    scene.end()


def _check_delay(scene: Scene, told_at: float) -> None:
    """Fail if a report was seen too late, by a machine that was not slow."""
    delay = scene.scheduler.time - told_at
    is_late = delay > MemoryStore.progress_interval + 0.001 and not scene.scheduler.has_hurried
    assert not is_late, f"a report was seen after {delay} s only"


def reports_beside_readers(scene: Scene) -> None:
    """What a scan reported before it went silent is seen within the interval, and at its end."""
    told, seen = scene.gate(), scene.gate()
    told_at: list[float] = []

    def act(context: ScanContext) -> TaskResult | None:
        for _ in context.track(["a", "b", "c"]):
            scene.scheduler.point("scan")
        told_at.append(scene.scheduler.time)
        told.set()
        seen.wait()
        context.advance(4)
        return None

    def look() -> None:
        told.wait()
        last, found = scene.mark, 0
        while found < 3:
            changed = scene.queue.list_changes(last, timeout=0.2)
            for task in changed:
                last, found = task.revision, task.progress.scanned_paths
        _check_delay(scene, told_at[0])
        seen.set()

    scene.judges = False
    scene.log.acts[MUSIC] = act
    _begin(scene, MUSIC)
    scene.client(look)
    scene.client(_calls(scene, "list_tasks"), _calls(scene, "stats"))
    scene.end()
    with scene.scheduler.calm():
        task = scene.queue.get_task(FIRST)
    assert task is not None
    assert task.progress.scanned_paths == 7, "the last report was lost"


def advance_beside_the_keeper(scene: Scene) -> None:
    """A scan counts on while the keeper publishes what it has counted: nothing is lost."""

    def act(context: ScanContext) -> TaskResult | None:
        context.advance()
        context.advance()
        scene.scheduler.sleep(MemoryStore.progress_interval)
        context.advance()
        return None

    scene.log.acts[MUSIC] = act
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "wait", FIRST, quiet=True))
    scene.end()
    with scene.scheduler.calm():
        task = scene.queue.get_task(FIRST)
    assert task is not None
    assert task.progress.scanned_paths == 3, f"{task.progress} of 3 were counted"


def report_when_the_keeper_leaves(scene: Scene) -> None:
    """A scan that reports while the keeper of the last one leaves is still heard."""
    told, seen = scene.gate(), scene.gate()
    told_at: list[float] = []

    def short(context: ScanContext) -> TaskResult | None:
        context.advance()
        context.advance()
        return None

    def act(context: ScanContext) -> TaskResult | None:
        context.advance()
        scene.scheduler.point("scan")
        context.advance()
        told_at.append(scene.scheduler.time)
        told.set()
        seen.wait()
        return None

    def look() -> None:
        told.wait()
        last, found = scene.mark, 0
        while found < 2:
            changed = scene.queue.list_changes(last, timeout=1.5)
            for task in changed:
                last = task.revision
                if task.library_id == FILMS:
                    found = task.progress.scanned_paths
        _check_delay(scene, told_at[0])
        seen.set()

    scene.judges = False
    scene.log.acts.update({MUSIC: short, FILMS: act})
    _begin(scene, MUSIC)
    with scene.scheduler.calm():
        scene.call("wait", FIRST, quiet=True)
        scene.scheduler.sleep(0.999)  # the keeper lingers for a second
    scene.client(partial(scene.scheduler.sleep, 0.001), _calls(scene, "submit", FILMS))
    scene.client(look)
    scene.end()


def cancel_ends_a_sleep(scene: Scene) -> None:
    """A scanner that sleeps for an hour is woken by a cancel, wherever that comes."""

    def act(context: ScanContext) -> TaskResult | None:
        context.sleep(3600.0)
        raise AssertionError("it slept on")

    scene.log.acts[MUSIC] = act
    _begin(scene, MUSIC)
    scene.client(_calls(scene, "cancel_task", FIRST), _calls(scene, "wait", FIRST, quiet=True))
    scene.end()
    assert scene.scheduler.time < 3600.0, "it slept on"


def two_shutdowns(scene: Scene) -> None:
    """Two shutdowns at the same time both wait, and one of them interrupts."""
    _begin(scene, MUSIC, FILMS)
    scene.client(_calls(scene, "shutdown", None))
    scene.client(_calls(scene, "shutdown", 5.0, interrupt_running=True))
    scene.client(_calls(scene, "wait", FIRST))
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
    scene.client(_calls(scene, "start"))
    scene.client(_calls(scene, "submit", FILMS), _calls(scene, "submit", MUSIC, HIGH))
    scene.client(_calls(scene, "shutdown", 5.0, interrupt_running=True))
    scene.client(_calls(scene, "wait", FIRST))
    scene.end()


def workers_beside_run_pending(scene: Scene) -> None:
    """A caller that runs tasks itself shares them with a worker."""
    _begin(scene, MUSIC, FILMS)
    scene.client(_calls(scene, "run_pending"))
    scene.client(_calls(scene, "submit", BOOKS), _calls(scene, "run_pending", 1))
    scene.end()


def failing_store(number: int, scene: Scene) -> None:
    """A store that fails at one call loses nothing that it took, and hangs nobody."""
    store = FailingStore(AuditedStore(scene.world))
    store.fail_at(number)
    scene.may_log_errors = True
    with scene.scheduler.calm():
        scene.make(store=store)
    scene.client(_calls(scene, "start"))
    scene.client(_calls(scene, "submit", MUSIC), _calls(scene, "cancel_task", FIRST))
    scene.client(_calls(scene, "submit", MUSIC), _calls(scene, "list_tasks"))
    scene.join()
    store.recover()
    scene.end()


NAMED: dict[str, Tell] = {
    **{
        tell.__name__.replace("_", "-"): tell
        for tell in (
            *(
                cancel_against_completion,
                counted_when_heard,
                one_waiter,
                upgrade_against_claim,
                submit_against_shutdown,
            ),
            *(follow_ups, pause_against_claim, scanner_submits, scanner_cancels_itself),
            *(scanner_waits_for_another, scanner_shuts_down, readers_of_changes),
            *(two_workers_three_libraries, one_at_a_time, reports_beside_readers),
            *(report_when_the_keeper_leaves, cancel_ends_a_sleep, two_shutdowns),
            *(durable_shutdown, advance_beside_the_keeper),
            *(workers_beside_run_pending,),
        )
    },
    **{f"failing-store-{n}": partial(failing_store, n) for n in range(FAILING_CALLS)},
    **files.SCENARIOS,
    **{f"group-commit-{n}": partial(tell_group, n) for n in (2, 3)},
}
"""Each scenario that is told by hand, by its name."""


def all_scenarios() -> Iterator[tuple[str, Tell]]:
    """Yield every scenario, and its name."""
    yield from NAMED.items()
    yield from pairs.scenarios()
