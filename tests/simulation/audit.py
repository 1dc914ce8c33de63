"""What must hold at every moment, looked at after every transaction that changed something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from scanqueue import EndReason, MemoryStore, TaskStatus
from scanqueue.records import TaskRecord
from scanqueue.stores._table import MemoryTable
from tests.simulation.world import World

PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING

Ending = tuple[TaskStatus, EndReason | None, datetime | None]


class Auditor:
    """Compares each state of a table with the contract, and with the state before it."""

    def __init__(self) -> None:
        self.revision = 0
        """That of the latest change that was looked at."""
        self._endings: dict[int, Ending] = {}
        self._revisions: dict[int, int] = {}

    def look(self, table: MemoryTable) -> str | None:
        """Return what is wrong, or None."""
        tasks = list(table._tasks.values())
        before, self.revision = self.revision, table.revision()
        if self.revision < before:
            return f"the revision fell from {before} to {self.revision}"
        active = Counter((t.library_id, t.status) for t in tasks if t.status.is_active)
        if any(count > 1 for count in active.values()):
            return f"more than one active task of a kind: {active}"
        return (
            self._look_at_changes(tasks, before)
            or _look_at_slots(table, tasks)
            or _look_at_counts(table, tasks)
        )

    def _look_at_changes(self, tasks: list[TaskRecord], before: int) -> str | None:
        for task in tasks:
            key = task.id.int
            if task.revision != self._revisions.get(key, 0):
                if not before < task.revision <= self.revision:
                    return f"{task} changed with a revision that was told before, {before}"
                self._revisions[key] = task.revision
            ending = (task.status, task.reason, task.completed_at)
            if self._endings.setdefault(key, ending) != ending:
                return f"{task} had ended as {self._endings[key]}"
            if not task.status.is_ended:
                del self._endings[key]
        return None


def _look_at_slots(table: MemoryTable, tasks: list[TaskRecord]) -> str | None:
    held = {slot.task_id for slot in table.slots()}
    for task in tasks:
        if task.holds_slot != (task.id in held):
            return f"{task} and the slots do not agree"
        if task.status is RUNNING and not task.holds_slot:
            return f"{task} runs without a slot"
    return None


def _look_at_counts(table: MemoryTable, tasks: list[TaskRecord]) -> str | None:
    counts = table.counts()
    found = Counter(task.status.value for task in tasks)
    if any(getattr(counts, status.value) != found[status.value] for status in TaskStatus):
        return f"{counts}, but there are {found}"
    if counts.stopping != sum(task.is_stopping for task in tasks):
        return f"{counts}, but others are stopping"
    return None


class AuditedStore(MemoryStore):
    """A `MemoryStore` that ends the run when its table is not as it should be.

    Args:
        world: Where it is used.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._auditor = Auditor()

    def read(self) -> AbstractContextManager[MemoryTable]:
        """Return a read that is audited."""
        return self._audited(super().read())

    def write(self, *, sync: bool = True) -> AbstractContextManager[MemoryTable]:
        """Return a transaction that is audited."""
        return self._audited(super().write(sync=sync))

    @contextmanager
    def _audited(self, transaction: AbstractContextManager[MemoryTable]) -> Iterator[MemoryTable]:
        with transaction as table:
            try:
                yield table
            finally:
                self._look(table)

    def _look(self, table: MemoryTable) -> None:
        if table.revision() != self._auditor.revision:
            problem = self._auditor.look(table)
            if problem is not None:
                self._world.scheduler.fail(AssertionError(problem))
