"""All that can be asked of a table, in a form to compare with what another one says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

import attrs

from scanqueue import _rules
from scanqueue.errors import ScanQueueError
from scanqueue.models import LibraryId
from scanqueue.protocols import TaskView
from scanqueue.records import Slot, TaskRecord
from tests.bare_queue import NOON, BareQueue
from tests.stores.tables import values_of


def plain(answer: object) -> object:
    """Return what a rule or a view says in a form to compare."""
    if isinstance(answer, TaskRecord):
        return values_of(answer)
    if isinstance(answer, list | tuple):
        return [plain(part) for part in answer]
    return attrs.astuple(answer) if isinstance(answer, Slot) else answer


def answers(queue: BareQueue, libraries: Collection[LibraryId]) -> list[object]:
    """Ask the table of a queue everything."""
    view: TaskView = queue.table
    since = queue.now - timedelta(minutes=2)
    found: list[object] = [
        *(view.revision(), view.paused(), view.counts(), view.counts(since)),
        *(view.slots(), view.first_claimable(), view.oldest_pending()),
        *(view.pending(None), view.pending(2), view.changed(0, None)),
        *(view.changed(view.revision() - 5, 3), view.ended(NOON, None, None)),
        *(_rules.running(view), _rules.claimable(view, 2)),
    ]
    for library_id in (None, *libraries):
        found.append(view.ended(since, 3, library_id))
        found.append(_rules.history(view, since, None, library_id))
    for library_id in libraries:
        found += [view.pending_of(library_id), view.slot_of(library_id)]
        found.append(_rules.active_of(view, library_id))
    return found


def outcome(call: Callable[[BareQueue], object], queue: BareQueue) -> object:
    """Return what a call returns, or the kind of error that it raises."""
    try:
        return call(queue)
    except ScanQueueError as error:
        return type(error)
