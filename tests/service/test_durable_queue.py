"""A durable queue that one process has at a time."""

from __future__ import annotations

import pytest

from scanqueue import TaskStatus
from scanqueue.testing import FakeScanner
from tests.service.shared_store import DurableStore, SharedQueue
from tests.service.tools import MakeQueue

pytestmark = pytest.mark.own_store("a durable store that is not shared")


@pytest.mark.parametrize("starts", [True, False])
def test_what_a_dead_process_was_scanning_runs_again(
    make: MakeQueue, scanner: FakeScanner, starts: bool
) -> None:
    """At the next start, or at the next `run_pending`."""
    file = SharedQueue()
    store = file.store(DurableStore)
    scanner.hold()
    dead = make(scanner, store=store)
    dead.start()
    task_id = dead.submit_task("music")
    scanner.next_scan()
    store.kill()

    queue = make(FakeScanner(), store=file.store(DurableStore))
    if starts:
        queue.start()
    else:
        queue.run_pending()
    task = queue.wait(task_id, 1)
    assert (task.status, task.attempt, task.interruptions) == (TaskStatus.COMPLETED, 2, 1)
