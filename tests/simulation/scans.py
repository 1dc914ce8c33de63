"""A scanner that writes down what it is asked to do, and finds scans that overlap."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import attrs

from scanqueue import LibraryId, ScanContext, ScanScope, TaskResult
from scanqueue._context import LiveContext
from tests.simulation.world import World


@attrs.define(eq=False)
class Scan:
    """One call of the scanner. Moments are those of the history."""

    task_id: UUID
    library_id: LibraryId
    attempt: int
    scope: ScanScope
    claimed_at: int
    """The revision of the claim."""
    thread: int
    begun_at: int
    returned_at: int | None = None
    failed: bool = False
    """Whether it raised."""


class ScanLog:
    """The scanner of a simulated service.

    Args:
        world: Where it runs.
        moment: Tells the next moment of the history.
    """

    def __init__(self, world: World, moment: Callable[[], int]) -> None:
        self._world = world
        self._moment = moment
        self.scans: list[Scan] = []
        """In order of their begin."""
        self.acts: dict[LibraryId, Callable[[ScanContext], TaskResult | None]] = {}
        """What a scan of a library does, beside being written down."""

    def forget(self, process: int) -> None:
        """Note that the scans of a process that has died are over."""
        for scan in self.scans:
            if (
                scan.returned_at is None
                and self._world.scheduler.process_of(scan.thread) == process
            ):
                scan.returned_at = self._moment()

    def __call__(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Scan."""
        scheduler = self._world.scheduler
        assert isinstance(context, LiveContext)
        if any(s.library_id == library_id and s.returned_at is None for s in self.scans):
            scheduler.fail(AssertionError(f"two scans of {library_id!r} overlap"))
        slot = context.slot
        scan = Scan(
            *(slot.task_id, library_id, slot.attempt, context.scope, context.claimed_at),
            *(scheduler.running().number, self._moment()),
        )
        self.scans.append(scan)
        scan.failed = True
        try:
            scheduler.point("scan")
            act = self.acts.get(library_id)
            result = TaskResult() if act is None else act(context) or TaskResult()
            scheduler.point("scanned")
            scan.failed = False
        finally:
            scan.returned_at = self._moment()
        return result
