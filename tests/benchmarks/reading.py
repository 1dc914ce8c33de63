"""How long a reader waits while another thread writes as fast as it can."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import perf_counter
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.harness import OURS, Case, Comparison, Contenders, Scale
from tests.benchmarks.latency import median_and_p99
from tests.benchmarks.minimal import MinimalQueue


@contextmanager
def _reading(scale: Scale) -> Iterator[Contenders]:
    libraries = [f"library-{number}" for number in range(scale.reads)]

    def ours() -> dict[str, float]:
        with peers.idle_service() as queue:
            ids = [queue.submit_task(library) for library in libraries]
            with _writer(queue.submit_task, queue.cancel_task):
                return _time_reads(queue.get_task, ids)

    def minimal() -> dict[str, float]:
        queue = MinimalQueue(peers.no_op)
        ids = [queue.submit(library) for library in libraries]
        with _writer(queue.submit, queue.cancel):
            return _time_reads(queue.get, ids)

    yield {OURS: ours, peers.MINIMAL: minimal}


@contextmanager
def _writer(submit: Callable[[str], Any], cancel: Callable[[Any], object]) -> Iterator[None]:
    """Submit and cancel on another thread, without a pause."""
    stop = Event()

    def write() -> None:
        while not stop.is_set():
            cancel(submit("written"))

    thread = Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _time_reads(get: Callable[[Any], object], ids: Sequence[object]) -> dict[str, float]:
    durations = []
    for task_id in ids:
        begin = perf_counter()
        get(task_id)
        durations.append(perf_counter() - begin)
    return median_and_p99(durations)


def _compare(_: Scale) -> Iterator[Comparison]:
    for metric in ("p50", "p99"):
        title = f"get beside a writer, {metric}"
        yield Comparison(title=title, metric=metric, reference=peers.MINIMAL)


CASES = (Case(name="reading", prepare=_reading, compare=_compare),)
