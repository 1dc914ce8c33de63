"""Rules with a bug each, and the invariant that finds it: none is there in vain."""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import attrs

from scanqueue import _rules
from scanqueue.stores._table import MemoryTable
from tests.exhaustive.worlds import (
    IN_MEMORY,
    ONE_LIBRARY,
    TWO_LIBRARIES,
    WITH_HISTORY,
    World,
)


@attrs.frozen
class Mutant:
    """One function of the rules, with another text in one place."""

    invariant: str
    """The name of the one that finds it; no other is checked."""
    function: str
    """Which function."""
    old: str
    """What is written there, once."""
    new: str
    """What is written instead."""
    world: World = ONE_LIBRARY
    """Where it is found."""
    of: Any = _rules
    """What has the function."""

    @property
    def id(self) -> str:
        """A name for the test."""
        return f"{self.function.strip('_')}-{self.invariant}"

    def make(self) -> Callable[..., Any]:
        """Return the function with the bug."""
        right = getattr(self.of, self.function)
        source = textwrap.dedent(inspect.getsource(right))
        assert source.count(self.old) == 1, "the rules have changed: write another mutant"
        flags = __future__.annotations.compiler_flag
        code = compile(source.replace(self.old, self.new), "<mutant>", "exec", flags)
        made: dict[str, Any] = {}
        exec(code, right.__globals__, made)  # noqa: S102 - the source is ours
        function: Callable[..., Any] = made[self.function]
        return function


END = "_end(task, EndReason.REQUESTED, now)"
FREE = "table.free_slot(slot)\n    table.replace(old, task)"

