"""Group commit: writers that meet share one transaction of the database, and one flush to disk.

Blocks run one at a time, first come, first served. A block that ends while others wait does not
commit: the next one runs in the same transaction, behind a mark of its own, and the last of them
commits for all. Nobody leaves before that commit, so what was left is on disk. Neither does a
block that was left by an exception: it has seen what the others did, and its exception may tell.

::

    waiting -- turn --> running -- more wait --> ended, waits for the commit --+--> left
                           |                                                   |
                           +-- nobody waits --> commits for the whole group ---+
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from scanqueue import _sync
from scanqueue.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from types import TracebackType

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

GROUP_LIMIT = 64
"""The most blocks that one commit is for: the first of them waits for all others."""


class Engine(Protocol[T_co]):
    """The transactions of a database: one at a time, called by one thread at a time.

    After `begin`, `commit` or `undo` has raised a `StoreError`, nothing is open.
    """

    is_lost: bool
    """Whether `commit` has failed since the last `begin`, even if an interrupt hides it."""

    def tell(self) -> None:
        """Log what was found; called by a thread without the turn."""

    def begin(self, *, sync: bool) -> None:
        """Begin a transaction."""

    def enter(self, *, alone: bool) -> T_co:
        """Begin a block in it; one that is not alone must be undone alone. Return what it uses."""

    def keep(self) -> None:
        """End the block and keep what it did."""

    def undo(self) -> None:
        """End the block and take back what it did, and nothing else."""

    def commit(self) -> None:
        """End the transaction and keep it."""

    def rollback(self) -> None:
        """End the transaction, if one is open, and take back all of it."""

    def is_open(self) -> bool:
        """Return whether a transaction is open."""

    def close(self) -> None:
        """Let go of the database; the next `begin` takes it up again."""

    def explain(self, error: BaseException) -> BaseException:
        """Return what a caller is to see in the place of an error of the database."""


class _Group(Generic[T]):
    """The blocks that share a transaction."""

    def __init__(self, *, sync: bool) -> None:
        self.sync = sync
        self.size = 0
        """How many have begun, whatever became of them."""
        self.members: list[Block[T]] = []
        """Those that have ended well, and wait for the commit."""
        self.witnesses: list[Block[T]] = []
        """Those that were taken back, and wait for it all the same."""
        self.failure: StoreError | None = None


class Writers(Generic[T]):
    """Puts blocks in order, and into groups.

    Thread-safety: any thread. `_lock` protects `_holder` and `_waiting`; it is held for moments,
    never while something else is waited for. Whoever is the holder has the engine and `_group` to
    itself. The turn is handed on, never up for grabs.

    Args:
        engine: The transactions.
    """

    def __init__(self, engine: Engine[T]) -> None:
        self._engine = engine
        self._lock = _sync.Lock()
        self._holder: Block[T] | None = None
        self._waiting: dict[bool, deque[Block[T]]] = {True: deque(), False: deque()}
        self._group: _Group[T] | None = None
        self._arrivals = 0

    def block(self, *, sync: bool) -> Block[T]:
        """Return a context in which the caller has the database to itself.

        Args:
            sync: Whether it must be safe on disk once it is left.
        """
        return Block(self, sync=sync)

    def hold(self, timeout: float) -> bool:
        """Keep everybody out, with nothing open, until `let_go`.

        Args:
            timeout: Seconds to wait for those who are inside.

        Returns:
            Whether that worked out.
        """
        block: Block[T] = Block(self, sync=True, is_exclusive=True)
        try:
            return self._take_turn(block, timeout)
        except BaseException:  # an interrupt
            if self._holder is block:
                self._pass_on()
            raise

    def let_go(self) -> None:
        """Let the others in again, after `hold`."""
        self._pass_on()

    def tell(self) -> None:
        """Have the engine log what it found; the caller has no turn."""
        self._engine.tell()

    # --- what a block does ---

    def enter(self, block: Block[T]) -> T:
        """Wait for the turn, and begin the block.

        Raises:
            StoreError: The database cannot be written.
        """
        try:
            self._take_turn(block, -1)
            if self._group is None:
                self._engine.begin(sync=block.sync)
                self._group = _Group(sync=block.sync)
            self._group.size += 1
            return self._engine.enter(alone=not self._group.members)
        except BaseException as error:
            self._retreat(block, error)
            raise

    def leave(self, block: Block[T], error: BaseException | None) -> None:
        """End the block: keep what it did and wait for the commit, or take it back.

        Args:
            block: The block, which has the turn.
            error: What it was left by.

        Raises:
            StoreError: The commit failed: nothing was changed.
        """
        group = self._group
        assert group is not None
        if error is not None:
            shown = self._engine.explain(error)
            waits = isinstance(error, Exception)  # an interrupt does not
            if self._retreat(block, error, waits=waits):
                block.wait()
            if waits and group.failure is not None:
                raise _copy_of(group.failure) from error
            if shown is not error:
                raise shown from error
            return
        try:
            block.prepare_to_wait()
            self._engine.keep()
            group.members.append(block)
            if self._hand_on(group):
                block.wait()
            else:
                self._settle(group)
        except BaseException as failure:
            self._retreat(block, failure)
            raise
        if group.failure is not None:
            raise _copy_of(group.failure)

    def _retreat(self, block: Block[T], error: BaseException, *, waits: bool = False) -> bool:
        """Take back what a block did, and nothing else; have others go on, if it has the turn.

        Args:
            block: The block.
            error: What it was left by.
            waits: Whether it is to be told of the commit of the others.

        Returns:
            Whether it must wait to be told.
        """
        if self._holder is not block:
            return False
        group = self._group
        if group is None or not group.members:
            try:
                self._engine.rollback()
            finally:
                self._group = None
                self._pass_on(error if isinstance(error, StoreBusyError) else None)
            return False
        try:
            if block not in group.members:
                self._engine.undo()
            if waits:
                block.prepare_to_wait()
                group.witnesses.append(block)
        except StoreError as failure:
            group.failure = failure
        except BaseException as interrupt:
            group.failure = StoreError("a transaction was interrupted; nothing was changed")
            group.failure.__cause__ = interrupt
            self._engine.rollback()
            raise
        finally:
            handed_on = group.failure is None and self._hand_on(group)
            if not handed_on:
                self._settle(group)
        return handed_on and waits

    # --- whose turn it is ---

    def _take_turn(self, block: Block[T], timeout: float) -> bool:
        try:
            with self._lock:
                if self._holder is None:
                    self._holder = block
                    return True
                block.prepare_to_wait()
                self._arrivals += 1
                block.arrival = self._arrivals
                self._waiting[block.sync].append(block)
            block.wait(timeout)
        finally:
            with self._lock:
                has_turn = self._holder is block
                if not has_turn and block in self._waiting[block.sync]:  # too late, or interrupted
                    self._waiting[block.sync].remove(block)
        if block.failure is not None:
            raise _copy_of(block.failure)
        return has_turn

    def _hand_on(self, group: _Group[T]) -> bool:
        """Hand the turn to a block that fits into the group, if one waits for it."""
        if group.size < GROUP_LIMIT:
            with self._lock:
                waiting = self._waiting[group.sync]
                if waiting and not waiting[0].is_exclusive:
                    self._holder = waiting.popleft()
                    self._holder.go_on()
                    return True
        return False

    def _pass_on(self, failure: StoreError | None = None) -> None:
        """Hand the turn, with no group open, to whoever has waited longest, of any kind.

        Args:
            failure: What ends the wait of all who wait now: they waited for the same.
        """
        with self._lock:
            for waiting in self._waiting.values() if failure is not None else ():
                for block in [block for block in waiting if not block.is_exclusive]:
                    waiting.remove(block)
                    block.failure = failure
                    block.go_on()
            heads = [waiting for waiting in self._waiting.values() if waiting]
            if heads:
                self._holder = min(heads, key=lambda waiting: waiting[0].arrival).popleft()
                self._holder.go_on()
            else:
                self._holder = None

    def _settle(self, group: _Group[T]) -> None:
        """Commit for the whole group, tell all who wait for it, and hand the turn on."""
        holder = self._holder
        try:
            if group.failure is None:
                self._engine.commit()
        except StoreError as failure:
            group.failure = failure
        except BaseException as interrupt:
            if self._engine.is_lost or self._engine.is_open():
                self._engine.rollback()
                group.failure = StoreError("the commit was interrupted; nothing was changed")
                group.failure.__cause__ = interrupt
            raise
        finally:
            self._group = None
            for block in (*group.members, *group.witnesses):
                if block is not holder:
                    block.go_on()
            self._pass_on()


class Block(Generic[T]):
    """One `with` block: a context that gives what the engine gives.

    Args:
        writers: Where it queues.
        sync: Whether it must be safe on disk once it is left.
        is_exclusive: Whether it shares a transaction with no other, and opens none itself.
    """

    __slots__ = ("_lock", "_writers", "arrival", "failure", "is_exclusive", "sync")

    def __init__(self, writers: Writers[T], *, sync: bool, is_exclusive: bool = False) -> None:
        self._writers = writers
        self._lock: _sync.Lock | None = None
        self.sync = sync
        self.is_exclusive = is_exclusive
        self.arrival = 0
        """Its place among those who wait."""
        self.failure: StoreError | None = None
        """Why it was sent away instead of being given the turn."""

    def __enter__(self) -> T:
        return self._writers.enter(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._writers.leave(self, error)
        finally:
            self._writers.tell()

    def prepare_to_wait(self) -> None:
        """Have the next `wait` last until `go_on`."""
        if self._lock is None:
            self._lock = _sync.Lock()
            self._lock.acquire()

    def wait(self, timeout: float = -1) -> None:
        """Wait until `go_on`, at most so many seconds; -1: without limit."""
        assert self._lock is not None
        self._lock.acquire(timeout=timeout)

    def go_on(self) -> None:
        """End its wait."""
        assert self._lock is not None
        self._lock.release()


def _copy_of(failure: StoreError) -> StoreError:
    """Return an error of its own for each thread: raising one changes its traceback."""
    copy = type(failure)(*failure.args)
    copy.__cause__ = failure.__cause__
    return copy
