"""What can be done to a queue: every call of every rule, as a value that can be made again."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import attrs

from scanqueue._rules import Ending
from scanqueue.models import LibraryId, ScanScope, TaskPriority, WhenRunning
from scanqueue.records import Slot
from tests.bare_queue import BareQueue


class Move:
    """One call. Two queues that are alike are alike after it."""

    def make(self, queue: BareQueue) -> object:
        """Call the rule and return its answer.

        Raises:
            ScanQueueError: The rule refuses.
        """
        raise NotImplementedError


@attrs.frozen
class Submit(Move):
    """Ask for a scan."""

    library_id: LibraryId
    priority: TaskPriority
    scope: ScanScope
    when_running: WhenRunning
    max_pending: int | None

    def make(self, queue: BareQueue) -> object:
        """Return the task and the outcome."""
        return queue.submit(
            *(self.library_id, self.priority, self.scope, self.when_running),
            max_pending=self.max_pending,
        )


@attrs.frozen
class Claim(Move):
    """Begin the next scan."""

    owner: str
    max_running: int | None

    def make(self, queue: BareQueue) -> object:
        """Return the task and the slot, or None."""
        return queue.try_claim(self.owner, max_running=self.max_running)


@attrs.frozen
class Report(Move):
    """Publish how far a scan is."""

    slot: Slot
    scanned_paths: int

    def make(self, queue: BareQueue) -> object:
        """Return the task, or None."""
        return queue.report(self.slot, self.scanned_paths)


@attrs.frozen
class Finish(Move):
    """Have a scanner return."""

    slot: Slot
    ending: Ending

    def make(self, queue: BareQueue) -> object:
        """Return the task, or None."""
        return queue.finish(self.slot, self.ending, scanned_paths=LAST_REPORT)


LAST_REPORT = 9
"""How far each scanner is when it returns."""


@attrs.frozen
class Stop(Move):
    """Ask a scan to stop because of a shutdown."""

    slot: Slot
    is_durable: bool

    def make(self, queue: BareQueue) -> object:
        """Return the task, or None."""
        return queue.stop(self.slot, durable=self.is_durable)


@attrs.frozen
class Cancel(Move):
    """Cancel a task."""

    task_id: UUID

    def make(self, queue: BareQueue) -> object:
        """Return the task."""
        return queue.cancel(self.task_id)


@attrs.frozen
class CancelLibrary(Move):
    """Cancel what is active of a library."""

    library_id: LibraryId

    def make(self, queue: BareQueue) -> object:
        """Return the tasks."""
        return queue.cancel_library(self.library_id)


@attrs.frozen
class SetPaused(Move):
    """Hold new scans back, or no longer."""

    is_paused: bool

    def make(self, queue: BareQueue) -> object:
        """Return nothing."""
        queue.table.set_paused(self.is_paused)
        return None


@attrs.frozen
class EndPending(Move):
    """End pending tasks because of a shutdown."""

    limit: int

    def make(self, queue: BareQueue) -> object:
        """Return the tasks."""
        return queue.end_pending(self.limit)


@attrs.frozen
class Recover(Move):
    """Take note that processes have died."""

    dead: frozenset[str]
    max_interruptions: int

    def make(self, queue: BareQueue) -> object:
        """Return the tasks whose slots they held."""
        return queue.recover(self.dead, max_interruptions=self.max_interruptions)


@attrs.frozen
class Prune(Move):
    """Forget what ended before a moment."""

    before: datetime

    def make(self, queue: BareQueue) -> object:
        """Return how many were forgotten."""
        return queue.prune(self.before)


@attrs.frozen
class PassTime(Move):
    """Set the clock forward, or back."""

    step: timedelta

    def make(self, queue: BareQueue) -> object:
        """Return nothing."""
        queue.pass_time(self.step.total_seconds())
        return None
