"""One run of a scenario: a service, clients that call it, and what must be so at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

import attrs

from scanqueue import (
    LibraryId,
    ScanQueueService,
    ScanTask,
    SubmitOutcome,
    TaskStatus,
)
from scanqueue.protocols import TaskStore
from tests.simulation.audit import AuditedStore
from tests.simulation.history import Call, History
from tests.simulation.linearizability import Judge
from tests.simulation.primitives import SimEvent
from tests.simulation.scans import ScanLog
from tests.simulation.scheduler import SimThread
from tests.simulation.world import World

FIRST = UUID(int=1)
"""The id of the first task of every run."""


class Scene:
    """What a scenario uses.

    Args:
        world: Where the run is on.
        judge: Knows the histories of earlier runs.
    """

    def __init__(self, world: World, judge: Judge) -> None:
        self.world = world
        self.scheduler = world.scheduler
        self.history = History(world)
        self.log = ScanLog(world, self.history.moment)
        self._judge = judge
        self._clients: list[SimThread] = []
        self._queue: ScanQueueService | None = None
        self.mark = 0
        """The revision from which a client follows."""
        self.judges = True
        """Whether the history is compared with the model, which must know of all that is done."""
        self.counts = True
        """Whether every submission was written down, so that they can be counted."""
        self.is_durable = False
        """Whether what waits is left for the next start."""
        self.may_log_errors = False
        """Whether the library may log errors."""

    @property
    def queue(self) -> ScanQueueService:
        """The service."""
        assert self._queue is not None
        return self._queue

    # --- for scenarios ---

    def make(
        self, *, workers: int = 1, max_running: int | None = None, store: TaskStore | None = None
    ) -> ScanQueueService:
        """Make the service."""
        store = AuditedStore(self.world) if store is None else store
        self._queue = ScanQueueService(
            self.log, store=store, workers=workers, max_running=max_running
        )
        return self._queue

    def call(self, name: str, *arguments: object, **options: object) -> object:
        """Call the service, and write it down."""
        return self.history.call(self.queue, name, *arguments, **options)

    def follow_from_here(self) -> int:
        """Return the revision from which `list_changes` is compared with the model."""
        begun_at = self.history.moment()
        revision = self.queue.revision
        thread = self.scheduler.running().number
        self.history.calls.append(
            Call("begin_to_follow", (), (), None, thread, begun_at, self.history.moment())
        )
        return revision

    def client(self, *acts: Callable[[], object], name: str = "client") -> SimThread:
        """Have a thread of its own do something."""

        def run() -> None:
            for act in acts:
                act()

        thread = self.scheduler.spawn(run, name)
        self._clients.append(thread)
        return thread

    def reader(self, act: Callable[[], object]) -> SimThread:
        """Have a thread of its own follow; it is let go at the shutdown, not before."""
        return self.scheduler.spawn(act, "reader")

    def join(self) -> None:
        """Wait for all clients."""
        while self._clients:
            self.scheduler.join(self._clients.pop(0))

    def gate(self) -> SimEvent:
        """Return an event that threads of the scenario may wait for."""
        return SimEvent(self.scheduler)

    def settle(self) -> None:
        """Let all others go on until they wait."""
        self.scheduler.sleep(0.0)

    def drain(self) -> None:
        """Wait until everything that was submitted has run, as long as the queue is open."""
        with self.scheduler.calm():
            if self.queue.is_shut_down:
                return
            if not self.queue.is_started:
                self.call("start")
            if self.queue.is_paused:
                self.call("resume")
            for task in self.queue.list_tasks():
                self.call("wait", task.id, quiet=True)

    def end(self) -> None:
        """Let clients end, drain, shut down, and look whether everything is as it should be."""
        self.join()
        self.drain()
        with self.scheduler.calm():
            assert self.call("shutdown", None) is True, "a scan was left behind"
        self.check()

    # --- what must be so at the end ---

    def check(self) -> None:
        """Fail unless what happened is what the contract says."""
        errors = self.world.errors
        assert self.may_log_errors or not errors, f"errors were logged: {errors}"
        with self.scheduler.calm():
            tasks = {task.id: task for task in self.queue.list_tasks()}
            stats = self.queue.stats()
        left = [task for task in tasks.values() if not task.is_ended]
        assert self.is_durable or not left, f"something is still active: {left}"
        assert not any(task.holds_slot for task in tasks.values()), "a slot is still held"
        outcomes = Counter(s.outcome for s in self.history.submissions)
        assert not self.counts or {o: n for o, n in stats.submitted.items() if n} == dict(
            outcomes
        ), stats
        found = Counter(task.status for task in tasks.values() if task.is_ended)
        assert {s: n for s, n in stats.ended.items() if n} == dict(found), (stats, tasks)
        reasons = Counter(task.reason for task in tasks.values() if task.reason is not None)
        assert {r: n for r, n in stats.reasons.items() if n} == dict(reasons), (stats, tasks)
        assert stats.workers == stats.busy_workers == 0, stats
        self._check_shutdowns()
        self.check_order(tasks)

    def check_order(self, tasks: dict[UUID, ScanTask]) -> None:
        """Fail unless each request was scanned, and some order of the calls explains all answers.

        Args:
            tasks: All tasks of the queue, as they are at the end.
        """
        self._check_coverage(tasks)
        if self.judges:
            accepted = self._judge.accepts(
                self.history.calls, self.log.scans, is_durable=self.is_durable
            )
            assert accepted, "no order of the calls explains their answers"

    def _check_coverage(self, tasks: dict[UUID, ScanTask]) -> None:
        """Fail if the scan that covers a request began before it, or never."""
        for submission in self.history.submissions:
            asked, scans = (
                submission.task,
                [scan for scan in self.log.scans if scan.task_id == submission.task_id],
            )
            if asked.status is TaskStatus.RUNNING:
                assert submission.outcome is SubmitOutcome.JOINED, submission
                continue
            end = tasks[asked.id]
            if end.status in {TaskStatus.CANCELLED, TaskStatus.PENDING}:
                continue
            assert scans, f"{end} was never scanned"
            assert scans[-1].claimed_at > asked.revision, f"{submission} was scanned before"
            assert scans[-1].scope.covers(asked.scope), f"{submission} was not all scanned"

    def _check_shutdowns(self) -> None:
        """Fail if a scan went on, or began, when a shutdown had said that none was left behind."""
        ends = [c.ended_at for c in self.history.calls if c.name == "shutdown" and c.answer is True]
        for scan in self.log.scans:
            assert scan.returned_at is not None, f"{scan} never returned"
            assert scan.returned_at < min(ends), f"{scan} went on after a shutdown"

    def explain(self) -> str:
        """Return what was called and scanned, for a report."""
        calls = sorted(self.history.calls, key=lambda call: call.begun_at)
        lines = [
            f"  {c.begun_at}-{c.ended_at} thread {c.thread}: {c.name}{c.arguments} -> {c.answer}"
            for c in calls
        ]
        lines += [f"  {attrs.asdict(scan, recurse=False)}" for scan in self.log.scans]
        return "\n".join(lines)


def calls(scene: Scene, name: str, *arguments: object, **options: object) -> Callable[[], object]:
    """Return what makes a call and writes it down."""
    return partial(scene.call, name, *arguments, **options)


def begin(
    scene: Scene, *submitted: LibraryId, workers: int = 1, max_running: int | None = None
) -> None:
    """Submit, start, and race from there."""
    with scene.scheduler.calm():
        scene.make(workers=workers, max_running=max_running)
        for library_id in submitted:
            scene.call("submit", library_id)
        scene.call("start")
        scene.mark = scene.follow_from_here()
