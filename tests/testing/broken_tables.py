"""Tables that each break one promise: of tasks, slots, order, history and counts."""

from __future__ import annotations

import copy
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import attrs

from scanqueue.models import LibraryId, TaskPriority, TaskStatus
from scanqueue.records import Counts, Slot, TaskRecord
from scanqueue.stores._table import MemoryTable
from tests.testing.broken import Collection
from tests.testing.plain_store import PlainStore

EVER = datetime.min.replace(tzinfo=UTC)

HEEDING_RANKS = (
    *("sent-back-keeps-its-rank", "passes-over-taken-libraries"),
    *("limits", "gives-all-of-many"),
)

broken_tables: Collection[type[MemoryTable]] = Collection()
breaks = broken_tables.breaks


def store_of(table: type[MemoryTable]) -> type[PlainStore]:
    """Return a kind of store that keeps its tasks in such a table."""

    class StoreOfTable(PlainStore):
        def open(self, owner: str, first_revision: int) -> None:
            super().open(owner, first_revision)
            self._table = table(first_revision)

    return StoreOfTable


class AlteringTable(MemoryTable):
    """Keeps something else than it is given."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        """Change what is to be kept."""

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        """Replace a task by something else."""
        kept = new.successor(new.revision)
        self.altered(old, kept)
        super().replace(old, kept)


# --- tasks ---


@breaks("opens-empty")
class BeginsPaused(MemoryTable):
    """A new queue is paused."""

    def __init__(self, revision: int) -> None:
        super().__init__(revision)
        self._paused = True


@breaks("finds-nothing-that-is-not-there")
class RaisesForUnknownLibraries(MemoryTable):
    """Asked about a library that it has never heard of, it raises."""

    def __init__(self, revision: int) -> None:
        super().__init__(revision)
        self._known: set[LibraryId] = set()

    def insert(self, task: TaskRecord) -> None:
        super().insert(task)
        self._known.add(task.library_id)

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        if library_id not in self._known:
            raise KeyError(library_id)
        return super().pending_of(library_id)


@breaks("begins-at-first-revision")
class BeginsElsewhere(MemoryTable):
    """Its revisions begin where it likes."""

    def __init__(self, revision: int) -> None:
        super().__init__(revision + 7)


@breaks("revisions-grow")
class ForgetsUnusedRevisions(MemoryTable):
    """Its revision is that of its latest task."""

    def __init__(self, revision: int) -> None:
        super().__init__(revision)
        self._first = revision

    def revision(self) -> int:
        return self._log_revisions[-1] if self._log_revisions else self._first


@breaks("inserts")
class FindsTheFirstOnly(MemoryTable):
    """Asked for the pending task of a library, it says one that waits longer."""

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        found = super().pending_of(library_id)
        return self.oldest_pending() if found and library_id == "books" else found


@breaks("records-stand-still")
class ChangesRecords(MemoryTable):
    """Writes the changes into the record that it gave out."""

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        super().replace(old, new)
        if new.priority is TaskPriority.HIGH and new.status is TaskStatus.PENDING:
            old.priority = new.priority


@breaks("replaces")
class KeepsPredecessors(MemoryTable):
    """Asked for the pending task of a library, it gives it as it was inserted."""

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        super().replace(old, new)
        if new.status is TaskStatus.PENDING and not old.holds_slot:
            self._pending[new.library_id] = old


@breaks("replace-compares")
class ReplacesWhatever(MemoryTable):
    """Does not look whether the record is current."""

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        super().replace(self._tasks.get(old.id.int, old), new)


@breaks("replace-needs-the-task")
class RaisesTheDead(MemoryTable):
    """Replaces a task that was deleted."""

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        if old.id.int in self._tasks:
            super().replace(old, new)
        else:
            self._tasks[old.id.int] = new


@breaks("pauses")
class PausesForEver(MemoryTable):
    """Cannot be resumed."""

    def set_paused(self, paused: bool) -> None:
        self._paused = self._paused or paused


# --- values ---


@breaks("keeps-every-field")
class ForgetsReasons(AlteringTable):
    """Does not keep why a task ended."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        new.reason = None


