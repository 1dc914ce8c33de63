"""Stores that each break one promise: of transactions, threads, restarts, sharing and forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from collections.abc import Collection as Some
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias
from uuid import UUID

from json_store import JSONStore, JSONTable, State
from scanqueue import SQLiteStore, StoreError
from scanqueue.protocols import TaskTable, TaskView
from scanqueue.records import Slot, TaskRecord
from scanqueue.stores import MemoryStore
from scanqueue.stores._table import MemoryTable
from tests.service.shared_store import DurableStore, SharedStore, copy_of
from tests.service.tools import Call
from tests.testing.broken import Collection
from tests.testing.plain_store import PlainStore

broken_stores: Collection[Callable[[], Any]] = Collection()
breaks = broken_stores.breaks


# --- what can be asked of it at all ---


@breaks("has-the-methods")
class HasNoWeakReferences:
    """Cannot be weakly referenced."""

    __slots__ = ("_store",)

    durable = shared = False
    progress_interval = 0.1
    poll_interval = None

    def __getattr__(self, name: str) -> object:
        return getattr(MemoryStore(), name)


@breaks("has-the-methods")
class LacksMethods:
    """Has no `attach`."""

    durable = shared = False
    progress_interval = 0.1
    poll_interval = None
    open = close = after_fork = read = write = dead_owners = lambda self: None


@breaks("has-the-methods")
class SaysNoBool(PlainStore):
    """Says how durable it is, in words."""

    durable = "very"  # type: ignore[assignment]


@breaks("has-the-methods")
class PollsBackwards(PlainStore):
    """Is to be looked at before it has changed."""

    poll_interval = -1.0


@breaks("has-the-methods")
class NeverPublishes(PlainStore):
    """Takes for ever between two reports."""

    progress_interval = float("inf")


@breaks("has-the-methods")
class SaysNoNumber(PlainStore):
    """Says that it has an interval."""

    progress_interval = True


@breaks("opens")
class CannotBeOpened(PlainStore):
    """Has no file."""

    def open(self, owner: str, first_revision: int) -> None:
        raise StoreError("there is no file")


class LacksAnAnswer(MemoryTable):
    """Cannot say what waits."""

    pending = None  # type: ignore[assignment]


@breaks("opens")
class GivesHalfATable(PlainStore):
    """Has a table with a method too few."""

    def open(self, owner: str, first_revision: int) -> None:
        self._table = LacksAnAnswer(first_revision)


# --- transactions ---


class Proxy:
    """A table, some of whose answers are its own."""

    def __init__(self, table: Any) -> None:
        self._inner = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WrappingStore(PlainStore):
    """A store whose transactions are written down as generators."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Give what a read sees."""
        with self._lock:
            yield self._table

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        """Give what a write works on."""
        with self._lock:
            yield self._table

    def read(self) -> AbstractContextManager[TaskView]:  # type: ignore[override]
        return self.reading()

    def write(self, *, sync: bool = True) -> AbstractContextManager[TaskTable]:  # type: ignore[override]
        return self.writing(sync=sync)


class TableOfAThread(Proxy):
    """Has tasks on the main thread of the store only."""

    def get(self, task_id: UUID) -> TaskRecord | None:
        found: TaskRecord | None = self._inner.get(task_id)
        return found if self._inner.thread == threading.get_ident() else None


@breaks("commits", "reads-after-close")
class AnswersOneThread(WrappingStore):
    """Answers the thread that has opened it."""

    def open(self, owner: str, first_revision: int) -> None:
        super().open(owner, first_revision)
        self._table.thread = threading.get_ident()  # type: ignore[attr-defined]

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self._lock:
            yield TableOfAThread(self._table)


@breaks("commits-what-need-not-be-safe")
class DropsWhatNeedNotBeSafe(WrappingStore):
    """Takes `sync=False` for leave to lose it."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            yield self._table if sync else copy_of(self._table)


@breaks("changes-nothing-unasked")
class CountsWrites(WrappingStore):
    """Takes a revision for every write."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            self._table.next_revision()
            yield self._table


