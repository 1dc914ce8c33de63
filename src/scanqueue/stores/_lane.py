"""The pending tasks of one priority, in order of age."""

from __future__ import annotations

from collections import deque
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from sortedcontainers import SortedDict

if TYPE_CHECKING:
    from collections.abc import Container

    from scanqueue.models import LibraryId
    from scanqueue.records import TaskRecord

_rank = attrgetter("rank")

_SLACK = 64
"""How many ranks of tasks that are gone are kept before it is worth to look for them."""


class Lane:
    """Tasks by rank, where most come in order of it.

    Those that do are found by their rank in a dict, and in order through a queue of the ranks.
    (A dict alone keeps the order, too, but takes longer to find its first key the more were
    deleted before it; an `OrderedDict` takes 60 bytes more for each task.) The rank of a task
    that was taken out of the middle stays in the queue until it comes to the front, until somebody
    has passed over many such, or until half of the queue is such. Upgrades and tasks that come
    back are out of order: a small sorted dict takes them (O(log n)).

    Thread-safety: none; the table's owner guards it.
    """

    __slots__ = ("_in_order", "_late", "_ranks")

    def __init__(self) -> None:
        self._ranks: deque[int] = deque()
        self._in_order: dict[int, TaskRecord] = {}
        self._late: SortedDict[int, TaskRecord] = SortedDict()

    def put(self, task: TaskRecord) -> None:
        """Add a task, or replace the one of its rank. O(1) if it is the youngest, else O(log n)."""
        rank = task.rank
        if rank in self._in_order:
            self._in_order[rank] = task
        elif rank in self._late or (self._ranks and rank <= self._ranks[-1]):
            self._late[rank] = task
        else:
            self._in_order[rank] = task
            self._ranks.append(rank)

    def remove(self, rank: int) -> None:
        """Take the task of a rank out. O(1) amortised, O(log n) if it came late."""
        tasks, ranks = self._in_order, self._ranks
        if tasks.pop(rank, None) is None:
            del self._late[rank]
            return
        while ranks and ranks[0] not in tasks:
            ranks.popleft()
        if len(ranks) > 2 * len(tasks) + _SLACK:
            self._ranks = deque(rank for rank in ranks if rank in tasks)

    def __bool__(self) -> bool:
        return bool(self._in_order or self._late)

    def first(self, limit: int | None, taken: Container[LibraryId] = ()) -> list[TaskRecord]:
        """Return tasks, lowest rank first. O(returned + passed over), amortised.

        Args:
            limit: Return at most this many; None: all.
            taken: Pass over the tasks of these libraries.
        """
        found = self._first_in_order(limit, taken)
        if self._late:
            late = (task for task in self._late.values() if task.library_id not in taken)
            found = list(islice(merge(found, late, key=_rank), limit))
        return found

    def _first_in_order(self, limit: int | None, taken: Container[LibraryId]) -> list[TaskRecord]:
        tasks = self._in_order
        found: list[TaskRecord] = []
        passed = gone = 0
        for rank in self._ranks if limit != 0 else ():
            passed += 1
            task = tasks.get(rank)
            if task is None:
                gone += 1
            elif task.library_id not in taken:
                found.append(task)
                if len(found) == limit:
                    break
        if gone > _SLACK:  # so that they are passed over once, and not each time
            front = [self._ranks.popleft() for _ in range(passed)]
            self._ranks.extendleft(rank for rank in reversed(front) if rank in tasks)
        return found
