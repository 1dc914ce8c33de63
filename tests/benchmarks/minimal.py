"""The queue that one would write in an afternoon: a heap, two dicts, a lock."""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from heapq import heappop, heappush, nsmallest
from itertools import count
from threading import Condition, Lock, Thread
from uuid import uuid4

import attrs


@attrs.define(eq=False)
class Task:
    """A request to scan a library. The queue hands out the object itself, and goes on with it."""

    id: Hashable
    library_id: str
    priority: int
    created_at: datetime
    status: str = "pending"


class MinimalQueue:
    """Priorities, one active task for each library, cancelling, waiting.

    No history, no progress, no change feed, no snapshots, no limits, no checks of arguments, no
    running scan that can be cancelled, no orderly shutdown, and every task that ever was stays in
    memory.
    """

    def __init__(
        self, scan: Callable[[str], object], new_id: Callable[[], Hashable] = uuid4
    ) -> None:
        self._scan = scan
        self._new_id = new_id
        self._lock = Lock()
        self._work = Condition(self._lock)
        self._ended = Condition(self._lock)
        self._heap: list[tuple[int, int, Task]] = []
        self._numbers = count()
        self._tasks: dict[Hashable, Task] = {}
        self._active: dict[str, Task] = {}
        self._stopped = False

    def start(self, workers: int) -> None:
        """Start the workers."""
        for _ in range(workers):
            Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Have the workers end."""
        with self._lock:
            self._stopped = True
            self._work.notify_all()

    def submit(self, library_id: str, priority: int = 0) -> Hashable:
        """Queue a scan, or join or upgrade the one that the library has."""
        with self._lock:
            task = self._active.get(library_id)
            if task is None:
                task = Task(self._new_id(), library_id, priority, datetime.now(UTC))
                self._tasks[task.id] = self._active[library_id] = task
            elif priority > task.priority and task.status == "pending":
                task.priority = priority  # the old entry of the heap is stale now
            else:
                return task.id
            heappush(self._heap, (-priority, next(self._numbers), task))
            self._work.notify()
            return task.id

    def cancel(self, task_id: Hashable) -> bool:
        """Cancel a pending task."""
        with self._lock:
            task = self._tasks[task_id]
            if task.status != "pending":
                return False
            task.status = "cancelled"  # its entry of the heap is stale now
            del self._active[task.library_id]
            self._ended.notify_all()
            return True

    def get(self, task_id: Hashable) -> Task | None:
        """Return a task."""
        with self._lock:
            return self._tasks.get(task_id)

    def list_pending(self, limit: int) -> list[Task]:
        """Return the first of the pending tasks."""
        with self._lock:
            live = (entry for entry in self._heap if _is_live(entry))
            return [task for _, _, task in nsmallest(limit, live)]

    def wait(self, task_id: Hashable) -> Task:
        """Wait until a task has ended."""
        with self._lock:
            task = self._tasks[task_id]
            while task.status in ("pending", "running"):
                self._ended.wait()
            return task

    def _run(self) -> None:
        while (task := self._claim()) is not None:
            try:
                self._scan(task.library_id)
                status = "completed"
            except Exception:
                status = "failed"
            with self._lock:
                task.status = status
                del self._active[task.library_id]
                self._ended.notify_all()

    def _claim(self) -> Task | None:
        with self._lock:
            while not self._stopped:
                while self._heap:
                    entry = heappop(self._heap)
                    if _is_live(entry):
                        entry[2].status = "running"
                        return entry[2]
                self._work.wait()
        return None


def _is_live(entry: tuple[int, int, Task]) -> bool:
    negative, _, task = entry
    return task.status == "pending" and task.priority == -negative
