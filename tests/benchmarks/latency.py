"""How soon a task starts when the queue is idle."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue
from statistics import quantiles
from time import perf_counter, sleep

from scanqueue import ScanContext, ScanQueueService, TaskResult
from tests.benchmarks import peers
from tests.benchmarks.harness import OURS, Case, Comparison, Contenders, Scale

PAUSE = 0.0005
"""Seconds between two submissions, so that the worker has gone to sleep."""


def median_and_p99(durations: list[float]) -> dict[str, float]:
    """Return the two percentiles."""
    cuts = quantiles(durations, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98]}


@contextmanager
def _latency(scale: Scale) -> Iterator[Contenders]:
    started: SimpleQueue[float] = SimpleQueue()

    def job(library_id: object) -> None:
        started.put(perf_counter())

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        started.put(perf_counter())
        return peers.NOTHING

    def time_starts(submit: Callable[[str], object], count: int) -> dict[str, float]:
        durations = []
        for number in range(count):
            library = f"library-{number}"
            sleep(PAUSE)
            begin = perf_counter()
            submit(library)
            durations.append(started.get() - begin)
        return median_and_p99(durations)

    huey, task = peers.huey_task(job)
    few = max(2, scale.starts // 25)
    with ExitStack() as stack:
        queue = stack.enter_context(ScanQueueService(scan))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        jobs = stack.enter_context(peers.running_scheduler(1))
        minimal = stack.enter_context(peers.running_minimal(job, 1))
        # As often as it polls at most, out of the box.
        stack.enter_context(peers.running_consumer(huey, 1, initial_delay=0.1, max_delay=0.1))
        yield {
            OURS: lambda: time_starts(queue.submit_task, scale.starts),
            peers.EXECUTOR: lambda: time_starts(peers.submitter(pool, job), scale.starts),
            peers.HUEY: lambda: time_starts(task, few),
            peers.APSCHEDULER: lambda: time_starts(
                partial(peers.add_job, jobs, function=job), scale.starts
            ),
            peers.MINIMAL: lambda: time_starts(minimal.submit, scale.starts),
        }


def _compare(_: Scale) -> Iterator[Comparison]:
    for metric in ("p50", "p99"):
        row = partial(Comparison, title=f"submit to start, {metric}", metric=metric)
        p50 = metric == "p50"
        yield row(reference=peers.EXECUTOR, target=1.5 if p50 else None, aim=1.25 if p50 else None)
        yield row(reference=peers.MINIMAL)
        if p50:
            yield row(reference=peers.HUEY)
            yield row(reference=peers.APSCHEDULER)


CASES = (Case(name="latency", prepare=_latency, compare=_compare),)
