"""The pending tasks of one priority, in order of age."""

from __future__ import annotations

from collections import OrderedDict
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING

from sortedcontainers import SortedDict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanqueue.records import TaskRecord

_rank = attrgetter("rank")


class Lane:
    """Tasks by rank, where most come in order of it.

    Those that do go to an `OrderedDict` (O(1), and not a `dict`, whose first key takes longer to
    find the more were deleted before it). Upgrades and tasks that come back are out of order: a
    small sorted dict takes them (O(log n)).

    Thread-safety: none; the table's owner guards it.
    """

    __slots__ = ("_in_order", "_last_rank", "_late")

    def __init__(self) -> None:
        self._in_order: OrderedDict[int, TaskRecord] = OrderedDict()
        self._late: SortedDict[int, TaskRecord] = SortedDict()
        self._last_rank = -1

    def put(self, task: TaskRecord) -> None:
        """Add a task, or replace the one of its rank. O(1) if it is the youngest, else O(log n)."""
        rank = task.rank
        if rank > self._last_rank:
            self._last_rank = rank
            self._in_order[rank] = task
        elif rank in self._in_order:
            self._in_order[rank] = task
        else:
            self._late[rank] = task

    def remove(self, rank: int) -> None:
        """Take the task of a rank out. O(1), O(log n) if it came late."""
        if self._in_order.pop(rank, None) is None:
            del self._late[rank]

    def __bool__(self) -> bool:
        return bool(self._in_order or self._late)

    def __iter__(self) -> Iterator[TaskRecord]:
        """Yield the tasks, lowest rank first."""
        in_order = self._in_order.values()
        return iter(merge(in_order, self._late.values(), key=_rank) if self._late else in_order)
