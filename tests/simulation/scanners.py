"""Scanners that call the queue, report and sleep, and what others see of it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from scanqueue import (
    LibraryId,
    MemoryStore,
    ScanContext,
    ScanTask,
    TaskResult,
)
from tests.simulation.files import FILMS, FOLLOW_UP, MUSIC
from tests.simulation.scene import FIRST, Scene, begin, calls


def scanner_submits(scene: Scene) -> None:
    """A scanner asks for its own library again, and for another."""
    again = [MUSIC, FILMS]

    def act(context: ScanContext) -> TaskResult | None:
        for library_id in again:
            scene.call("submit", library_id, when_running=FOLLOW_UP)
        again.clear()
        return None

    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC)
    scene.client(calls(scene, "submit", MUSIC, when_running=FOLLOW_UP))
    scene.end()


def scanner_cancels_itself(scene: Scene) -> None:
    """A scanner that cancels its own task is told so, and stops.

    Who was just before it may not have told the context yet: that is done after the commit.
    """

    def act(context: ScanContext) -> TaskResult | None:
        cancelled = scene.call("cancel_task", context.task.id)
        assert context.cancelled or not isinstance(cancelled, ScanTask), "it was not told"
        context.raise_if_cancelled()
        return None

    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC)
    scene.client(calls(scene, "cancel_library", MUSIC))
    scene.end()


def scanner_waits_for_another(scene: Scene) -> None:
    """A scanner submits another library and waits for it, with a worker to spare."""

    def act(context: ScanContext) -> TaskResult | None:
        task_id = scene.queue.submit_task(FILMS)
        assert scene.queue.wait(task_id).is_ended
        return None

    scene.log.acts[MUSIC] = act
    scene.judges = scene.counts = False
    begin(scene, MUSIC, workers=2)
    scene.client(calls(scene, "wait", FIRST, quiet=True))
    scene.end()


def scanner_shuts_down(scene: Scene) -> None:
    """A scanner shuts the queue down: it waits for the other scan only, and answers False."""

    def act(context: ScanContext) -> TaskResult | None:
        assert scene.queue.shutdown(None) is False
        return None

    scene.log.acts[MUSIC] = act
    scene.judges = False
    begin(scene, MUSIC, FILMS, workers=2)
    scene.client(calls(scene, "wait", FIRST))
    scene.end()


def one_at_a_time(scene: Scene) -> None:
    """With `max_running` 1, two workers never scan at the same time, and both libraries are."""
    at_work: list[LibraryId] = []

    def act(context: ScanContext) -> TaskResult | None:
        assert not at_work, "two scans at a time"
        at_work.append(context.library_id)
        scene.scheduler.point("scan")
        at_work.clear()
        return None

    scene.log.acts.update({MUSIC: act, FILMS: act})
    scene.judges = False
    begin(scene, workers=2, max_running=1)
    scene.client(calls(scene, "submit", MUSIC))
    scene.client(calls(scene, "submit", FILMS), calls(scene, "cancel_library", MUSIC))
    scene.end()


def _check_delay(scene: Scene, told_at: float) -> None:
    """Fail if a report was seen too late, by a machine that was not slow."""
    delay = scene.scheduler.time - told_at
    is_late = delay > MemoryStore.progress_interval + 0.001 and not scene.scheduler.has_hurried
    assert not is_late, f"a report was seen after {delay} s only"


def reports_beside_readers(scene: Scene) -> None:
    """What a scan reported before it went silent is seen within the interval, and at its end."""
    told, seen = scene.gate(), scene.gate()
    told_at: list[float] = []

    def act(context: ScanContext) -> TaskResult | None:
        for _ in context.track(["a", "b", "c"]):
            scene.scheduler.point("scan")
        told_at.append(scene.scheduler.time)
        told.set()
        seen.wait()
        context.advance(4)
        return None

    def look() -> None:
        told.wait()
        last, found = scene.mark, 0
        while found < 3:
            changed = scene.queue.list_changes(last, timeout=0.2)
            for task in changed:
                last, found = task.revision, task.progress.scanned_paths
        _check_delay(scene, told_at[0])
        seen.set()

    scene.judges = False
    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC)
    scene.client(look)
    scene.client(calls(scene, "list_tasks"), calls(scene, "stats"))
    scene.end()
    with scene.scheduler.calm():
        task = scene.queue.get_task(FIRST)
    assert task is not None
    assert task.progress.scanned_paths == 7, "the last report was lost"


def advance_beside_the_keeper(scene: Scene) -> None:
    """A scan counts on while the keeper publishes what it has counted: nothing is lost."""

    def act(context: ScanContext) -> TaskResult | None:
        context.advance()
        context.advance()
        scene.scheduler.sleep(MemoryStore.progress_interval)
        context.advance()
        return None

    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC)
    scene.client(calls(scene, "wait", FIRST, quiet=True))
    scene.end()
    with scene.scheduler.calm():
        task = scene.queue.get_task(FIRST)
    assert task is not None
    assert task.progress.scanned_paths == 3, f"{task.progress} of 3 were counted"


def report_when_the_keeper_leaves(scene: Scene) -> None:
    """A scan that reports while the keeper of the last one leaves is still heard."""
    told, seen = scene.gate(), scene.gate()
    told_at: list[float] = []

    def short(context: ScanContext) -> TaskResult | None:
        context.advance()
        context.advance()
        return None

    def act(context: ScanContext) -> TaskResult | None:
        context.advance()
        scene.scheduler.point("scan")
        context.advance()
        told_at.append(scene.scheduler.time)
        told.set()
        seen.wait()
        return None

    def look() -> None:
        told.wait()
        last, found = scene.mark, 0
        while found < 2:
            changed = scene.queue.list_changes(last, timeout=1.5)
            for task in changed:
                last = task.revision
                if task.library_id == FILMS:
                    found = task.progress.scanned_paths
        _check_delay(scene, told_at[0])
        seen.set()

    scene.judges = False
    scene.log.acts.update({MUSIC: short, FILMS: act})
    begin(scene, MUSIC)
    with scene.scheduler.calm():
        scene.call("wait", FIRST, quiet=True)
        scene.scheduler.sleep(0.999)  # the keeper lingers for a second
    scene.client(partial(scene.scheduler.sleep, 0.001), calls(scene, "submit", FILMS))
    scene.client(look)
    scene.end()


def cancel_ends_a_sleep(scene: Scene) -> None:
    """A scanner that sleeps for an hour is woken by a cancel, wherever that comes."""

    def act(context: ScanContext) -> TaskResult | None:
        context.sleep(3600.0)
        raise AssertionError("it slept on")

    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC)
    scene.client(calls(scene, "cancel_task", FIRST), calls(scene, "wait", FIRST, quiet=True))
    scene.end()
    assert scene.scheduler.time < 3600.0, "it slept on"


def scanner_is_left_behind(scene: Scene) -> None:
    """A scanner that does not listen is left behind by a shutdown, and ends later."""
    go_on = scene.gate()

    def act(context: ScanContext) -> TaskResult | None:
        go_on.wait()
        return None

    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC, FILMS)
    scene.client(calls(scene, "shutdown", 1.0), go_on.set)
    scene.client(calls(scene, "shutdown", 0.5, interrupt_running=True))
    scene.client(calls(scene, "wait", FIRST), calls(scene, "list_tasks"))
    scene.end()


def scanner_exits(scene: Scene) -> None:
    """A scanner that raises `SystemExit` fails; a worker lives on, and `run_pending` raises it."""

    def act(context: ScanContext) -> TaskResult | None:
        raise SystemExit

    def run() -> None:
        with suppress(SystemExit):
            scene.queue.run_pending()

    scene.may_log_errors = True
    scene.log.acts[MUSIC] = act
    begin(scene, MUSIC)
    scene.client(run)
    scene.client(calls(scene, "submit", FILMS), calls(scene, "cancel_task", FIRST))
    scene.client(calls(scene, "submit", MUSIC), calls(scene, "wait", FIRST, quiet=True))
    scene.end()


TOLD = (
    *(scanner_submits, scanner_cancels_itself, scanner_waits_for_another, scanner_shuts_down),
    *(one_at_a_time, reports_beside_readers, advance_beside_the_keeper),
    *(report_when_the_keeper_leaves, cancel_ends_a_sleep),
    *(scanner_is_left_behind, scanner_exits),
)
"""All of them."""
