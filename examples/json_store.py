"""A store of your own: the tasks of one queue in a JSON file, for one process at a time.

It is as small as a durable store can be. Each commit writes the whole file anew, and each question
looks through all tasks: good for some hundreds of them. It needs the file locks of POSIX.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs

from scanqueue import LibraryId, ScanTask, StoreBusyError, StoreCorruptError, StoreError, TaskStatus
from scanqueue.records import Counts, Slot, TaskRecord
from scanqueue.wire import task_from_dict, task_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime


@attrs.define
class State:
    """A queue at one moment. One that was committed is never changed: a write makes the next."""

    revision: int
    is_paused: bool = False
    tasks: dict[UUID, TaskRecord] = attrs.Factory(dict)
    slots: dict[LibraryId, Slot] = attrs.Factory(dict)

    def copy(self) -> State:
        """Return a state of its own; the records in it never change."""
        return State(self.revision, self.is_paused, dict(self.tasks), dict(self.slots))


class JSONView:
    """What can be asked of a state, as `scanqueue.protocols.TaskView` has it.

    Args:
        state: The state.
    """

    def __init__(self, state: State) -> None:
        self.state = state

    def revision(self) -> int:
        """Return the revision of the latest change."""
        return self.state.revision

    def paused(self) -> bool:
        """Return whether new scans are held back."""
        return self.state.is_paused

    def counts(self, since: datetime | None = None) -> Counts:
        """Count everything, but for what `delete_ended` would delete before a moment."""
        gone = set() if since is None else {task.id for task in self._deletable(since)}
        tasks = [task for task in self.state.tasks.values() if task.id not in gone]
        by_status = {
            status.value: sum(task.status is status for task in tasks) for status in TaskStatus
        }
        stopping = sum(task.is_stopping for task in tasks)
        return Counts(**by_status, stopping=stopping, slots=len(self.state.slots))

    def get(self, task_id: UUID) -> TaskRecord | None:
        """Return a task, or None."""
        return self.state.tasks.get(task_id)

    def pending_of(self, library_id: LibraryId) -> TaskRecord | None:
        """Return the pending task of a library, or None."""
        return next((task for task in self.pending(None) if task.library_id == library_id), None)

    def slot_of(self, library_id: LibraryId) -> Slot | None:
        """Return the slot of a library, or None."""
        return self.state.slots.get(library_id)

    def slots(self) -> list[Slot]:
        """Return the slots that are held, first taken first: dicts keep that order."""
        return list(self.state.slots.values())

    def first_claimable(self) -> TaskRecord | None:
        """Return the first pending task whose library is free, or None."""
        free = (task for task in self.pending(None) if task.library_id not in self.state.slots)
        return next(free, None)

    def oldest_pending(self) -> TaskRecord | None:
        """Return the pending task of the lowest rank, or None."""
        return min(self.pending(None), key=attrgetter("rank"), default=None)

    def pending(self, limit: int | None) -> list[TaskRecord]:
        """Return the pending tasks, in order of claim."""
        waiting = (task for task in self.state.tasks.values() if task.status is TaskStatus.PENDING)
        return sorted(waiting, key=lambda task: (-task.priority, task.rank))[:limit]

    def ended(
        self, since: datetime, limit: int | None, library_id: LibraryId | None
    ) -> list[TaskRecord]:
        """Return what ended since a moment, the highest rank first."""
        ended = [
            task
            for task in self.state.tasks.values()
            if task.completed_at is not None
            and task.completed_at >= since
            and library_id in {None, task.library_id}
        ]
        return sorted(ended, key=attrgetter("rank"), reverse=True)[:limit]

    def changed(self, after: int, limit: int | None) -> list[TaskRecord]:
        """Return what changed after a revision, in order of revision."""
        changed = (task for task in self.state.tasks.values() if task.revision > after)
        return sorted(changed, key=attrgetter("revision"))[:limit]

    def _deletable(self, before: datetime) -> list[TaskRecord]:
        """Return what ended before a moment and holds no slot, the earliest end first."""
        ended = [
            (task.completed_at, task.rank, task)
            for task in self.state.tasks.values()
            if task.completed_at is not None and task.completed_at < before and not task.holds_slot
        ]
        return [task for _, _, task in sorted(ended)]


class JSONTable(JSONView):
    """What can be done to a state, as `scanqueue.protocols.TaskTable` has it."""

    def next_revision(self) -> int:
        """Return the next revision."""
        self.state.revision += 1
        return self.state.revision

    def insert(self, task: TaskRecord) -> None:
        """Add a task."""
        self.state.tasks[task.id] = task

    def replace(self, old: TaskRecord, new: TaskRecord) -> None:
        """Put a successor in the place of a record that is current."""
        if self.state.tasks.get(old.id) is not old:
            message = f"task {old.id} has changed since it was read"
            raise ValueError(message)
        self.state.tasks[new.id] = new

    def take_slot(self, slot: Slot) -> None:
        """Take a slot that is free."""
        if slot.library_id in self.state.slots:
            message = f"the slot of library {slot.library_id!r} is held"
            raise ValueError(message)
        self.state.slots[slot.library_id] = slot

    def free_slot(self, slot: Slot) -> None:
        """Free a slot that is held."""
        if self.state.slots.get(slot.library_id) != slot:
            message = f"this slot of library {slot.library_id!r} is not held"
            raise ValueError(message)
        del self.state.slots[slot.library_id]

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - the protocol has it so
        """Pause or resume."""
        self.state.is_paused = paused

    def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete what ended before a moment, the earliest end first; return how many."""
        tasks = self._deletable(before)[:limit]
        for task in tasks:
            del self.state.tasks[task.id]
        return len(tasks)


