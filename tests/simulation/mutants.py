"""Mistakes of the kind that threads make possible, each a small change of the library.

They show what the simulation finds: each is found by the scenario that is named beside it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest.mock import patch

import attrs

from scanqueue import _requests, _shutdown, _workers
from scanqueue._context import LiveContext
from scanqueue._core import Core
from scanqueue._hub import Hub
from scanqueue._keeper import Keeper
from scanqueue._queries import Queries
from scanqueue._scans import Scans
from scanqueue._workers import Workers
from scanqueue.stores._block import Block
from scanqueue.stores._group import Writers
from tests.simulation import mistakes


@attrs.frozen
class Mutant:
    """One mistake.

    Args:
        mistake: What it is, in words.
        scenario: Which scenario finds it.
        owner: What is changed.
        name: Which attribute of it.
        wrong: What takes its place.
        needs_weaving: Whether only points between statements find it.
    """

    mistake: str
    scenario: str
    owner: object
    name: str
    wrong: object
    needs_weaving: bool = False

    def applied(self) -> AbstractContextManager[object]:
        """Return a context in which the library makes the mistake."""
        return patch.object(self.owner, self.name, self.wrong)


MUTANTS = {
    "submit-in-two-steps": Mutant(
        "a submission looks for a pending task first, and makes one in a transaction of its own",
        *("new/submit/submit", _requests, "submit", mistakes.submit_in_two_steps),
    ),
    "cancel-what-was-read": Mutant(
        "a cancel changes the task as it was read before the transaction",
        *("queued/cancel_task/wait", _requests, "cancel", mistakes.cancel_what_was_read),
    ),
    "look-at-closed-before": Mutant(
        "a submission looks whether the queue is closed before its transaction, and not inside",
        *("idle/submit/shutdown", Core, "change", mistakes.look_at_closed_before),
    ),
    "free-the-slot-first": Mutant(
        "the slot of a scan is freed before its end is recorded",
        *("scanning/submit_follow_up/get_task", Scans, "_turn", mistakes.free_the_slot_first),
    ),
    "register-after-the-commit": Mutant(
        "a claimed scan is made known only after the commit, so that a cancel does not find it",
        *("cancel-ends-a-sleep", Scans, "_turn", mistakes.turn_then_register),
    ),
    "count-after-the-commit": Mutant(
        "an end is counted only after everybody was told of it",
        *("counted-when-heard", Core, "end", mistakes.count_after_the_commit),
    ),
    "tell-no-worker": Mutant(
        "new work notifies nobody",
        *("idle/submit/wait", Hub, "tell", mistakes.tell_no_worker),
    ),
    "tell-first": Mutant(
        "a submission tells of its task before it is there",
        *("new/submit/start", _requests, "submit", mistakes.tell_first),
    ),
    "look-then-read-the-number": Mutant(
        "who waits reads the sequence number after having looked",
        *("one-waiter", Core, "wait_for", mistakes.look_then_read_the_number),
    ),
    "claim-then-read-the-number": Mutant(
        "a worker reads the sequence number after having looked for work",
        *("new/submit/start", Workers, "_wait_for_scan", mistakes.claim_then_read_the_number),
    ),
    "stay-woken": Mutant(
        "a worker that woke up leaves the mark that one is waking",
        *("idle/submit/submit_other", Hub, "wait_for_work", mistakes.wait_and_stay_woken),
    ),
    "wait-uncounted": Mutant(
        "a reader looks at the number, lets the lock go, and takes it again to wait",
        *("one-waiter", Hub, "wait_for_news", mistakes.wait_uncounted),
    ),
    "scan-under-a-lock": Mutant(
        "the scanner is called while a lock of the library is held",
        *("scanner-waits-for-another", _workers, "run_scan", mistakes.scan_under_a_lock),
    ),
    "claim-when-closed": Mutant(
        "a worker claims without a look whether the queue is closed",
        *("durable-shutdown", Scans, "turn", mistakes.claim_when_closed),
    ),
    "claims-do-not-count": Mutant(
        "a shutdown does not wait for the claims that are under way",
        *("durable-shutdown", Scans, "is_claiming", property(mistakes.claims_do_not_count)),
        needs_weaving=True,
    ),
    "sweep-and-close": Mutant(
        "a shutdown ends what is pending, and closes the queue after that",
        *("idle/submit/shutdown", _shutdown, "_end_pending", mistakes.sweep_and_close),
    ),
    "leave-at-once": Mutant(
        "the keeper leaves after its time, and does not look whether another scan has begun",
        *("report-when-the-keeper-leaves", Keeper, "_is_done", mistakes.leave_at_once),
    ),
    "wake-only-a-new-one": Mutant(
        "the keeper that is there already is not told of a report that is due later",
        *("report-when-the-keeper-leaves", Keeper, "wake", mistakes.wake_only_a_new_one),
    ),
    "jump-to-the-latest": Mutant(
        "a reader of changes goes on from the latest revision, not from the last one that it saw",
        *("readers-of-changes", Queries, "_follow", mistakes.jump_to_the_latest),
    ),
    "clean-after-counting": Mutant(
        "a report that comes while the last one is published is taken for published",
        *("advance-beside-the-keeper", LiveContext, "progress", mistakes.clean_after_counting),
        needs_weaving=True,
    ),
    "keep-sums-in-any-order": Mutant(
        "the sum of a publication that was overtaken replaces a later one (this was a bug)",
        *("advance-beside-the-keeper", LiveContext, "progress", mistakes.keep_sums_in_any_order),
    ),
    "settle-for-oneself": Mutant(
        "the last of a group commits, and does not wake the others",
        *("group-commit-2", Writers, "_settle", mistakes.settle_for_oneself),
    ),
    "wake-one-only": Mutant(
        "the first that waits for a commit is woken, and wakes nobody",
        *("functions-0-3", Writers, "_release", mistakes.wake_one_only),
    ),
    "answer-before-the-commit": Mutant(
        "who has had its function called by another one goes on before the commit",
        *("functions-0-2", Writers, "_run_for", mistakes.answer_before_the_commit),
    ),
    "leave-before-the-commit": Mutant(
        "a member of a group leaves before the commit",
        *("group-commit-2", Block, "wait", mistakes.do_not_wait),
    ),
}
"""Each mistake, by its name."""
