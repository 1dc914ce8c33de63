"""The tasks of one queue in a database: the view and the table of the `SQLiteStore`.

They know no rule of the queue, no lock and no transaction. Whatever SQLite raises goes through:
the transaction around them explains it. Complexities are those that `TaskView` promises; every
question is answered from an index.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from itertools import compress
from operator import attrgetter, ne
from typing import TYPE_CHECKING, NoReturn, cast

import attrs

from scanqueue._validate import MAX_INT
from scanqueue.models import TaskPriority, TaskStatus
from scanqueue.stores._sqlite_rows import (
    CHANGING_COLUMNS,
    FIXED_COLUMNS,
    NEW_COLUMNS,
    decode,
    decode_slot,
    encode_changing,
    encode_new,
    to_microseconds,
)
from scanqueue.stores._sqlite_schema import UNREADABLE
from scanqueue.stores._sqlite_state import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Any, TypeVar
    from uuid import UUID

    from scanqueue.models import LibraryId
    from scanqueue.records import Counts, Slot, TaskRecord
    from scanqueue.stores._sqlite_rows import Row
    from scanqueue.stores._sqlite_state import QueueState
    from scanqueue.stores._unreadable import Unreadable

    T = TypeVar("T")

_COLUMNS = ", ".join((*FIXED_COLUMNS, *CHANGING_COLUMNS))


def _select(what: str) -> str:
    return f"SELECT seq, {_COLUMNS} FROM tasks WHERE {what}"  # noqa: S608 - constants only


GET = _select(f"id = ? AND status <> '{UNREADABLE}'")
PENDING_OF = _select("library_id = ? AND status = 'pending'")
HAS = (
    "SELECT 'pending' FROM tasks WHERE library_id = ? AND status = 'pending'"
    " UNION ALL SELECT 'slot' FROM slots WHERE library_id = ?"
)
"""What a library has: a pending task, a slot that is held."""
SLOTS = "SELECT seq, library_id, task_id, attempt, owner FROM slots ORDER BY seq"
SLOT_OF = "SELECT seq, library_id, task_id, attempt, owner FROM slots WHERE library_id = ?"
FIRST_CLAIMABLE = _select(
    "status = 'pending'"
    " AND NOT EXISTS (SELECT 1 FROM slots WHERE slots.library_id = tasks.library_id)"
    " ORDER BY priority DESC, rank"
)
OLDEST_PENDING = _select("status = 'pending' AND priority = ? ORDER BY rank")
PENDING = _select("status = 'pending' ORDER BY priority DESC, rank")
ENDED = _select("ended_by >= ? AND completed_at >= ? ORDER BY ended_by DESC, rank DESC")
ENDED_OF = _select(
    "library_id = ? AND ended_by >= ? AND completed_at >= ? ORDER BY ended_by DESC, rank DESC"
)
CHANGED = _select(
    f"revision > ? AND revision <> seq AND status <> '{UNREADABLE}' ORDER BY revision"
)
UNCHANGED = _select(
    f"seq > ? AND seq <= ? AND revision = seq AND status <> '{UNREADABLE}' ORDER BY seq"
)
"""The tasks with which nothing has happened since they were added."""
LATEST_END = (
    "SELECT ended_by FROM tasks WHERE ended_by IS NOT NULL AND typeof(ended_by) = 'integer'"
    " ORDER BY ended_by DESC LIMIT 1"
)
EXPIRED = (
    "SELECT seq, status FROM tasks"
    " WHERE ended_by IS NOT NULL AND holds_slot = 0 AND completed_at < ?"
    " ORDER BY completed_at LIMIT ?"
)
COUNT_EXPIRED = (
    "SELECT total(status = 'completed'), total(status = 'failed'), total(status = 'cancelled')"
    " FROM tasks WHERE ended_by IS NOT NULL AND holds_slot = 0 AND completed_at < ?"
)

_TAKE_SLOT = "INSERT INTO slots (library_id, task_id, attempt, owner) VALUES (?, ?, ?, ?)"
_FREE_SLOT = "DELETE FROM slots WHERE library_id = ? AND task_id = ? AND attempt = ? AND owner = ?"
_SET_ASIDE = f"UPDATE tasks SET status = '{UNREADABLE}', ended_by = NULL WHERE seq = ?"  # noqa: S608
_COUNT_ALL = (
    "SELECT status, count(*), total(ended_by IS NOT NULL AND holds_slot) FROM tasks GROUP BY status"
)


def _insert(columns: Sequence[str]) -> str:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return (
        "INSERT INTO tasks (status, scanned_paths, attempt, interruptions, holds_slot,"  # noqa: S608 - columns
        f" {names}) VALUES ('pending', 0, 0, 0, 0, {marks})"
    )


_INSERTS = {len(columns): _insert(columns) for columns in (NEW_COLUMNS[:-1], NEW_COLUMNS)}
"""By the number of values: to bind a NULL takes as long as to bind three numbers."""


@lru_cache
def _update(*columns: str) -> str:
    assignments = " = ?, ".join(columns)
    return f"UPDATE tasks SET {assignments} = ? WHERE id = ? AND revision = ?"  # noqa: S608 - columns


class _Ended:
    """What a table has instead of a cursor when its block is over."""

    def execute(self, *_: object) -> NoReturn:
        message = "the transaction of this table is over; begin another one"
        raise RuntimeError(message)

    executemany = execute


_ENDED = cast("sqlite3.Cursor", _Ended())


class SQLiteView:
    """A `TaskView` of a database, inside one transaction.

    Args:
        cursor: Where the transaction is. All statements are run on this one: the next one, or the
            end of the transaction, ends one that was left, or interrupted, before its last row.
        path: The file, for errors.
        reported: The records that are known to be unreadable.
    """

    __slots__ = ("_cursor", "_free_library", "_path", "_reported", "_state")

    def __init__(self, cursor: sqlite3.Cursor, path: str, reported: Unreadable) -> None:
        self._cursor = cursor
        self._path = path
        self._reported = reported
        self._state: QueueState | None = None
        self._free_library: LibraryId | None = None
        """One that is known to have no slot."""

    @property
    def state(self) -> QueueState:
        """The queue as a whole, read at the first need."""
        if self._state is None:
            self._state = load(self._cursor, self._path)
        return self._state

    def revision(self) -> int:
        return self.state.revision

    def paused(self) -> bool:
        return self.state.paused

    def counts(self, since: datetime | None = None) -> Counts:
        counts = self.state.counts()
        if since is None:
            return counts
        row = self._cursor.execute(COUNT_EXPIRED, (to_microseconds(since),)).fetchone()
        completed, failed, cancelled = row
        return attrs.evolve(
            counts,
            completed=counts.completed - int(completed),
            failed=counts.failed - int(failed),
            cancelled=counts.cancelled - int(cancelled),
        )

    def get(self, task_id: UUID) -> TaskRecord | None:
        return self._record(GET, (task_id.bytes,))

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        # Mostly there is none. With all columns it takes long to say so; and who asks for this
        # asks for the slot next.
        found = self._cursor.execute(HAS, (library_id, library_id)).fetchall()
        if not found:
            self._free_library = library_id
            return None
        self._free_library = None if ("slot",) in found else library_id
        return self._record(PENDING_OF, (library_id,)) if ("pending",) in found else None

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        if library_id == self._free_library:
            return None
        slots = self._slots(SLOT_OF, (library_id,))
        return slots[0] if slots else None

    def slots(self) -> list[Slot]:
        return self._slots(SLOTS, ())

    def first_claimable(self) -> TaskRecord | None:
        task = self._record(FIRST_CLAIMABLE, ())
        if task is not None:
            task.holds_slot = False  # nobody has the slot; a record that says so was damaged
        return task

    def oldest_pending(self) -> TaskRecord | None:
        firsts = [self._record(OLDEST_PENDING, (priority.value,)) for priority in TaskPriority]
        return min(
            (task for task in firsts if task is not None),
            key=lambda task: task.rank,
            default=None,
        )

    def pending(self, limit: int | None) -> list[TaskRecord]:
        return self._records(PENDING, (), limit)

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        moment = to_microseconds(since)
        if library_id is None:
            return self._records(ENDED, (moment, moment), limit)
        return self._records(ENDED_OF, (library_id, moment, moment), limit)

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        # The others up to the last of these, and no further: all pages together read each row once.
        changed = self._records(CHANGED, (after,), limit)
        last = changed[-1].revision if changed and len(changed) == limit else MAX_INT
        unchanged = self._records(UNCHANGED, (after, last), limit)
        return sorted(unchanged + changed, key=attrgetter("revision"))[:limit]

    def _record(self, query: str, values: Row) -> TaskRecord | None:
        found = self._records(query, values, 1)
        return found[0] if found else None

    def _records(self, query: str, values: Row, limit: int | None) -> list[TaskRecord]:
        return self._read("tasks", decode, query, values, limit)

    def _slots(self, query: str, values: Row) -> list[Slot]:
        return self._read("slots", decode_slot, query, values, None)

    def _read(
        self, kind: str, decode: Callable[[Row], T], query: str, values: Row, limit: int | None
    ) -> list[T]:
        """Return what can be read of the answer to a query, at most `limit`.

        The limit is not SQLite's: a record that cannot be read must not count.
        """
        found: list[T] = []
        if limit == 0:
            return found
        broken: list[int] = []
        for row in self._cursor.execute(query, values):
            try:
                found.append(decode(row))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it
                broken.append(row[0])
                self._report(kind, row[0], error)
            else:
                if len(found) == limit:
                    break
        for number in broken:
            self._set_aside(kind, number)
        return found

    def _report(self, kind: str, number: int, error: Exception) -> None:
        self._reported.note(self._path, kind, number, error)

    def _set_aside(self, kind: str, number: int) -> None:
        """Do nothing: a view cannot write."""


class SQLiteTable(SQLiteView):
    """A `TaskTable` in a database, inside one transaction.

    Args:
        cursor: Where the transaction is.
        path: The file, for errors.
        reported: The records that are known to be unreadable.
        state: The queue as a whole; whoever commits saves it.
    """

    __slots__ = ("state",)

    state: QueueState  # in the place of the property: whoever writes knows it

    def __init__(
        self, cursor: sqlite3.Cursor, path: str, reported: Unreadable, state: QueueState
    ) -> None:
        super().__init__(cursor, path, reported)
        self.state = state

    def end(self) -> None:
        """Let go of the transaction; whoever has kept the table cannot use it any more."""
        self._cursor = _ENDED

    def slots(self) -> list[Slot]:
        slots = super().slots()
        self.state.set_slots(len(slots))  # a count that was damaged would hold scans back for ever
        return slots

    def next_revision(self) -> int:
        return self.state.next_revision()

    def insert(self, task: TaskRecord) -> None:
        values = encode_new(task)
        self._cursor.execute(_INSERTS[len(values)], values)
        self.state.add()

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        values, were = encode_changing(new), encode_changing(old)
        changes: dict[str, Any] = {"revision": new.revision}
        changes |= compress(zip(CHANGING_COLUMNS, values, strict=True), map(ne, values, were))
        if new.status.is_ended and not old.status.is_ended:
            assert new.completed_at is not None
            changes["ended_by"] = self._latest_end(to_microseconds(new.completed_at))
        statement = _update(*changes)
        parameters = (*changes.values(), bytearray(new.id.bytes), old.revision)
        try:
            updated = self._cursor.execute(statement, parameters)
        except sqlite3.IntegrityError:
            self._set_lost_aside(new)
            updated = self._cursor.execute(statement, parameters)
        if updated.rowcount != 1:
            message = f"task {new.id} has changed since it was read"
            raise ValueError(message)
        self.state.exchange(old, new)

    def _set_lost_aside(self, task: TaskRecord) -> None:
        """Set aside what runs in the library of a task that is claimed: its slot was damaged."""
        query = "SELECT seq FROM tasks WHERE library_id = ? AND status = 'running'"
        for (number,) in self._cursor.execute(query, (task.library_id,)).fetchall():
            self._report("tasks", number, ValueError("it runs without a slot"))
            self._set_aside("tasks", number)

    def _latest_end(self, end: int) -> int:
        latest = self._cursor.execute(LATEST_END).fetchone()
        return end if latest is None else max(latest[0], end)

    def take_slot(self, slot: Slot) -> None:
        values = (slot.library_id, slot.task_id.bytes, slot.attempt, slot.owner)
        self._free_library = None
        try:
            self._cursor.execute(_TAKE_SLOT, values)
        except sqlite3.IntegrityError as error:
            message = f"the slot of library {slot.library_id!r} is held"
            raise ValueError(message) from error
        self.state.set_slots(self.state.slots + 1)

    def free_slot(self, slot: Slot) -> None:
        values = (slot.library_id, slot.task_id.bytes, slot.attempt, slot.owner)
        if self._cursor.execute(_FREE_SLOT, values).rowcount != 1:
            message = f"this slot of library {slot.library_id!r} is not held"
            raise ValueError(message)
        self.state.set_slots(self.state.slots - 1)

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a state, not a switch
        self.state.set_paused(paused)

    def delete_ended(self, before: datetime, limit: int) -> int:
        rows = self._cursor.execute(EXPIRED, (to_microseconds(before), limit)).fetchall()
        if rows:
            self._cursor.executemany(
                "DELETE FROM tasks WHERE seq = ?", [(number,) for number, _ in rows]
            )
            for _, status in rows:
                if status in self.state.by_status:
                    self.state.delete(TaskStatus(status))
                else:
                    self._count_again()
                    break
        return len(rows)

    def _set_aside(self, kind: str, number: int) -> None:
        """Take a record out of all indexes and counts, so that its library works again."""
        if kind == "tasks":
            self._cursor.execute(_SET_ASIDE, (number,))
        else:
            self._cursor.execute("DELETE FROM slots WHERE seq = ?", (number,))
        self._count_again()
        self.next_revision()  # nobody's, but who polls for it looks again

    def _count_again(self) -> None:
        """Count everything, since nobody knows what the record counted as. O(n), and rare."""
        self.state.count(self._cursor.execute(_COUNT_ALL).fetchall())
        self.state.set_slots(*self._cursor.execute("SELECT count(*) FROM slots").fetchone())
