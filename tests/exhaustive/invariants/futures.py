"""What every state leads to."""

from __future__ import annotations

from tests.bare_queue import BareQueue
from tests.exhaustive.invariants.registry import of_futures


@of_futures
def everything_ends_when_scanners_return(queue: BareQueue) -> None:
    """Let run, one at a time, each active task ends, and every slot is free (section 4)."""
    queue.table.set_paused(False)
    _return_all(queue)
    _run_all(queue)
    _assert_quiet(queue)


@of_futures
def everything_ends_when_processes_die(queue: BareQueue) -> None:
    """So it does when every process dies first, and another comes (section 12)."""
    queue.table.set_paused(False)
    owners = {slot.owner for slot in queue.table.slots()}
    queue.recover(owners, max_interruptions=3)
    assert not queue.table.slots()
    _run_all(queue)
    _assert_quiet(queue)


@of_futures
def a_paused_queue_comes_to_rest(queue: BareQueue) -> None:
    """Paused, what runs ends and what waits stays, until no slot is held (section 3)."""
    queue.table.set_paused(True)
    _return_all(queue)
    waiting = list(queue.table.pending(None))
    _run_all(queue)
    assert not queue.table.slots()
    assert list(queue.table.pending(None)) == waiting


def _return_all(queue: BareQueue) -> None:
    for slot in queue.table.slots():
        queue.finish(slot)


def _run_all(queue: BareQueue) -> None:
    """Run what can be run; each pending task once is enough."""
    for _ in range(len(queue.table.pending(None))):
        claimed = queue.try_claim(max_running=1)
        if claimed is not None:
            queue.finish(claimed[1])


def _assert_quiet(queue: BareQueue) -> None:
    assert not queue.table.slots()
    assert all(task.status.is_ended for task in queue.everything())