class JSONStore:
    """Keeps the tasks of one queue in a JSON file, as `scanqueue.TaskStore` has it.

    Args:
        path: The file; a lock is kept beside it.
    """

    durable = True
    """Tasks outlive the process."""
    shared = False
    """A second process is refused."""
    progress_interval = 1.0
    """Every report writes the file: once a second is enough."""
    poll_interval = None
    """There are no other processes to look for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._begin()

    def _begin(self) -> None:
        self._writing = threading.Lock()
        self._state = State(0)
        self._owner = ""
        self._lock_file: int | None = None

    def open(self, owner: str, first_revision: int) -> None:
        """Lock the file, and read it, or begin a new queue."""
        self._owner = owner
        try:
            self._lock()
            self._state = self._load() or State(first_revision)
        except BaseException:
            self.close()  # who failed must not keep others out
            raise

    def _lock(self) -> None:
        try:
            self._lock_file = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another process uses {self.path}"
            raise StoreBusyError(message) from error
        except OSError as error:
            message = f"{self.path} cannot be locked: {error}"
            raise StoreError(message) from error

    def close(self) -> None:
        """Give the file up; reads still answer."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def after_fork(self) -> None:
        """Begin anew: what this process has inherited is its parent's."""
        self.close()
        self._begin()

    @contextmanager
    def read(self) -> Iterator[JSONView]:
        """Give the latest state, which stands still: there is nothing to lock."""
        yield JSONView(self._state)

    @contextmanager
    def write(self, *, sync: bool = True) -> Iterator[JSONTable]:
        """Give a copy of the state, which takes the place of the state when it is in the file."""
        with self._writing:
            state = self._state.copy()
            yield JSONTable(state)  # an exception in the block goes on from here: nothing is kept
            if state != self._state:
                self._save(state, sync=sync)
                self._state = state

    def dead_owners(self, owners: Collection[str]) -> Collection[str]:
        """Return all others: who has the lock is the only one alive."""
        return [owner for owner in owners if owner != self._owner]

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        """Do nothing: nobody else changes the queue."""

    def _save(self, state: State, *, sync: bool) -> None:
        """Write a new file, and put it in the place of the old one: never half of it.

        What is new must be on disk before, also where it could be lost: after a power cut, an empty
        file could stand in the place of a good one. Its new name may come later.
        """
        if self._lock_file is None:
            message = f"{self.path} is not open"
            raise StoreError(message)
        draft = self.path.with_name(f"{self.path.name}.draft")
        try:
            with draft.open("w", encoding="utf-8") as file:
                json.dump(to_json(state), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            if sync:
                sync_folder(self.path.parent)
        except OSError as error:
            message = f"{self.path} cannot be written: {error}"
            raise StoreError(message) from error

    def _load(self) -> State | None:
        try:
            return from_json(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            message = f"{self.path} is damaged: {error}"
            raise StoreCorruptError(message) from error
        except OSError as error:
            message = f"{self.path} cannot be read: {error}"
            raise StoreError(message) from error


def sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder: that of a new file can be lost otherwise."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def to_json(state: State) -> dict[str, Any]:
    """Return a state as JSON: its tasks in their wire form, and what that leaves out."""
    return {
        "revision": state.revision,
        "is_paused": state.is_paused,
        "tasks": [
            {"rank": task.rank, **task_to_dict(task.snapshot())} for task in state.tasks.values()
        ],
        "slots": [
            attrs.asdict(slot) | {"task_id": str(slot.task_id)} for slot in state.slots.values()
        ],
    }


def from_json(data: dict[str, Any]) -> State:
    """Return the state that was written.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is no JSON of a state.
        ValueError: A task is damaged.
    """
    tasks = [record(task_from_dict(each), each["rank"]) for each in data["tasks"]]
    slots = [Slot(**each | {"task_id": UUID(each["task_id"])}) for each in data["slots"]]
    return State(
        data["revision"],
        data["is_paused"],
        {task.id: task for task in tasks},
        {slot.library_id: slot for slot in slots},
    )


def record(task: ScanTask, rank: int) -> TaskRecord:
    """Return the record of a task."""
    fields = {field.name: getattr(task, field.name) for field in attrs.fields(ScanTask)}
    return TaskRecord(**fields, rank=rank)