@breaks("keeps-every-field", "oldest-is-lowest-rank", "changed-has-the-latest-state")
class LosesLowTasks(MemoryTable):
    """Does not find what is not urgent at all."""

    def get(self, task_id: UUID) -> TaskRecord | None:
        found = super().get(task_id)
        return None if found and found.priority is TaskPriority.LOW else found


@breaks("keeps-odd-texts")
class NormalizesTexts(AlteringTable):
    """Keeps texts in another form of Unicode."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        new.error = new.error and unicodedata.normalize("NFC", new.error)


@breaks("keeps-large-numbers")
class CutsNumbers(AlteringTable):
    """Has 32 bits for each number."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        new.attempt = min(new.attempt, 2**31 - 1)


@breaks("keeps-moments")
class CutsMoments(AlteringTable):
    """Keeps moments to the millisecond."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        started = new.started_at
        if started is not None:
            rounded = started.microsecond // 1000 * 1000
            new.started_at = started.replace(microsecond=rounded)


@breaks("keeps-moments")
class TellsLocalTime(MemoryTable):
    """Gives moments of this century in the zone of its session."""

    def get(self, task_id: UUID) -> TaskRecord | None:
        found = super().get(task_id)
        if found is None or found.started_at is None or not 2000 < found.started_at.year < 9999:
            return found
        local = copy.copy(found)
        local.started_at = found.started_at.astimezone(timezone(timedelta(hours=2)))
        return local


@breaks("tells-libraries-apart")
class IgnoresCase(MemoryTable):
    """Takes "a" for "A"."""

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        found = super().slot_of(library_id)
        if found is None and isinstance(library_id, str):
            return super().slot_of(library_id.upper())
        return found


# --- slots ---


@breaks("keeps-slots")
class SortsSlots(MemoryTable):
    """Gives the slots in the order of their libraries."""

    def slots(self) -> list[Slot]:
        return sorted(super().slots(), key=lambda slot: str(slot.library_id))


@breaks("take-slot-compares")
class OverwritesSlots(MemoryTable):
    """Gives a slot to whoever comes."""

    def take_slot(self, slot: Slot) -> None:
        self._slots[slot.library_id] = slot


@breaks("free-slot-compares")
class FreesForOthers(MemoryTable):
    """Frees the slot of a library, whoever holds it."""

    def free_slot(self, slot: Slot) -> None:
        super().free_slot(self._slots.get(slot.library_id, slot))


@breaks("frees-slots")
class ComparesSlotsByIdentity(MemoryTable):
    """Knows a slot by its object only, which does not come through a file."""

    def free_slot(self, slot: Slot) -> None:
        if self._slots.get(slot.library_id) is not slot:
            raise ValueError("this slot is not held")
        super().free_slot(slot)


# --- order ---


@breaks("urgent-first")
class ClaimsInOrderOfRank(MemoryTable):
    """Claims the oldest first."""

    def first_claimable(self) -> TaskRecord | None:
        free = [task for task in self.pending(None) if task.library_id not in self._slots]
        return min(free, key=lambda task: task.rank, default=None)


@breaks("lower-rank-first")
class OrdersRanksAsTexts(MemoryTable):
    """Has 10 before 9."""

    def pending(self, limit: int | None) -> list[TaskRecord]:
        found = super().pending(None)
        return sorted(found, key=lambda task: (-task.priority, str(task.rank)))[:limit]


@breaks("lower-rank-first", "upgraded-moves-forward", *HEEDING_RANKS)
class OrdersByMomentOfCreation(MemoryTable):
    """Trusts the wall clock."""

    def pending(self, limit: int | None) -> list[TaskRecord]:
        found = super().pending(None)
        return sorted(found, key=lambda task: (-task.priority, task.created_at))[:limit]


@breaks("oldest-is-lowest-rank")
class TakesTheEarliestForTheOldest(MemoryTable):
    """Trusts the wall clock."""

    def oldest_pending(self) -> TaskRecord | None:
        return min(self.pending(None), key=lambda task: task.created_at, default=None)


@breaks("upgraded-moves-forward", "replaces", "replace-compares")
class UpgradesToTheEnd(AlteringTable):
    """Gives a task that was raised a new rank."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        if new.status is TaskStatus.PENDING and new.priority > old.priority:
            new.rank = new.revision


