"""Every pair of calls, at the same time, on one library, from each state; and mixes of six."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations_with_replacement
from random import Random

from scanqueue import ScanContext, ScanScope, TaskPriority, WhenRunning
from tests.simulation.scene import FIRST, Scene

LIBRARY = "music"
PART = ScanScope(paths=["a"])
MIXES = 60
"""How many mixes there are: two calls of each of three clients, chosen at random once for all."""

SHORT = 5.0
"""Virtual seconds after which a call that waits gives up."""

Act = Callable[[Scene], object]


def _call(name: str, *arguments: object, **options: object) -> Act:
    return lambda scene: scene.call(name, *arguments, **options)


def _list_changes(scene: Scene) -> object:
    return scene.call("list_changes", scene.mark, timeout=SHORT)


def _changes(scene: Scene) -> None:
    """Read what changes until the shutdown."""
    last = scene.mark
    for task in scene.queue.changes(scene.mark):
        assert task.revision > last, f"{task} was told before"
        last = task.revision


CALLS: dict[str, Act] = {
    "submit": _call("submit", LIBRARY),
    "submit_high": _call("submit", LIBRARY, TaskPriority.HIGH),
    "submit_part": _call("submit", LIBRARY, scope=PART),
    "submit_follow_up": _call("submit", LIBRARY, when_running=WhenRunning.FOLLOW_UP),
    "submit_other": _call("submit", "films", TaskPriority.LOW),
    "cancel_task": _call("cancel_task", FIRST),
    "cancel_library": _call("cancel_library", LIBRARY),
    "get_task": _call("get_task", FIRST),
    "get_library_task": _call("get_library_task", LIBRARY),
    "list_pending": _call("list_pending"),
    "list_running": _call("list_running"),
    "list_history": _call("list_history"),
    "list_tasks": _call("list_tasks"),
    "list_changes": _list_changes,
    "changes": _changes,
    "stats": _call("stats"),
    "pending_count": _call("pending_count"),
    "is_paused": _call("is_paused"),
    "pause": _call("pause"),
    "resume": _call("resume"),
    "wait": _call("wait", FIRST, timeout=SHORT),
    "wait_quiet": _call("wait", FIRST, timeout=SHORT, quiet=True),
    "run_pending": _call("run_pending"),
    "start": _call("start"),
    "shutdown": _call("shutdown", None),
    "shutdown_now": _call("shutdown", SHORT, interrupt_running=True),
}


def _new(scene: Scene) -> None:
    """Make a service, and do not start it."""
    scene.make(workers=1)


def _idle(scene: Scene) -> None:
    """Have a worker wait for something to do."""
    scene.make(workers=1)
    scene.call("start")
    scene.settle()


def _queued(scene: Scene) -> None:
    """Have a task that waits, and a worker that begins to look."""
    scene.make(workers=1)
    scene.call("submit", LIBRARY)
    scene.client(partial(scene.call, "start"), name="starter")


def _scanning(scene: Scene) -> None:
    """Have a scan that is under way."""
    scene.make(workers=1)
    begun, go_on = scene.gate(), scene.gate()

    def act(context: ScanContext) -> None:
        begun.set()
        go_on.wait()

    scene.log.acts[LIBRARY] = act
    scene.call("start")
    scene.call("submit", LIBRARY)
    begun.wait()
    go_on.set()


STATES: dict[str, Callable[[Scene], None]] = {
    "new": _new,
    "idle": _idle,
    "queued": _queued,
    "scanning": _scanning,
}


def tell(state: str, clients: Sequence[Sequence[str]], scene: Scene) -> None:
    """Bring a library into a state, and have clients call, each in its order."""
    with scene.scheduler.calm():
        STATES[state](scene)
        scene.mark = scene.follow_from_here()
    is_read = any("changes" in names for names in clients)
    readers = [scene.reader(partial(_changes, scene))] if is_read else []
    for names in clients:
        acts = [partial(CALLS[name], scene) for name in names if name != "changes"]
        scene.client(*acts, name=" and ".join(names))
    scene.end()
    for reader in readers:
        scene.scheduler.join(reader)


def scenarios() -> Iterator[tuple[str, Callable[[Scene], None]]]:
    """Yield the name of each pair in each state, and what tells it; and that of each mix."""
    for state in STATES:
        for first, second in combinations_with_replacement(CALLS, 2):
            yield f"{state}/{first}/{second}", partial(tell, state, ([first], [second]))
    for number in range(MIXES):
        random = Random(number)
        clients = [random.choices(list(CALLS), k=2) for _ in range(3)]
        yield f"mix/{number}", partial(tell, random.choice(list(STATES)), clients)
