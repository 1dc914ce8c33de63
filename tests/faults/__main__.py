"""Try all points at which a run can be cut off, and say what came of it."""

from __future__ import annotations

import sys
import traceback
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from tests.faults.injection import FAULTS, LENGTHENING, Point, count_calls, points, run_with
from tests.faults.power import cut, record
from tests.faults.tracing import why_not

P = TypeVar("P")


def try_all(
    places: Iterable[P], run: Callable[[P, Path], str], jobs: int
) -> tuple[Counter[str], int]:
    """Try places, several at a time; return how often each outcome came, and the failures."""
    outcomes: Counter[str] = Counter()

    def attempt(place: P) -> str:
        with TemporaryDirectory(prefix="faults-") as folder:
            try:
                return run(place, Path(folder))
            except Exception:
                print(f"\n{place}\n{traceback.format_exc(limit=-3)}", file=sys.stderr)
                return "FAILED"

    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(attempt, places):
            outcomes[outcome] += 1
    return outcomes, outcomes["FAILED"]


def inject(every: int, jobs: int) -> int:
    """Inject all faults, and return how many runs failed."""
    with TemporaryDirectory(prefix="faults-") as folder:
        counts = count_calls(Path(folder))
    print(f"system calls: {counts}", flush=True)
    failed = 0
    for fault in FAULTS:
        places = islice((point for point in points(counts) if point.fault == fault), 0, None, every)

        def run(point: Point, folder: Path) -> str:
            return f"{point.call} {run_with(point, folder)}"

        outcomes, failures = try_all(places, run, jobs)
        failed += failures
        print(f"{fault}, {outcomes.total()} points: {dict(sorted(outcomes.items()))}", flush=True)
    return failed


def inject_where_the_log_is_lengthened(every: int, jobs: int) -> int:
    """Inject all faults there, and return how many runs failed."""
    places = [
        Point(fault, "pwrite64", number) for fault in FAULTS for number in LENGTHENING[::every]
    ]
    outcomes, failed = try_all(places, partial(run_with, lengthens=True), jobs)
    print(f"a longer log, {outcomes.total()} points: {dict(sorted(outcomes.items()))}", flush=True)
    return failed


def cut_power(images: int, jobs: int) -> int:
    """Rebuild disks after power cuts, and return how many were not as they must be."""
    failed = 0
    for durability in ("full", "normal"):
        with TemporaryDirectory(prefix="faults-") as folder:
            recording = record(Path(folder), durability)
        outcomes, failures = try_all(range(images // 2), partial(cut, recording), jobs)
        failed += failures
        print(f"power, {durability}, {outcomes.total()} images: {dict(outcomes)}", flush=True)
    return failed


def main() -> int:
    """Do what the command line says."""
    parser = ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all points and 5,000 images")
    parser.add_argument("--every", type=int, metavar="N", help="every N-th point only")
    parser.add_argument("--images", type=int, metavar="N", help="so many disks after power cuts")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at a time")
    options = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"no faults were injected: {reason}", file=sys.stderr)
        return 1
    every = options.every or (1 if options.all else 20)
    images = options.images or (5_000 if options.all else 200)
    failed = cut_power(images, options.jobs) + inject(every, options.jobs)
    failed += inject_where_the_log_is_lengthened(every, options.jobs)
    print(f"{failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