MUTANTS = (
    # --- every state ---
    Mutant(
        "a_library_has_one_running_and_one_pending_task",
        "stop",
        "table.pending_of(slot.library_id) if durable else None",
        "None",
    ),
    Mutant(
        "a_slot_belongs_to_the_task_that_says_so",
        "finish",
        FREE,
        "table.replace(old, task)",
    ),
    Mutant(
        "who_runs_holds_a_slot",
        "claim",
        "task.attempt += 1",
        "task.attempt += 1; task.holds_slot = False",
    ),
    Mutant("who_waits_has_nothing_to_show", "_rewind", "task.progress = NO_PROGRESS", "pass"),
    Mutant("moments_fit_the_status", "claim", "task.started_at = now", "pass"),
    Mutant("an_end_says_why", "_end", "task.reason = reason", "pass"),
    Mutant(
        "counts_equal_what_is_there",
        "replace",
        "self._by_status[old.status] -= 1",
        "",
        of=MemoryTable,
    ),
    Mutant(
        "pending_tasks_are_in_order_of_claim",
        "submit",
        "rank=revision",
        "rank=-revision",
        IN_MEMORY,
    ),
    Mutant(
        "revisions_are_in_order",
        "claim",
        "table.next_revision()",
        "table.next_revision() + 1",
    ),
    Mutant("history_has_what_ended", "history", "and task.is_stopping", "and False", WITH_HISTORY),
    Mutant(
        "the_active_are_listed",
        "active_of",
        "(running_of(view, library_id), view.pending_of(library_id))",
        "(view.pending_of(library_id), running_of(view, library_id))",
    ),
    Mutant(
        "a_scan_is_lost_once_its_task_does_not_run",
        "is_lost",
        "current.status is not TaskStatus.RUNNING",
        "current.status is TaskStatus.PENDING",
    ),
    # --- every step ---
    Mutant(
        "a_refusal_changes_nothing",
        "cancel",
        "raise TaskNotCancellableError",
        "table.next_revision(); raise TaskNotCancellableError",
    ),
    Mutant(
        "each_change_has_a_revision_of_its_own",
        "_cancel",
        "table.next_revision()",
        "old.revision",
    ),
    Mutant(
        "an_ended_task_stays_as_it_is",
        "finish",
        "if old.status is TaskStatus.RUNNING:",
        "if True:",
    ),
    Mutant("priority_never_falls", "_raise", "max(pending.priority, priority)", "priority"),
    Mutant("a_task_stays_itself", "_end", "task.rank = task.revision", "pass"),
    Mutant(
        "slots_come_back_by_an_end_or_a_death",
        "_cancel",
        END,
        f"{END}\n    for slot in table.slots(): table.free_slot(slot); task.holds_slot = False",
    ),
    Mutant("attempts_count_the_scans_begun", "claim", "task.attempt += 1", "task.attempt = 1"),
    Mutant("starts_are_those_of_claims", "_rewind", "task.started_at = None", "pass"),
    Mutant(
        "interruptions_count_deaths_while_running",
        "claim",
        "task.attempt += 1",
        "task.attempt += 1; task.interruptions = 0",
    ),
    Mutant("what_waits_is_not_lost", "_raise", "pending.scope.union(scope)", "scope"),
    Mutant(
        "what_runs_is_not_lost",
        "_rewind",
        "task.started_at = None",
        "task.started_at = None; task.scope = type(task.scope)(paths=['a'])",
    ),
    Mutant(
        "only_pruning_forgets",
        "finish",
        FREE,
        f"{FREE}; table.delete_ended(now.replace(year=9999), 1)",
    ),
    Mutant(
        "only_submissions_make_tasks",
        "finish",
        FREE,
        f"{FREE}; task.status.is_active or submit(table, 'more', task.priority, task.scope,"
        " WhenRunning.JOIN, now=now, new_id=lambda: type(task.id)(int=99), max_pending=None)",
    ),
    Mutant(
        "other_libraries_do_not_notice",
        "cancel_library",
        "active_of(table, library_id)",
        "table.pending(None)",
        TWO_LIBRARIES,
    ),
    Mutant(
        "pausing_and_the_clock_change_no_task",
        "claim",
        "task.attempt += 1",
        "task.attempt += 1; table.set_paused(True)",
    ),
    # --- submissions ---
    Mutant(
        "a_submission_does_what_the_table_says",
        "submit",
        "SubmitOutcome.CREATED if running is None else SubmitOutcome.FOLLOW_UP",
        "SubmitOutcome.CREATED",
    ),
    Mutant("a_request_is_covered", "_covering", "running.scope.covers(scope)", "True"),
    Mutant(
        "the_scan_of_a_request_begins_after_it",
        "_covering",
        "or when_running is WhenRunning.FOLLOW_UP",
        "",
    ),
    Mutant(
        "an_upgrade_adds_what_was_asked",
        "_raise",
        "max(pending.priority, priority)",
        "TaskPriority.HIGH",
    ),
    Mutant("a_full_queue_refuses_new_tasks", "submit", ">= max_pending", "> max_pending"),
    # --- scans ---
    Mutant(
        "the_most_urgent_goes_first",
        "claimable",
        "view.first_claimable()",
        "min((task for task in view.pending(None) if not view.slot_of(task.library_id)),"
        " key=attrgetter('rank'), default=None)",
        IN_MEMORY,
    ),
    Mutant(
        "what_can_start_starts",
        "claimable",
        "view.first_claimable()",
        "next((task for task in view.pending(1) if not view.slot_of(task.library_id)), None)",
        IN_MEMORY,
    ),
    Mutant("nothing_starts_in_a_paused_queue", "claimable", "view.paused()", "False"),
    Mutant(
        "max_running_holds",
        "claimable",
        "view.counts().slots",
        "view.counts().running",
        IN_MEMORY,
    ),
    Mutant(
        "a_claim_takes_the_slot",
        "claim",
        "Slot(task.library_id, task.id, task.attempt, owner)",
        "Slot(task.library_id, task.id, task.attempt, 'one')",
        TWO_LIBRARIES,
    ),
    Mutant(
        "a_late_write_changes_nothing",
        "_current",
        "held == slot",
        "(held is not None and held.task_id == slot.task_id)",
    ),
    Mutant(
        "a_report_changes_the_progress",
        "report",
        "or old.progress == progress",
        "",
    ),
    Mutant(
        "a_scanner_that_returns_frees_its_slot",
        "finish",
        "table.free_slot(slot)\n    table.replace",
        "table.replace",
    ),
    Mutant("a_scan_ends_as_its_scanner_did", "finish", "task.progress = progress", "pass"),
    Mutant("who_was_stopped_is_not_completed", "finish", "if task.status.is_ended:", "if True:"),
    # --- cancels ---
    Mutant(
        "a_cancel_is_answered_at_once",
        "cancel",
        "return _cancel(table, old, now)",
        "return cancel_library(table, old.library_id, now=now)[0]",
    ),
    Mutant(
        "what_is_not_active_cannot_be_cancelled",
        "cancel",
        "if not can(old, Event.CANCEL):",
        "if old.status.is_ended:\n        return old\n    if not can(old, Event.CANCEL):",
        WITH_HISTORY,
    ),
    Mutant(
        "a_cancelled_library_has_nothing_active",
        "cancel_library",
        "active_of(table, library_id)",
        "active_of(table, library_id)[:1]",
    ),
    Mutant("pruning_forgets_what_has_expired", "prune", "PRUNE_BATCH", "1", WITH_HISTORY),
    # --- shutdowns and deaths ---
    Mutant(
        "a_shutdown_leaves_the_slot",
        "stop",
        "_replace_for(table, old, task, waiting)",
        "_replace_for(table, old, task, waiting); table.free_slot(slot)",
    ),
    Mutant(
        "a_shutdown_ends_a_scan_or_sends_it_back",
        "stop",
        "if durable and waiting is None:",
        "if not durable:",
    ),
    Mutant(
        "a_death_frees_the_slots_of_its_process",
        "recover",
        "slot.owner in dead",
        "True",
        TWO_LIBRARIES,
    ),
    Mutant(
        "too_many_deaths_end_a_task",
        "_recover",
        "interruptions >= max_interruptions",
        "interruptions > max_interruptions",
    ),
    Mutant(
        "a_death_leaves_what_was_told_to_stop",
        "_recover",
        "old.interruptions + was_running",
        "old.interruptions + 1",
    ),
    Mutant(
        "an_heir_takes_over",
        "_replace_for",
        "max(heir.interruptions, task.interruptions)",
        "heir.interruptions",
    ),
    Mutant(
        "a_shutdown_ends_what_waits",
        "end_pending",
        "table.pending(limit)",
        "table.pending(None)",
        IN_MEMORY,
    ),
    # --- what all leads to ---
    Mutant("everything_ends_when_scanners_return", "finish", FREE, "table.replace(old, task)"),
    Mutant("everything_ends_when_processes_die", "recover", "slot.owner in dead", "False"),
    Mutant("a_paused_queue_comes_to_rest", "claimable", "view.paused()", "False"),
    # --- in any case ---
    Mutant(
        "each_change_is_a_row",
        "stop",
        "_end(task, EndReason.SHUTDOWN, now)",
        "_end(task, EndReason.SHUTDOWN, now); task.holds_slot = False",
    ),
    Mutant(
        "a_rule_answers_or_refuses",
        "report",
        "not can(old, Event.REPORT) or",
        "",
    ),
)