@breaks("claimed-waits-no-more")
class FindsTheEndedWaiting(MemoryTable):
    """Gives the ended task of a library that has no pending one."""

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        ended = self.ended(EVER, 1, library_id)
        return super().pending_of(library_id) or (ended[0] if ended else None)


@breaks("sent-back-keeps-its-rank")
class SendsToTheEnd(AlteringTable):
    """Has a task that was sent back wait from the start."""

    def altered(self, old: TaskRecord, new: TaskRecord) -> None:
        if new.status is TaskStatus.PENDING and old.status is TaskStatus.RUNNING:
            new.rank = new.revision


@breaks("passes-over-taken-libraries", "passes-over-many-taken-libraries")
class LooksAtTwo(MemoryTable):
    """Looks at the first two only."""

    def first_claimable(self) -> TaskRecord | None:
        free = [task for task in self.pending(2) if task.library_id not in self._slots]
        return free[0] if free else None


@breaks("passes-over-many-taken-libraries")
class LooksAtAHundred(MemoryTable):
    """Looks at one page only."""

    def first_claimable(self) -> TaskRecord | None:
        free = [task for task in self.pending(100) if task.library_id not in self._slots]
        return free[0] if free else None


@breaks("nothing-claimable-is-none")
class ClaimsAnyway(MemoryTable):
    """Where nothing is free, it gives what is not."""

    def first_claimable(self) -> TaskRecord | None:
        waiting = self.pending(1)
        return super().first_claimable() or (waiting[0] if waiting else None)


@breaks("oldest-is-lowest-rank")
class TakesTheFirstForTheOldest(MemoryTable):
    """Gives the most urgent one."""

    def oldest_pending(self) -> TaskRecord | None:
        waiting = self.pending(1)
        return waiting[0] if waiting else None


@breaks("gives-all-of-many")
class ListsAHundred(MemoryTable):
    """Takes no limit for a page."""

    def pending(self, limit: int | None) -> list[TaskRecord]:
        return super().pending(100 if limit is None else limit)


@breaks("limits")
class TakesZeroForAll(MemoryTable):
    """Takes a limit of 0 for none."""

    def pending(self, limit: int | None) -> list[TaskRecord]:
        return super().pending(limit or None)


# --- history ---


@breaks("ended-in-order-of-ending", "deletes-earliest-first")
class OrdersByMoment(MemoryTable):
    """Gives the latest moment first, whatever was done to the clock."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        found = super().ended(since, None, library_id)
        return sorted(found, key=lambda task: str(task.completed_at), reverse=True)[:limit]


@breaks("ended-since", "ended-behind-a-clock-set-back", "limits", "gives-all-of-many")
class LeavesOutTheMoment(MemoryTable):
    """Leaves out what ended at the very moment."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        found = super().ended(since, None, library_id)
        return [task for task in found if task.completed_at != since][:limit]


@breaks("ended-behind-a-clock-set-back")
class StopsAtTheFirst(MemoryTable):
    """Stops at the first that is too old."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        found: list[TaskRecord] = []
        for task in super().ended(EVER, None, library_id):
            if task.completed_at is None or task.completed_at < since:
                break
            found.append(task)
        return found[:limit]


@breaks("ended-behind-a-clock-set-back")
class StopsAfterAHundred(MemoryTable):
    """Stops where a hundred were too old."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        found = super().ended(since, None, library_id)
        latest = super().ended(EVER, 100 + len(found), library_id)
        return [task for task in latest if task in found][:limit]


