"""The tasks of one queue, in dicts and sorted containers: the table of the `MemoryStore`.

It knows no rule of the queue and no lock; it keeps rows and indexes, so that nothing is searched
for. Complexities are those that `TaskTable` promises.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

from scanqueue.models import TaskPriority, TaskStatus
from scanqueue.records import Counts
from scanqueue.stores._lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from scanqueue.models import LibraryId
    from scanqueue.records import Slot, TaskRecord

_PENDING = TaskStatus.PENDING
_RUNNING = TaskStatus.RUNNING
_LOG_SLACK = 1024


class MemoryTable:
    """A `TaskTable` in memory, without transactions.

    Args:
        revision: Where its revisions begin.
    """

    def __init__(self, revision: int) -> None:
        self._revision = revision
        self._paused = False
        # Keyed by `UUID.int`: hashing a UUID itself costs a call of a Python function.
        self._tasks: dict[int, TaskRecord] = {}
        self._pending: dict[LibraryId, TaskRecord] = {}
        self._lanes = {priority: Lane() for priority in sorted(TaskPriority, reverse=True)}
        self._slots: dict[LibraryId, Slot] = {}
        self._by_status = dict.fromkeys(TaskStatus, 0)
        self._stopping = 0
        self._latest_end = datetime.min.replace(tzinfo=UTC)
        # In order of ending, each with the latest end up to it: where that is before a moment,
        # so are all the earlier ones, even if the wall clock was set back in between. (Numbers
        # and moments only: the garbage collector has nothing to follow in them.)
        self._ended: OrderedDict[int, datetime] = OrderedDict()
        self._ended_by_library: dict[LibraryId, dict[int, datetime]] = {}
        # What may be deleted one day, by its end; what has expired goes to a heap of its own when
        # somebody counts it, so that nobody counts it twice.
        self._expiring: list[tuple[datetime, int]] = []
        self._expired: list[tuple[datetime, int]] = []
        self._expired_by_status = dict.fromkeys(TaskStatus, 0)
        self._expired_before = datetime.min.replace(tzinfo=UTC)
        # Which task each revision changed, in order. An entry is stale when its task has changed
        # again; there are never more of these than tasks, and some slack.
        self._log_revisions: list[int] = []
        self._log_tasks: list[int] = []

    # --- the view ---

    def revision(self) -> int:
        return self._revision

    def paused(self) -> bool:
        return self._paused

    def counts(self, since: datetime | None = None) -> Counts:
        by_status = self._by_status
        if since is not None:
            expired = self._count_expired(since)
            by_status = {status: by_status[status] - expired[status] for status in by_status}
        return Counts(
            pending=by_status[_PENDING],
            running=by_status[_RUNNING],
            completed=by_status[TaskStatus.COMPLETED],
            failed=by_status[TaskStatus.FAILED],
            cancelled=by_status[TaskStatus.CANCELLED],
            stopping=self._stopping,
            slots=len(self._slots),
        )

    def _count_expired(self, before: datetime) -> dict[TaskStatus, int]:
        """Count what `delete_ended` would delete. O(1) amortised: each is counted once."""
        if before < self._expired_before:  # the clock was set back: count again
            for entry in self._expired:
                heappush(self._expiring, entry)
            self._expired.clear()
            self._expired_by_status = dict.fromkeys(TaskStatus, 0)
        self._expired_before = before
        while self._expiring and self._expiring[0][0] < before:
            entry = heappop(self._expiring)
            heappush(self._expired, entry)
            self._expired_by_status[self._tasks[entry[1]].status] += 1
        return self._expired_by_status

    def get(self, task_id: UUID) -> TaskRecord | None:
        return self._tasks.get(task_id.int)

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        return self._pending.get(library_id)

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        return self._slots.get(library_id)

    def slots(self) -> list[Slot]:
        return list(self._slots.values())

    def first_claimable(self) -> TaskRecord | None:
        for lane in self._lanes.values():
            if lane and (found := lane.first(1, self._slots)):
                return found[0]
        return None

    def oldest_pending(self) -> TaskRecord | None:
        firsts = (task for lane in self._lanes.values() for task in lane.first(1))
        return min(firsts, key=lambda task: task.rank, default=None)

    def pending(self, limit: int | None) -> list[TaskRecord]:
        found: list[TaskRecord] = []
        for lane in self._lanes.values():
            found += lane.first(None if limit is None else limit - len(found))
        return found

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        if library_id is None:
            latest_first = reversed(self._ended.items())
        else:
            latest_first = reversed(self._ended_by_library.get(library_id, {}).items())
        return list(islice(self._since(since, latest_first), limit))

    def _since(
        self, since: datetime, latest_first: Iterable[tuple[int, datetime]]
    ) -> Iterator[TaskRecord]:
        for key, latest in latest_first:
            if latest < since:
                return
            task = self._tasks[key]
            if _moment_of_end(task) >= since:
                yield task

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        revisions, ids, tasks = self._log_revisions, self._log_tasks, self._tasks
        found: list[TaskRecord] = []
        for place in range(bisect_right(revisions, after), len(revisions)):
            if limit is not None and len(found) >= limit:
                break
            task = tasks.get(ids[place])
            if task is not None and task.revision == revisions[place]:
                found.append(task)
        return found

    # --- the table ---

    def next_revision(self) -> int:
        self._revision += 1
        return self._revision

    def insert(self, task: TaskRecord) -> None:
        key = task.id.int
        self._tasks[key] = task
        self._pending[task.library_id] = task
        self._lanes[task.priority].put(task)
        self._by_status[_PENDING] += 1
        self._log(task.revision, key)

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        key = new.id.int
        if self._tasks.get(key) is not old:
            message = f"task {new.id} has changed since it was read"
            raise ValueError(message)
        self._tasks[key] = new
        status = new.status
        if old.status is _PENDING and (status is not _PENDING or new.priority is not old.priority):
            self._lanes[old.priority].remove(old.rank)
            del self._pending[old.library_id]
        if status is _PENDING:
            self._pending[new.library_id] = new
            self._lanes[new.priority].put(new)
        elif status is not _RUNNING:
            if new.holds_slot or old.status is not _RUNNING:
                self._stopping += new.is_stopping - old.is_stopping
            self._file(key, old, new)
        self._by_status[old.status] -= 1
        self._by_status[status] += 1
        self._log(new.revision, key)

    def take_slot(self, slot: Slot) -> None:
        if slot.library_id in self._slots:
            message = f"the slot of library {slot.library_id!r} is held"
            raise ValueError(message)
        self._slots[slot.library_id] = slot

    def free_slot(self, slot: Slot) -> None:
        held = self._slots.get(slot.library_id)
        if held is not slot and held != slot:
            message = f"this slot of library {slot.library_id!r} is not held"
            raise ValueError(message)
        del self._slots[slot.library_id]

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a state, not a switch
        self._paused = paused

    def delete_ended(self, before: datetime, limit: int) -> int:
        deleted = 0
        while deleted < limit:
            heap, expired = self._expiring, self._expired
            if expired and (not heap or expired[0] < heap[0]):
                heap = expired
            if not heap or heap[0][0] >= before:
                break
            key = heappop(heap)[1]
            if heap is expired:
                self._expired_by_status[self._tasks[key].status] -= 1
            self._delete(key)
            deleted += 1
        return deleted

    def _delete(self, key: int) -> None:
        task = self._tasks.pop(key)
        del self._ended[key]
        of_library = self._ended_by_library[task.library_id]
        del of_library[key]
        if not of_library:
            del self._ended_by_library[task.library_id]
        self._by_status[task.status] -= 1

    def _file(self, key: int, old: TaskRecord, task: TaskRecord) -> None:
        """Put an ended task where history and pruning find it; it keeps its place there."""
        end = _moment_of_end(task)
        if key not in self._ended:
            if not self._ended or end > self._latest_end:
                self._latest_end = end
            self._ended[key] = latest = self._latest_end
            of_library = self._ended_by_library.get(task.library_id)
            if of_library is None:
                self._ended_by_library[task.library_id] = {key: latest}
            else:
                of_library[key] = latest
        if not task.holds_slot and (old.holds_slot or old.status.is_active):
            heappush(self._expiring, (end, key))

    def _log(self, revision: int, key: int) -> None:
        self._log_revisions.append(revision)
        self._log_tasks.append(key)
        if len(self._log_tasks) > 2 * len(self._tasks) + _LOG_SLACK:
            live = sorted((task.revision, key) for key, task in self._tasks.items())
            self._log_revisions = [revision for revision, _ in live]
            self._log_tasks = [key for _, key in live]


def _moment_of_end(task: TaskRecord) -> datetime:
    assert task.completed_at is not None
    return task.completed_at
