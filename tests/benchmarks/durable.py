"""What it costs that nothing is lost: tasks in an SQLite file, beside others that do the same.

Each slice begins with a new file in the folder for temporary files, which should be on a real disk
(`TMPDIR` says where it is): in memory, a flush costs nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread
from time import perf_counter

from scanqueue import ScanQueueService, SQLiteStore
from tests.benchmarks import durable_peers as others
from tests.benchmarks import peers
from tests.benchmarks.durable_peers import Durability
from tests.benchmarks.harness import (
    OURS,
    Case,
    Comparison,
    Contenders,
    Scale,
    Unit,
    Values,
    Versus,
    time_each,
)

THREADS = 8
AT_ONCE = f"{OURS}, {THREADS} threads"
SUBMIT = f"{OURS}, submit"
LISTED = 50

Slice = Callable[[Path], Values]
"""Measures one slice, with an empty folder."""


def _libraries(scale: Scale) -> list[str]:
    return [f"library-{number}" for number in range(scale.commits)]


def _in_folders(contenders: dict[str, Slice]) -> Contenders:
    """Give each slice an empty folder."""

    def measure(one: Slice) -> Values:
        with TemporaryDirectory(prefix="scanqueue-bench-") as folder:
            return one(Path(folder))

    return {name: partial(measure, one) for name, one in contenders.items()}


# --- submit -------------------------------------------------------------------------------------


@contextmanager
def _submit(durability: Durability, scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)
    rows = others.bare_rows(libraries)

    def bare(folder: Path) -> Values:
        with others.bare_insert(folder / "file", durability) as insert:
            return {"call": time_each(insert, rows)}

    def huey(folder: Path) -> Values:
        with others.huey(folder / "file", durability) as (_, submit):
            return {"call": time_each(submit, libraries)}

    def huey_unsafe(folder: Path) -> Values:
        with others.huey_unsafe(folder / "file") as submit:
            return {"call": time_each(submit, libraries)}

    def persist(folder: Path) -> Values:
        with others.persist_queue(folder, durability) as queue:
            return {"call": time_each(queue.put, libraries)}

    def scheduler(folder: Path) -> Values:
        with others.scheduler(folder / "file", durability, paused=True) as jobs:
            return {"call": time_each(partial(peers.add_job, jobs), libraries)}

    contenders: dict[str, Slice] = {
        OURS: partial(_time_submit, durability, libraries),
        others.BARE: bare,
        others.HUEY: huey,
        others.PERSIST: persist,
        others.APSCHEDULER: scheduler,
    }
    if durability == "normal":
        contenders[others.HUEY_UNSAFE] = huey_unsafe
    yield _in_folders(contenders)


def _time_submit(durability: Durability, libraries: Sequence[str], folder: Path) -> Values:
    with others.idle_service(folder / "file", durability) as queue:
        return {"call": time_each(queue.submit_task, libraries)}


def _compare_submit(durability: Durability, _: Scale) -> Iterator[Comparison]:
    row = partial(Comparison, title=f"submit, {durability}", metric="call", versus=Versus.RATE)
    ahead = 1 if durability == "full" else None
    yield row(reference=others.BARE, target=0.7 if durability == "full" else 0.4)
    for reference in (others.HUEY, others.PERSIST, others.APSCHEDULER):
        yield row(reference=reference, target=ahead)
    if durability == "normal":
        yield row(reference=others.HUEY_UNSAFE)


# --- submit from several threads ----------------------------------------------------------------


@contextmanager
def _threads(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)
    yield _in_folders(
        {
            OURS: partial(_time_submit, "full", libraries),
            AT_ONCE: partial(_time_at_once, libraries),
        }
    )


def _time_at_once(libraries: Sequence[str], folder: Path) -> Values:
    """Have each thread submit as many as the one alone, to libraries of its own."""
    begun, ended = Barrier(THREADS + 1), Barrier(THREADS + 1)

    def submit(queue: ScanQueueService, share: Sequence[str]) -> None:
        begun.wait()
        for library in share:
            queue.submit_task(library)
        ended.wait()

    with others.idle_service(folder / "file", "full") as queue:
        shares = [[f"{library}-{number}" for library in libraries] for number in range(THREADS)]
        threads = [Thread(target=submit, args=(queue, share)) for share in shares]
        for thread in threads:
            thread.start()
        begun.wait()
        begin = perf_counter()
        ended.wait()
        seconds = perf_counter() - begin
        for thread in threads:
            thread.join()
        return {"call": seconds / (THREADS * len(libraries))}


def _compare_threads(_: Scale) -> Iterator[Comparison]:
    yield Comparison(
        title=f"submit, full, {THREADS} threads at once",
        metric="call",
        subject=AT_ONCE,
        reference=OURS,
        versus=Versus.RATE,
        unit=Unit.RATE,
        target=2,
    )


# --- join ---------------------------------------------------------------------------------------


@contextmanager
def _join(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)

    def ours(folder: Path) -> Values:
        with others.idle_service(folder / "file", "full", libraries) as queue:
            return {"call": time_each(queue.submit_task, libraries)}

    yield _in_folders({OURS: ours, SUBMIT: partial(_time_submit, "full", libraries)})


def _compare_join(_: Scale) -> Iterator[Comparison]:
    yield Comparison(title="join, full", metric="call", reference=SUBMIT)


# --- from submission to end ---------------------------------------------------------------------


@contextmanager
def _cycle(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)

    def ours(folder: Path) -> Values:
        with others.idle_service(folder / "file", "full") as queue:
            begin = perf_counter()
            for library in libraries:
                queue.submit_task(library)
            queue.run_pending()
            return _for_each(begin)

    def huey(folder: Path) -> Values:
        with others.huey(folder / "file", "full") as (opened, submit):
            begin = perf_counter()
            for library in libraries:
                submit(library)
            others.run_huey(opened)
            return _for_each(begin)

    def persist(folder: Path) -> Values:
        with others.persist_queue(folder, "full") as queue:
            begin = perf_counter()
            for library in libraries:
                queue.put(library)
            others.run_persist_queue(queue)
            return _for_each(begin)

    def scheduler(folder: Path) -> Values:
        with others.scheduler(folder / "file", "full", paused=False) as jobs:
            begin = perf_counter()
            others.run_scheduler(jobs, libraries)
            return _for_each(begin)

    def _for_each(begin: float) -> Values:
        return {"task": (perf_counter() - begin) / len(libraries)}

    yield _in_folders(
        {
            OURS: ours,
            others.HUEY: huey,
            others.PERSIST: persist,
            others.APSCHEDULER: scheduler,
        }
    )


def _compare_cycle(_: Scale) -> Iterator[Comparison]:
    for reference in (others.HUEY, others.PERSIST, others.APSCHEDULER):
        yield Comparison(
            title="submit, claim, finish, full",
            metric="task",
            reference=reference,
            versus=Versus.RATE,
            unit=Unit.RATE,
        )


# --- opening ------------------------------------------------------------------------------------


@contextmanager
def _opening(scale: Scale) -> Iterator[Contenders]:
    with TemporaryDirectory(prefix="scanqueue-bench-") as folder:
        path = Path(folder, "file")
        others.fill(path, scale.stored)
        yield {OURS: partial(_time_opening, path, scale.stored)}


def _time_opening(path: Path, count: int) -> Values:
    begin = perf_counter()
    with ScanQueueService(None, store=SQLiteStore(path)) as queue:
        assert queue.pending_count() == count
        queue.list_pending(LISTED)
        return {"opening": perf_counter() - begin}


def _compare_opening(scale: Scale) -> Iterator[Comparison]:
    yield Comparison(
        title=f"open a file of {scale.stored:,} pending tasks", metric="opening", target=2
    )


CASES = (
    *(
        Case(
            name=f"durable-{durability}",
            prepare=partial(_submit, durability),
            compare=partial(_compare_submit, durability),
        )
        for durability in ("full", "normal")
    ),
    Case(name="durable-threads", prepare=_threads, compare=_compare_threads),
    Case(name="durable-join", prepare=_join, compare=_compare_join),
    Case(name="durable-cycle", prepare=_cycle, compare=_compare_cycle),
    Case(name="durable-opening", prepare=_opening, compare=_compare_opening),
)