class Buffering(Proxy):
    """Shows slots when they are committed."""

    def __init__(self, table: Any) -> None:
        super().__init__(table)
        self._fresh: list[object] = []

    def take_slot(self, slot: Slot) -> None:
        self._inner.take_slot(slot)
        self._fresh.append(slot.library_id)

    def slot_of(self, library_id: object) -> Slot | None:
        found: Slot | None = self._inner.slot_of(library_id)
        return None if library_id in self._fresh else found


@breaks("sees-its-own-writes")
class ShowsCommitsOnly(WrappingStore):
    """Inside a write, it shows what was before."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            yield Buffering(self._table)


@breaks("reads-one-moment")
class ReadsWhatComes(WrappingStore):
    """A read waits for the write before it, but does not hold up the next."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self._lock:
            table = self._table
        yield table


@breaks("hides-what-is-not-committed")
class ReadsDirt(WrappingStore):
    """A read does not wait for the write before it."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        is_free = self._lock.acquire(blocking=False)
        try:
            yield self._table
        finally:
            if is_free:
                self._lock.release()


@breaks("writes-are-serial", "many-threads-write")
class LastOneWins(WrappingStore):
    """Each write works on a copy of its own, and puts it in the place of the others'."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            table = copy_of(self._table)
        yield table
        with self._lock:
            self._table = table


@breaks("many-threads-write")
class TakesThreeThreads(WrappingStore):
    """Has a connection for each of three threads."""

    def open(self, owner: str, first_revision: int) -> None:
        super().open(owner, first_revision)
        self._threads: set[threading.Thread] = set()

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            self._threads.add(threading.current_thread())
            if len(self._threads) > 3:
                raise StoreError("out of connections")
            yield self._table


Rule: TypeAlias = Callable[[Any], Any]


class Running:
    """A write that can run a rule."""

    def __init__(self, write: AbstractContextManager[Any], run: Callable[..., Any]) -> None:
        self._write = write
        self.run = partial(run, write)

    def __enter__(self) -> Any:
        return self._write.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._write.__exit__(kind, error, traceback)


class RunningStore(PlainStore):
    """A store whose writes can run a rule."""

    def write(self, *, sync: bool = True) -> Any:
        return Running(super().write(sync=sync), self.run)

    def run(self, write: AbstractContextManager[Any], rule: Rule, *, anywhere: bool) -> Any:
        """Run it here."""
        with write as table:
            return rule(table)


@breaks("runs-rules", "runs-rules-of-many-threads")
class RunsForNothing(RunningStore):
    """Keeps the answers of rules to itself."""

    def run(self, *arguments: Any, anywhere: bool) -> None:
        super().run(*arguments, anywhere=anywhere)


@breaks("runs-rules", "runs-rules-of-many-threads")
class IsNotAskedWhere(RunningStore):
    """Runs rules, but cannot be told where."""

    def run(self, *arguments: Any) -> Any:  # type: ignore[override]
        return super().run(*arguments, anywhere=True)


@breaks("runs-rules")
class RunsIntoNothing(RunningStore):
    """A rule that fails just ends."""

    def run(self, *arguments: Any, anywhere: bool) -> Any:
        with suppress(LookupError):
            return super().run(*arguments, anywhere=anywhere)


@breaks("runs-rules-of-many-threads")
class RunsAside(RunningStore):
    """Runs rules on threads of its own."""

    def run(self, *arguments: Any, anywhere: bool) -> Any:
        return Call(partial(super().run, *arguments, anywhere=anywhere)).result()


@breaks("runs-rules-of-many-threads", "runs-rules")
class MixesAnswersUp(RunningStore):
    """Has one place for the answers of all."""

    def run(self, *arguments: Any, anywhere: bool) -> Any:
        answers: list[object] = self.__dict__.setdefault("answers", [])
        answers.append(super().run(*arguments, anywhere=anywhere))
        return answers[0]


