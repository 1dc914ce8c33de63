"""A scan that is cancelled when there is nothing left to track: it stops all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scanqueue import LibraryId, ScanCancelled, ScanContext, TaskResult, TaskStatus
from tests.service.tools import MakeQueue, run_one


@pytest.mark.parametrize(
    ("items", "when"),
    [
        pytest.param("", "before", id="before it finds no items"),
        pytest.param("ab", "b", id="during the last item"),
        pytest.param("ab", "after", id="while it looks for another item"),
    ],
)
def test_a_cancel_at_the_end_of_a_track_is_not_missed(
    make: MakeQueue, items: str, when: str
) -> None:
    """The loop is left by `ScanCancelled`, so what stands behind it is not done."""
    seen: list[str] = []
    raised: list[ScanCancelled] = []

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        def reach(moment: str) -> None:
            if moment == when:
                queue.cancel_task(context.task.id)

        def found() -> Iterator[str]:
            reach("before")
            yield from items
            reach("after")

        try:
            for item in context.track(found()):
                seen.append(item)
                reach(item)
        except ScanCancelled as error:
            raised.append(error)
            raise
        return TaskResult()

    queue = make(scan)
    task = run_one(queue)

    assert len(raised) == 1
    assert seen == list(items)
    assert (task.status, task.result) == (TaskStatus.CANCELLED, None)
