"""What a pending task takes, measured in processes of their own.

As a script, ``python -m tests.benchmarks.memory NAME COUNT METHOD``, it prints the bytes.
"""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from resource import getpagesize

from tests.benchmarks import peers
from tests.benchmarks.harness import OURS, Case, Comparison, Contenders, Scale, Unit
from tests.benchmarks.minimal import MinimalQueue

METHODS = ("tracemalloc", "RSS")
MANY = 100_000
"""Beyond so many tasks only we and the minimal queue are measured: the others take minutes."""


def _open_ours(stack: ExitStack) -> Callable[[str], object]:
    return stack.enter_context(peers.idle_service()).submit_task


def _open_executor(stack: ExitStack) -> Callable[[str], object]:
    return peers.submitter(stack.enter_context(peers.busy_executor()))


def _open_huey(_: ExitStack) -> Callable[[str], object]:
    return peers.huey_task(peers.no_op)[1]


def _open_scheduler(stack: ExitStack) -> Callable[[str], object]:
    return partial(peers.add_job, stack.enter_context(peers.paused_scheduler()))


def _open_minimal(_: ExitStack) -> Callable[[str], object]:
    return MinimalQueue(peers.no_op).submit


OPENERS: dict[str, Callable[[ExitStack], Callable[[str], object]]] = {
    OURS: _open_ours,
    peers.EXECUTOR: _open_executor,
    peers.HUEY: _open_huey,
    peers.APSCHEDULER: _open_scheduler,
    peers.MINIMAL: _open_minimal,
}


def _measured(size: int, method: str) -> list[str]:
    """Return who is measured: few with tracemalloc, which takes several times as long."""
    if method == "RSS" and size <= MANY:
        return list(OPENERS)
    return [OURS] if size > MANY and method == "tracemalloc" else [OURS, peers.MINIMAL]


@contextmanager
def _memory(scale: Scale) -> Iterator[Contenders]:
    contenders = {}
    for size, method in product(scale.memory_sizes, METHODS):
        for name in _measured(size, method):
            contenders[_label(name, size, method)] = partial(_in_process, name, size, method)
    yield contenders


def _label(name: str, size: int, method: str) -> str:
    return f"{name}, {size:,} pending, {method}"


def _in_process(name: str, size: int, method: str) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, name, str(size), method]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"bytes": float(printed)}


def _compare(scale: Scale) -> Iterator[Comparison]:
    for size, method in product(scale.memory_sizes, METHODS):
        row = partial(
            Comparison,
            title=f"a pending task, {size:,} of them, {method}",
            metric="bytes",
            unit=Unit.BYTES,
            subject=_label(OURS, size, method),
        )
        yield row(target=600, aim=400)
        for name in _measured(size, method)[1:]:
            yield row(reference=_label(name, size, method))


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * getpagesize()


def _measure(name: str, size: int, method: str) -> float:
    libraries = [f"library-{number}" for number in range(size)]
    with ExitStack() as stack:
        submit = OPENERS[name](stack)
        submit("warm-up")
        gc.collect()
        gc.disable()  # what is pending is no garbage, and looking for it takes minutes
        if method == "tracemalloc":
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
        else:
            before = _rss()
        for library in libraries:
            submit(library)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0] if method == "tracemalloc" else _rss()
        tracemalloc.stop()
        return (after - before) / size


CASES = (Case(name="memory", prepare=_memory, compare=_compare, rounds=lambda _: 1, warm_up=False),)


if __name__ == "__main__":
    print(_measure(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
