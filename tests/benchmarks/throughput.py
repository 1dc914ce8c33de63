"""How many no-op tasks a second go through, from the first submission to the last end.

One thread submits all of them, then waits for each (`queue.wait(id)`, `future.result()`). Where
there is nothing of the kind, and in the cases that say so, the last task sets an event.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import perf_counter

from scanqueue import ScanContext, ScanQueueService, TaskResult
from tests.benchmarks import peers
from tests.benchmarks.harness import OURS, Case, Comparison, Contenders, Scale, Unit, Values, Versus

COUNTED = "counted down"


@contextmanager
def _throughput(workers: int, scale: Scale) -> Iterator[Contenders]:
    libraries = [f"library-{number}" for number in range(scale.tasks)]
    few = libraries[: max(1, scale.tasks // 10)]
    yield {
        OURS: partial(_ours, workers, libraries),
        peers.EXECUTOR: partial(_executor, workers, libraries),
        peers.HUEY: partial(_huey, workers, libraries),
        # The more jobs it has, the longer each takes.
        peers.APSCHEDULER: partial(_scheduler, workers, few),
        peers.MINIMAL: partial(_minimal, workers, libraries),
        f"{OURS}, {COUNTED}": partial(_ours_counted, workers, libraries),
        f"{peers.EXECUTOR}, {COUNTED}": partial(_executor_counted, workers, libraries),
    }


def _ours(workers: int, libraries: Sequence[str]) -> Values:
    with ScanQueueService(peers.no_scan, workers=workers) as queue:
        begin = perf_counter()
        ids = [queue.submit_task(library) for library in libraries]
        for task_id in ids:
            queue.wait(task_id)
        return {"task": (perf_counter() - begin) / len(libraries)}


def _executor(workers: int, libraries: Sequence[str]) -> Values:
    with ThreadPoolExecutor(workers) as pool:
        begin = perf_counter()
        futures = [pool.submit(peers.no_op, library) for library in libraries]
        for future in futures:
            future.result()
        return {"task": (perf_counter() - begin) / len(libraries)}


def _minimal(workers: int, libraries: Sequence[str]) -> Values:
    with peers.running_minimal(peers.no_op, workers) as queue:
        begin = perf_counter()
        ids = [queue.submit(library) for library in libraries]
        for task_id in ids:
            queue.wait(task_id)
        return {"task": (perf_counter() - begin) / len(libraries)}


def _huey(workers: int, libraries: Sequence[str]) -> Values:
    countdown = peers.Countdown(len(libraries))
    huey, task = peers.huey_task(countdown.count)
    # It polls; here a hundred times as often as it would out of the box.
    with peers.running_consumer(huey, workers, initial_delay=0.001, max_delay=0.001):
        return _time_counted(task, libraries, countdown)


def _scheduler(workers: int, libraries: Sequence[str]) -> Values:
    countdown = peers.Countdown(len(libraries))
    with peers.running_scheduler(workers) as jobs:
        submit = partial(peers.add_job, jobs, function=countdown.count)
        return _time_counted(submit, libraries, countdown)


def _ours_counted(workers: int, libraries: Sequence[str]) -> Values:
    countdown = peers.Countdown(len(libraries))

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        countdown.count(library_id)
        return peers.NOTHING

    with ScanQueueService(scan, workers=workers) as queue:
        return _time_counted(queue.submit_task, libraries, countdown)


def _executor_counted(workers: int, libraries: Sequence[str]) -> Values:
    countdown = peers.Countdown(len(libraries))
    with ThreadPoolExecutor(workers) as pool:
        return _time_counted(peers.submitter(pool, countdown.count), libraries, countdown)


def _time_counted(
    submit: Callable[[str], object], libraries: Sequence[str], countdown: peers.Countdown
) -> Values:
    begin = perf_counter()
    for library in libraries:
        submit(library)
    countdown.over.wait()
    return {"task": (perf_counter() - begin) / len(libraries)}


def _compare(workers: int, _: Scale) -> Iterator[Comparison]:
    row = partial(
        Comparison,
        title=f"no-op tasks, {workers} worker{'s' if workers > 1 else ''}",
        metric="task",
        unit=Unit.RATE,
        versus=Versus.RATE,
    )
    if workers == 1:
        yield row(reference=peers.EXECUTOR, target=1, aim=2)
        yield row(reference=peers.HUEY, target=2)
    else:
        yield row(reference=peers.EXECUTOR)
        yield row(reference=peers.HUEY)
    yield row(reference=peers.APSCHEDULER)
    yield row(reference=peers.MINIMAL)
    yield row(
        title=f"the same, {COUNTED}",
        subject=f"{OURS}, {COUNTED}",
        reference=f"{peers.EXECUTOR}, {COUNTED}",
    )


CASES = tuple(
    Case(
        name=f"throughput{workers}",
        prepare=partial(_throughput, workers),
        compare=partial(_compare, workers),
    )
    for workers in (1, 4)
)