@breaks("exceptions-go-through")
class SwallowsErrors(WrappingStore):
    """A write that fails just ends."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock, suppress(LookupError):
            yield self._table


@breaks("exceptions-go-through", "goes-on-after-exceptions")
class TranslatesErrors(WrappingStore):
    """A write that fails raises a `StoreError`."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            try:
                yield self._table
            except LookupError as error:
                raise StoreError("it was rolled back") from error


@breaks("goes-on-after-exceptions")
class GivesUp(WrappingStore):
    """Takes no write after one that was interrupted."""

    was_interrupted = False

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        if self.was_interrupted:
            raise StoreError("the transaction is aborted")
        with self._lock:
            try:
                yield self._table
            except BaseException as error:
                self.was_interrupted = not isinstance(error, Exception)
                raise


@breaks("leaves-all-or-nothing")
class LeavesAPart(WrappingStore):
    """Takes back a pause, and nothing else."""

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            try:
                yield self._table
            except BaseException:
                self._table.set_paused(False)
                raise


@breaks("reads-after-close")
class ClosesForGood(WrappingStore):
    """Does not answer after it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    @contextmanager
    def reading(self) -> Iterator[Any]:
        if self.is_closed:
            raise StoreError("it is closed")
        with self._lock:
            yield self._table


@breaks("no-owner-is-dead-for-nothing")
class DeclaresAllDead(PlainStore):
    """Says of each owner that it is dead."""

    def dead_owners(self, owners: Some[str]) -> Some[str]:
        return owners


@breaks("attaches")
class CallsForItsOwn(WrappingStore):
    """Calls for its own changes."""

    def attach(self, on_foreign_change: Callable[[], None]) -> None:
        self.tell = on_foreign_change

    @contextmanager
    def writing(self, *, sync: bool) -> Iterator[Any]:
        with self._lock:
            yield self._table
        getattr(self, "tell", list)()


@breaks("works-after-fork", "does-not-hang-after-fork")
class KeepsTheParentsTasks(PlainStore):
    """In a child, it goes on with the tasks of the parent."""

    def after_fork(self) -> None:
        table = getattr(self, "_table", None)
        super().after_fork()
        self.kept = table

    def open(self, owner: str, first_revision: int) -> None:
        super().open(owner, first_revision)
        if self.kept is not None:
            self._table = self.kept


@breaks("does-not-hang-after-fork")
class KeepsTheParentsLock(PlainStore):
    """In a child, it waits for a thread of the parent."""

    def after_fork(self) -> None:
        if not hasattr(self, "_lock"):
            super().after_fork()


# --- restarts: a queue that one store has at a time ---

broken_durable_stores: Collection[type[SharedStore]] = Collection()
broken_shared_stores: Collection[type[SharedStore]] = Collection()
restarts = broken_durable_stores.breaks
broken_files: Collection[type[JSONStore]] = Collection()
breaks_files = broken_files.breaks
shares = broken_shared_stores.breaks
broken_shared_files: Collection[type[SQLiteStore]] = Collection()
breaks_shared_files = broken_shared_files.breaks


@restarts("keeps-tasks-over-restarts")
class ForgetsPauses(DurableStore):
    """Is not paused after a restart."""

    def open(self, owner: str, first_revision: int) -> None:
        super().open(owner, first_revision)
        self.table().set_paused(False)


@restarts("revisions-go-on-over-restarts")
class BeginsAnew(DurableStore):
    """Takes the revision that it is given, if that is higher."""

    def open(self, owner: str, first_revision: int) -> None:
        super().open(owner, first_revision)
        table = self.table()
        table._revision = max(table._revision, first_revision)


@restarts("earlier-owners-are-dead")
class DeclaresNobodyDead(DurableStore):
    """Takes every owner for alive."""

    def dead_owners(self, owners: Some[str]) -> Some[str]:
        return ()


@restarts("leaves-all-or-nothing")
class KeepsWhatWasBrokenOff(DurableStore):
    """Commits a write that was left by an exception."""

    @contextmanager
    def _writing(self) -> Iterator[TaskTable]:
        with self.queue.writing:
            table = copy_of(self.table())
            try:
                yield table
            finally:
                self.queue.table = table


@restarts("runs-rules")
class KeepsWhatARuleBegan(DurableStore):
    """Commits what a rule did that raises."""

    def write(self, *, sync: bool = True) -> Any:
        return Running(super().write(sync=sync), self.run)

    def run(self, write: AbstractContextManager[Any], rule: Rule, *, anywhere: bool) -> Any:
        """Run it here."""
        with write as table:
            try:
                return rule(table)
            except BaseException as error:
                raised = error
        raise raised


@breaks_files("keeps-what-a-killed-process-wrote")
class WritesAtTheEnd(JSONStore):
    """Keeps everything in memory until it is closed."""

    def _save(self, state: State, *, sync: bool) -> None:
        self.latest = state

    def close(self) -> None:
        if self._lock_file is not None:
            super()._save(self._state, sync=False)
        super().close()


@breaks_files("drops-what-a-killed-process-began")
class WritesAtOnce(JSONStore):
    """Writes what comes first as it comes."""

    @contextmanager
    def write(self, *, sync: bool = True) -> Iterator[JSONTable]:
        with self._writing:
            state = self._state.copy()
            yield SavingTable(state, lambda: self._save(state, sync=False))
            self._save(state, sync=False)
            self._state = state


class SavingTable(JSONTable):
    """Has the first task saved as soon as it is inserted."""

    def __init__(self, state: State, save: Callable[[], None]) -> None:
        super().__init__(state)
        self._save = save

    def insert(self, task: TaskRecord) -> None:
        super().insert(task)
        if len(self.state.tasks) == 1:
            self._save()


# --- sharing ---


@shares("others-see-commits", "close-leaves-others-alone", "writes-of-all-are-serial")
class ReadsACache(SharedStore):
    """Sees what others write when it writes itself."""

    cache: MemoryTable | None = None

    def open(self, owner: str, first_revision: int) -> None:
        super().open(owner, first_revision)
        self.cache = copy_of(self.table())

    @contextmanager
    def _reading(self) -> Iterator[TaskView]:
        assert self.cache is not None
        yield self.cache

    @contextmanager
    def _writing(self) -> Iterator[TaskTable]:
        with super()._writing() as table:
            yield table
        self.cache = copy_of(self.table())


@shares("reads-one-moment-of-all", "reads-one-moment")
class ReadsTheLatest(SharedStore):
    """Inside a read, it shows each commit."""

    @contextmanager
    def _reading(self) -> Iterator[TaskView]:
        yield Latest(self)


class Latest:
    """Whatever is the table now."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store.table(), name)


