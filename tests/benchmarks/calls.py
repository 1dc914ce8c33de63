"""What one call costs: submit, join, get, upgrade, cancel. No task runs meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count

from scanqueue import TaskPriority
from tests.benchmarks import peers
from tests.benchmarks.harness import OURS, Case, Comparison, Contenders, Scale, Versus, time_each
from tests.benchmarks.minimal import MinimalQueue

COUNTED = "minimal queue, ids counted"
FUTURE_DONE = f"{peers.EXECUTOR}, future.done()"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def _libraries(scale: Scale) -> list[str]:
    return [f"library-{number}" for number in range(scale.calls)]


@contextmanager
def _submit(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)

    def ours() -> dict[str, float]:
        with peers.idle_service() as queue:
            queue.pending_count()  # the first call opens the store
            return {"call": time_each(queue.submit_task, libraries)}

    def executor() -> dict[str, float]:
        with peers.busy_executor() as pool:
            return {"call": time_each(peers.submitter(pool), libraries)}

    def huey() -> dict[str, float]:
        _, task = peers.huey_task(peers.no_op)
        return {"call": time_each(task, libraries)}

    def scheduler() -> dict[str, float]:
        with peers.paused_scheduler() as jobs:
            return {"call": time_each(partial(peers.add_job, jobs), libraries)}

    def minimal() -> dict[str, float]:
        return {"call": time_each(MinimalQueue(peers.no_op).submit, libraries)}

    def counted() -> dict[str, float]:
        queue = MinimalQueue(peers.no_op, new_id=count().__next__)
        return {"call": time_each(queue.submit, libraries)}

    yield {
        OURS: ours,
        peers.EXECUTOR: executor,
        peers.HUEY: huey,
        peers.APSCHEDULER: scheduler,
        peers.MINIMAL: minimal,
        COUNTED: counted,
    }


def _compare_submit(_: Scale) -> Iterator[Comparison]:
    row = partial(Comparison, title="submit", metric="call", versus=Versus.RATE)
    yield row(reference=peers.EXECUTOR, target=1.5, aim=3)
    yield row(reference=peers.HUEY)
    yield row(reference=peers.APSCHEDULER)
    row = partial(row, versus=Versus.COST)
    yield row(reference=peers.MINIMAL, target=5, aim=3)
    yield row(reference=COUNTED)


@contextmanager
def _join(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)
    with ExitStack() as stack:
        queue = stack.enter_context(peers.idle_service())
        jobs = stack.enter_context(peers.paused_scheduler())
        minimal = MinimalQueue(peers.no_op)
        for library in libraries:
            queue.submit_task(library)
            peers.add_job(jobs, library)
            minimal.submit(library)
        replace = partial(peers.add_job, jobs, replace_existing=True)
        yield {
            OURS: lambda: {"call": time_each(queue.submit_task, libraries)},
            peers.APSCHEDULER: lambda: {"call": time_each(replace, libraries)},
            peers.MINIMAL: lambda: {"call": time_each(minimal.submit, libraries)},
        }


@contextmanager
def _get(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)
    with ExitStack() as stack:
        queue = stack.enter_context(peers.idle_service())
        pool = stack.enter_context(peers.busy_executor())
        jobs = stack.enter_context(peers.paused_scheduler())
        minimal = MinimalQueue(peers.no_op)
        ids = [queue.submit_task(library) for library in libraries]
        futures = [pool.submit(peers.no_op, library) for library in libraries]
        minimal_ids = [minimal.submit(library) for library in libraries]
        for library in libraries:
            peers.add_job(jobs, library)
        future_done = type(futures[0]).done
        yield {
            OURS: lambda: {"call": time_each(queue.get_task, ids)},
            FUTURE_DONE: lambda: {"call": time_each(future_done, futures)},
            peers.APSCHEDULER: lambda: {"call": time_each(jobs.get_job, libraries)},
            peers.MINIMAL: lambda: {"call": time_each(minimal.get, minimal_ids)},
        }


@contextmanager
def _upgrade(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)

    def ours() -> dict[str, float]:
        with peers.idle_service() as queue:
            for library in libraries:
                queue.submit_task(library)
            upgrade = partial(queue.submit_task, priority=TaskPriority.HIGH)
            return {"call": time_each(upgrade, libraries)}

    def scheduler() -> dict[str, float]:
        with peers.paused_scheduler() as jobs:
            for library in libraries:
                peers.add_job(jobs, library)
            upgrade = partial(jobs.modify_job, next_run_time=LONG_AGO)
            return {"call": time_each(upgrade, libraries)}

    def minimal() -> dict[str, float]:
        queue = MinimalQueue(peers.no_op)
        for library in libraries:
            queue.submit(library)
        return {"call": time_each(partial(queue.submit, priority=1), libraries)}

    yield {OURS: ours, peers.APSCHEDULER: scheduler, peers.MINIMAL: minimal}


@contextmanager
def _cancel(scale: Scale) -> Iterator[Contenders]:
    libraries = _libraries(scale)

    def ours() -> dict[str, float]:
        with peers.idle_service() as queue:
            ids = [queue.submit_task(library) for library in libraries]
            return {"call": time_each(queue.cancel_task, ids)}

    def executor() -> dict[str, float]:
        with peers.busy_executor() as pool:
            futures = [pool.submit(peers.no_op, library) for library in libraries]
            return {"call": time_each(type(futures[0]).cancel, futures)}

    def huey() -> dict[str, float]:
        huey, task = peers.huey_task(peers.no_op)
        ids = [task(library).id for library in libraries]
        return {"call": time_each(huey.revoke_by_id, ids)}

    def scheduler() -> dict[str, float]:
        with peers.paused_scheduler() as jobs:
            for library in libraries:
                peers.add_job(jobs, library)
            return {"call": time_each(jobs.remove_job, libraries)}

    def minimal() -> dict[str, float]:
        queue = MinimalQueue(peers.no_op)
        ids = [queue.submit(library) for library in libraries]
        return {"call": time_each(queue.cancel, ids)}

    yield {
        OURS: ours,
        peers.EXECUTOR: executor,
        peers.HUEY: huey,
        peers.APSCHEDULER: scheduler,
        peers.MINIMAL: minimal,
    }


def _against(title: str, *references: str) -> list[Comparison]:
    return [Comparison(title=title, metric="call", reference=name) for name in references]


CASES = (
    Case(name="submit", prepare=_submit, compare=_compare_submit),
    Case(
        name="join",
        prepare=_join,
        compare=lambda _: _against("join", peers.APSCHEDULER, peers.MINIMAL),
    ),
    Case(
        name="get",
        prepare=_get,
        compare=lambda _: _against("get", FUTURE_DONE, peers.APSCHEDULER, peers.MINIMAL),
    ),
    Case(
        name="upgrade",
        prepare=_upgrade,
        compare=lambda _: _against("upgrade", peers.APSCHEDULER, peers.MINIMAL),
    ),
    Case(
        name="cancel",
        prepare=_cancel,
        compare=lambda _: _against(
            "cancel", peers.EXECUTOR, peers.HUEY, peers.APSCHEDULER, peers.MINIMAL
        ),
    ),
)