@breaks("ended-of-a-library")
class TakesNumbersForTexts(MemoryTable):
    """Takes 1 for "1" in history."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        found = super().ended(since, None, None)
        of = [task for task in found if str(task.library_id) == str(library_id)]
        return (found if library_id is None else of)[:limit]


@breaks("ended-keeps-its-place")
class MovesWhatChanges(MemoryTable):
    """Gives what has changed last first."""

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        found = super().ended(since, None, library_id)
        return sorted(found, key=lambda task: task.revision, reverse=True)[:limit]


@breaks("changed-in-order")
class BeginsAgainInTheFuture(MemoryTable):
    """Takes a revision that it has not come to for none."""

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        return super().changed(0 if after > self._revision else after, limit)


@breaks("changed-has-the-latest-state", "changed-remembers")
class OrdersByAge(MemoryTable):
    """Gives changes in the order of submission."""

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        return sorted(super().changed(after, None), key=lambda task: task.rank)[:limit]


@breaks("changed-remembers")
class ForgetsOldChanges(MemoryTable):
    """Keeps the last thousand changes, and not those of each task."""

    def _log(self, revision: int, key: int) -> None:
        super()._log(revision, key)
        if len(self._log_tasks) > 1000:
            del self._log_tasks[:-1], self._log_revisions[:-1]


# --- counts ---


@breaks("counts-every-kind")
class CountsFailuresAsCompleted(MemoryTable):
    """Counts what has failed as if it had completed."""

    def counts(self, since: datetime | None = None) -> Counts:
        found = super().counts(since)
        return attrs.evolve(found, completed=found.completed + found.failed, failed=0)


@breaks("counts-slots-whatever-their-task")
class CountsScansAsSlots(MemoryTable):
    """Counts the slots of running and stopping tasks."""

    def counts(self, since: datetime | None = None) -> Counts:
        found = super().counts(since)
        return attrs.evolve(found, slots=found.running + found.stopping)


@breaks("counts-since")
class CountsEverything(MemoryTable):
    """Counts what has expired, too."""

    def counts(self, since: datetime | None = None) -> Counts:
        return super().counts()


# --- deleting ---


@breaks("deletes-what-ended-before")
class DeletesTheMoment(MemoryTable):
    """Deletes what ended at the very moment, too."""

    def delete_ended(self, before: datetime, limit: int) -> int:
        deleted = super().delete_ended(before, limit)
        for key, moment in list(self._ended.items()):
            if moment == before:
                self._delete(key)
        return deleted


@breaks("deletes-what-ended-before")
class DeletesAHundred(MemoryTable):
    """Deletes in pages, and only one."""

    def delete_ended(self, before: datetime, limit: int) -> int:
        return super().delete_ended(before, min(limit, 100))


@breaks("deletes-earliest-first")
class DeletesInOrderOfEnding(MemoryTable):
    """Deletes what ended first, not what has the earliest end."""

    def delete_ended(self, before: datetime, limit: int) -> int:
        tasks = [task for task in self.ended(EVER, None, None)[::-1] if not task.holds_slot]
        due = [task for task in tasks if task.completed_at and task.completed_at < before]
        for task in due[:limit]:
            self._delete(task.id.int)
        return len(due[:limit])


@breaks("keeps-stopping-tasks")
class DeletesStoppingTasks(MemoryTable):
    """Deletes what is still at work."""

    def delete_ended(self, before: datetime, limit: int) -> int:
        deleted = super().delete_ended(before, limit)
        for task in self.ended(EVER, None, None):
            if task.completed_at and task.completed_at < before and deleted < limit:
                self._delete(task.id.int)
                deleted += 1
        return deleted


@breaks("deleted-is-gone")
class RemembersTheDeleted(MemoryTable):
    """Gives what was deleted among the changes."""

    def __init__(self, revision: int) -> None:
        super().__init__(revision)
        self._deleted: list[TaskRecord] = []

    def _delete(self, key: int) -> None:
        self._deleted.append(copy.copy(self._tasks[key]))
        super()._delete(key)

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        gone = [task for task in self._deleted if task.revision > after]
        return (gone + super().changed(after, None))[:limit]
