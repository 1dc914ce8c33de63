"""What it costs a scanner to report each item, next to tqdm on a null stream."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm

from scanqueue import ScanContext, ScanQueueService, TaskResult
from tests.benchmarks import peers
from tests.benchmarks.harness import (
    OURS,
    Case,
    Comparison,
    Contenders,
    Scale,
    time_iteration,
    time_repeated,
)

TQDM = "tqdm"


def _in_scan(measure: Callable[[ScanContext], float]) -> float:
    """Measure inside of a scan, as its scanner would see it."""
    measured = []

    def scan(library_id: object, context: ScanContext) -> TaskResult:
        measured.append(measure(context))
        return peers.NOTHING

    with ScanQueueService(scan, workers=0) as queue:
        queue.submit_task("library")
        queue.run_pending()
    return measured[0]


@contextmanager
def _progress(scale: Scale) -> Iterator[Contenders]:
    items = scale.items

    def ours() -> dict[str, float]:
        return {
            "advance": _in_scan(lambda context: time_repeated(context.advance, items)),
            "track": _in_scan(lambda context: time_iteration(context.track(range(items)), items)),
        }

    def theirs() -> dict[str, float]:
        with Path(os.devnull).open("w") as null:
            with tqdm(total=items, file=null) as bar:
                update = time_repeated(bar.update, items)
            return {
                "advance": update,
                "track": time_iteration(tqdm(range(items), file=null), items),
            }

    yield {OURS: ours, TQDM: theirs}


def _compare(_: Scale) -> Iterator[Comparison]:
    row = partial(Comparison, reference=TQDM)
    yield row(title="advance, tqdm.update", metric="advance", target=1)
    yield row(title="track, tqdm(iterable)", metric="track")


CASES = (Case(name="progress", prepare=_progress, compare=_compare),)
