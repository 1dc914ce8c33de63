"""How it goes with many pending tasks: filling the queue, listing, upgrading, cancelling."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random

from scanqueue import ScanQueueService, TaskPriority
from tests.benchmarks import peers
from tests.benchmarks.harness import (
    OURS,
    Case,
    Comparison,
    Contenders,
    Scale,
    Values,
    Versus,
    time_each,
    time_repeated,
)
from tests.benchmarks.minimal import MinimalQueue

LISTED = 50
FLAT = 2.0
"""`list_pending(50)` is flat when it costs at most so many times as much."""

MOST_FILLED = 100_000
"""A queue is filled with up to so many tasks again and again; with more it takes minutes."""


def _ours(size: int) -> str:
    return f"{OURS}, {size:,} pending"


def _minimal(size: int) -> str:
    return f"{peers.MINIMAL}, {size:,} pending"


@contextmanager
def _filled(size: int) -> Iterator[ScanQueueService]:
    with peers.idle_service() as queue:
        for number in range(size):
            queue.submit_task(f"library-{number}")
        yield queue


@contextmanager
def _frozen() -> Iterator[None]:
    """Keep the garbage collector from walking what exists now, for us and for the others."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


# --- filling ------------------------------------------------------------------------------------


@contextmanager
def _filling(scale: Scale) -> Iterator[Contenders]:
    contenders: dict[str, Callable[[], Values]] = {}
    for size in _filled_sizes(scale):
        libraries = [f"library-{number}" for number in range(size)]
        contenders[_ours(size)] = partial(_time_filling, libraries)
        contenders[_executor(size)] = partial(_time_filling_executor, libraries)
    yield contenders


def _filled_sizes(scale: Scale) -> list[int]:
    return [size for size in scale.sizes if size <= MOST_FILLED]


def _executor(size: int) -> str:
    return f"{peers.EXECUTOR}, {size:,} in a row"


def _time_filling(libraries: Sequence[str]) -> dict[str, float]:
    with peers.idle_service() as queue:
        return {"call": time_each(queue.submit_task, libraries)}


def _time_filling_executor(libraries: Sequence[str]) -> dict[str, float]:
    with peers.busy_executor() as pool:
        return {"call": time_each(peers.submitter(pool), libraries)}


def _compare_filling(scale: Scale) -> Iterator[Comparison]:
    for size in _filled_sizes(scale):
        yield Comparison(
            title=f"submit, {size:,} in a row",
            metric="call",
            subject=_ours(size),
            reference=_executor(size),
            versus=Versus.RATE,
            target=1.5,
            aim=3,
        )


# --- listing ------------------------------------------------------------------------------------


@contextmanager
def _listing(scale: Scale) -> Iterator[Contenders]:
    contenders: dict[str, Callable[[], Values]] = {}
    with ExitStack() as stack:
        for size in scale.sizes:
            queue = stack.enter_context(_filled(size))
            minimal = MinimalQueue(peers.no_op)
            for number in range(size):
                minimal.submit(f"library-{number}")
            contenders[_ours(size)] = partial(_time_list, queue, max(1, scale.calls // LISTED))
            few = max(1, min(scale.calls // LISTED, 100_000 // size))
            contenders[_minimal(size)] = partial(_time_list, minimal, few)
        size = scale.sizes[0]
        huey, task = peers.huey_task(peers.no_op)
        jobs = stack.enter_context(peers.paused_scheduler())
        for number in range(size):
            task(f"library-{number}")
            peers.add_job(jobs, f"library-{number}")
        contenders[peers.HUEY] = lambda: {
            "call": time_repeated(partial(huey.pending, LISTED), max(1, scale.calls // 200))
        }
        contenders[peers.APSCHEDULER] = lambda: {
            "call": time_repeated(lambda: jobs.get_jobs()[:LISTED], max(1, scale.calls // 200))
        }
        stack.enter_context(_frozen())
        yield contenders


def _time_list(queue: ScanQueueService | MinimalQueue, count: int) -> dict[str, float]:
    return {"call": time_repeated(partial(queue.list_pending, LISTED), count)}


def _compare_listing(scale: Scale) -> Iterator[Comparison]:
    first, *larger = scale.sizes
    title = f"list_pending({LISTED}), {{:,}} pending".format
    row = partial(Comparison, metric="call")
    for reference in (peers.HUEY, peers.APSCHEDULER, _minimal(first)):
        yield row(title=title(first), subject=_ours(first), reference=reference)
    for size in larger:
        row = partial(row, title=title(size), subject=_ours(size))
        yield row(reference=_minimal(size))
        yield row(reference=_ours(first), target=FLAT)


# --- upgrading and cancelling -------------------------------------------------------------------


@contextmanager
def _changing(scale: Scale) -> Iterator[Contenders]:
    sizes = (scale.sizes[0], scale.sizes[-1])
    with ExitStack() as stack:
        contenders = {}
        for size in sizes:
            queue = stack.enter_context(_filled(size))
            random = Random(size)
            contenders[_ours(size)] = partial(_time_changes, queue, size, random)
            minimal = MinimalQueue(peers.no_op)
            for number in range(size):
                minimal.submit(f"library-{number}")
            contenders[_minimal(size)] = partial(_time_minimal, minimal, size, random)
        stack.enter_context(_frozen())
        yield contenders


def _some(size: int, random: Random) -> list[str]:
    """Pick up to 500 libraries, spread over the queue."""
    return [f"library-{number}" for number in random.sample(range(size), min(500, size // 2))]


def _time_changes(queue: ScanQueueService, size: int, random: Random) -> dict[str, float]:
    libraries = _some(size, random)
    upgrade = partial(queue.submit_task, priority=TaskPriority.HIGH)
    values = {"upgrade": time_each(upgrade, libraries)}
    raised = [queue.submit_task(library) for library in libraries]
    values["cancel upgraded"] = time_each(queue.cancel_task, raised)
    for library in libraries:
        queue.submit_task(library)
    libraries = _some(size, random)
    ids = [queue.submit_task(library) for library in libraries]
    values["cancel"] = time_each(queue.cancel_task, ids)
    for library in libraries:
        queue.submit_task(library)
    return values


def _time_minimal(queue: MinimalQueue, size: int, random: Random) -> dict[str, float]:
    libraries = _some(size, random)
    values = {"upgrade": time_each(partial(queue.submit, priority=1), libraries)}
    raised = [queue.submit(library) for library in libraries]
    values["cancel upgraded"] = time_each(queue.cancel, raised)
    for library in libraries:
        queue.submit(library)
    libraries = _some(size, random)
    ids = [queue.submit(library) for library in libraries]
    values["cancel"] = time_each(queue.cancel, ids)
    for library in libraries:
        queue.submit(library)
    return values


def _compare_changing(scale: Scale) -> Iterator[Comparison]:
    small, large = scale.sizes[0], scale.sizes[-1]
    for metric in ("upgrade", "cancel", "cancel upgraded"):
        row = partial(
            Comparison, title=f"{metric}, {large:,} pending", metric=metric, subject=_ours(large)
        )
        yield row(reference=_ours(small), target=4)
        yield row(reference=_minimal(large))


CASES = (
    Case(name="fill", prepare=_filling, compare=_compare_filling),
    Case(name="list", prepare=_listing, compare=_compare_listing),
    Case(name="sizes", prepare=_changing, compare=_compare_changing),
)