@shares("writes-of-all-are-serial")
class HasALockOfItsOwn(SharedStore):
    """Its writes are serial, but not with those of other stores."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._own = threading.Lock()

    @contextmanager
    def _writing(self) -> Iterator[TaskTable]:
        with self._own:
            table = copy_of(self.table())
            yield table
            self.queue.table = table


@shares("open-owners-are-alive", "close-leaves-others-alone")
class DeclaresOthersDead(SharedStore):
    """Takes every other owner for dead."""

    def dead_owners(self, owners: Some[str]) -> Some[str]:
        return set(owners) - {self.owner}


@shares("close-leaves-others-alone")
class ClosesForAll(SharedStore):
    """Gives up the signs of life of all."""

    def close(self) -> None:
        super().close()
        self.queue.alive.clear()


@shares("tells-or-is-polled")
class NeitherTellsNorIsPolled(SharedStore):
    """Has no interval, and does not call either."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "poll_interval": None, "tells": False})


@breaks_shared_files("killed-owners-are-dead")
class NeverSeesDeaths(SQLiteStore):
    """Believes that owners are alive whose file of a lock is there."""

    def dead_owners(self, owners: Some[str]) -> Some[str]:
        folder, name = os.path.split(self.path)
        names = os.listdir(folder)  # noqa: PTH208 - as a store would
        return [one for one in owners if not any(f"{name}-owner-{one}" in each for each in names)]
