"""What users ask a queue to do, each in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanqueue import _rules
from scanqueue._ids import new_task_id
from scanqueue.models import SubmitOutcome

if TYPE_CHECKING:
    from uuid import UUID

    from scanqueue._core import Core
    from scanqueue.models import LibraryId, ScanScope, TaskPriority, WhenRunning
    from scanqueue.protocols import TaskTable
    from scanqueue.records import TaskRecord


def submit(
    core: Core,
    library_id: LibraryId,
    priority: TaskPriority,
    scope: ScanScope,
    when_running: WhenRunning,
) -> tuple[TaskRecord, SubmitOutcome]:
    """Queue a scan, or find the task that covers it."""
    core.refuse_if_closed()
    now = core.now()
    hub = core.hub
    task, outcome = core.change(
        lambda table: _rules.submit(
            table,
            library_id,
            priority,
            scope,
            when_running,
            now=now,
            new_id=new_task_id,
            max_pending=core.settings.max_pending,
        ),
        anywhere=True,
    )
    with hub.lock:
        hub.submitted[outcome] += 1
        if outcome is not SubmitOutcome.JOINED:
            hub.tell(work=outcome is not SubmitOutcome.UPGRADED)
    return task, outcome


def cancel(core: Core, task_id: UUID) -> TaskRecord:
    """Cancel a task; its scanner, if it has one, is asked to stop."""
    core.refuse_if_closed()
    now = core.now()

    def rule(table: TaskTable) -> list[TaskRecord]:
        core.scans.report_last(table, core.scans.of_task(task_id))
        task = _rules.cancel(table, task_id, now=now)
        _rules.prune(table, core.window_start(now))
        return [task]

    return core.end(rule, while_open=True)[0]


def cancel_library(core: Core, library_id: LibraryId) -> list[TaskRecord]:
    """Cancel the active tasks of a library in one transaction."""
    core.refuse_if_closed()
    now = core.now()

    def rule(table: TaskTable) -> list[TaskRecord]:
        for context in core.scans.all():
            if context.library_id == library_id:
                core.scans.report_last(table, context)
        tasks = _rules.cancel_library(table, library_id, now=now)
        _rules.prune(table, core.window_start(now))
        return tasks

    return core.end(rule, while_open=True)


def set_paused(core: Core, paused: bool) -> None:  # noqa: FBT001 - a state, not a switch
    """Hold new scans back, or no longer."""
    core.refuse_if_closed()
    core.change(lambda table: table.set_paused(paused))
    with core.hub.lock:
        core.hub.tell_all()
