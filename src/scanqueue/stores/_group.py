"""Group commit: writers that meet share one transaction of the database, and one flush to disk.

Blocks run one at a time, first come, first served. A block that ends while others wait does not
commit: the next one runs in the same transaction, behind a mark of its own, and the last of them
commits for all. Nobody leaves before that commit, so what was left is on disk. Neither does a
block that was left by an exception: it has seen what the others did, and its exception may tell.

A block that is one function need not even have its turn: whoever has it when it comes to that calls
the function for it, in the same transaction. To wake a thread so that it does that itself takes
longer than all it does. (This is flat combining: Hendler, Incze, Shavit and Tzafrir, "Flat
combining and the synchronization-parallelism tradeoff", SPAA 2010.)

::

    waiting -- turn --> running -- more wait --> ended, waits for the commit --+--> left
                           |                                                   |
                           +-- nobody waits --> commits for the whole group ---+
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from scanqueue import _sync
from scanqueue.errors import StoreBusyError, StoreError
from scanqueue.stores._block import (
    Block,
    Group,
    answer_of,
    copy_of,
    interrupted,
    without_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue.stores._block import Engine

A = TypeVar("A")
T = TypeVar("T")

GROUP_LIMIT = 64
"""The most blocks that one commit is for: the first of them waits for all others."""


class Writers(Generic[T]):
    """Puts blocks in order, and into groups.

    Thread-safety: any thread. `_lock` protects `_holder` and `_waiting`, and of each block
    `successor` and `has_left`; it is held for moments, never while something else is waited for.
    Whoever is the holder has the engine and `_group` to itself. The turn is handed on, never up for
    grabs. Looks without the lock may miss one who comes at that moment; the next turn is its.

    Args:
        engine: The transactions.
    """

    def __init__(self, engine: Engine[T]) -> None:
        self._engine = engine
        self._lock = _sync.Lock()
        self._holder: Block[T] | None = None
        self._waiting: dict[bool, deque[Block[T]]] = {True: deque(), False: deque()}
        self._group: Group[T] | None = None  # None: nothing is open, or the first block
        self._arrivals = 0

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

    def end(self, block: Block[T]) -> None:
        """End what a block has to do with the others, once it has no turn and waits no more."""
        if block.lock is not None:  # it has waited, or was about to
            with self._lock:
                block.has_left = True
                successor = block.successor
            if successor is not None:
                successor.go_on()
        self._engine.tell()

    # --- what a block does ---

    def enter(self, block: Block[T]) -> T:
        """Wait for the turn, and begin the block.

        Raises:
            StoreError: The database cannot be written.
        """
        try:
            self._take_turn(block, -1)
            return self._begin(block)
        except BaseException:
            try:
                self._retreat(block)
            finally:  # here, since a method could be interrupted before it has begun
                if self._holder is block:
                    self._retreat(block)
            raise

    def _begin(self, block: Block[T]) -> T:
        """Begin a block that has the turn."""
        group = self._group
        if group is None:
            try:
                return self._engine.begin(sync=block.sync)
            except StoreBusyError as failure:
                self._send_away(failure)
                raise
        group.size += 1
        return self._engine.enter()

    def run(self, block: Block[T], function: Callable[[T], A], *, anywhere: bool) -> A:
        """Have a function called in a block, on this thread or on one that has the turn.

        Raises:
            StoreError: The database cannot be written.
            Exception: What the function raised; what it did was taken back.
        """
        if anywhere:
            block.function = function
        try:
            if not self._take_turn(block, -1):
                return cast("A", answer_of(block, self._engine.explain))
            given = self._begin(block)
            try:
                answer = function(given)
            except BaseException as error:
                self.leave(block, error)
                raise
            self.leave(block, None)
        except BaseException:
            try:
                self._retreat(block)
            finally:  # here, since a method could be interrupted before it has begun
                if self._holder is block:
                    self._retreat(block)
            raise
        return answer

    def leave(self, block: Block[T], error: BaseException | None) -> None:
        """End the block: keep what it did and wait for the commit, or take it back.

        Args:
            block: The block, which has the turn.
            error: What it was left by.

        Raises:
            StoreError: The commit failed: nothing was changed.
        """
        group, waiting = self._group, self._waiting[block.sync]
        try:
            if error is not None:
                self._leave_by(error, block, group)
                return
            if group is None and not waiting:
                self._engine.commit()
                self._pass_on()
                return
            self._engine.keep()
            if group is None:
                self._group = group = Group(sync=block.sync)
            group.members.append(block)
            if waiting:
                self._run_others(group)
                if group.failure is None and self._hand_on(group, block):
                    block.wait(lambda: group.is_settled)
            if not group.is_settled:
                self._settle(group)
        except BaseException:
            self._retreat(block)
            raise
        if group.failure is not None:
            raise copy_of(group.failure)

    def _leave_by(self, error: BaseException, block: Block[T], group: Group[T] | None) -> None:
        """End a block that was left by an error: take it back, and hear of the others' commit."""
        waits = isinstance(error, Exception)  # an interrupt does not
        must_wait = self._retreat(block, waits=waits)
        if group is not None:
            if must_wait:
                block.wait(lambda: group.is_settled)
            if waits and group.failure is not None:
                raise copy_of(group.failure, error)
        shown = self._engine.explain(error)
        if shown is not error:
            raise shown from error

    def _run_others(self, group: Group[T]) -> None:
        """Call the functions of those who are next, as long as that is all they are."""
        waiting = self._waiting[group.sync]
        guest: Block[T] | None = None
        try:
            while waiting and group.size < GROUP_LIMIT and group.failure is None:
                with self._lock:
                    if not waiting or waiting[0].function is None:
                        return
                    guest = waiting[0]
                    guest.group = group
                    waiting.popleft()
                self._run_for(guest, group)
                guest = None
        except BaseException as interrupt:
            if guest is None:
                raise
            self._engine.rollback()  # nobody knows how far it came
            group.failure = interrupted("a transaction", interrupt)
            guest.group = group
            with self._lock, suppress(ValueError):
                waiting.remove(guest)
            if guest not in (*group.members, *group.witnesses):
                group.witnesses.append(guest)
            raise

    def _run_for(self, guest: Block[T], group: Group[T]) -> None:
        """Call the function of a block that waits, in a block of the group."""
        assert guest.function is not None
        group.size += 1
        handled = sys.exc_info()[1]
        try:
            try:
                guest.answer = guest.function(self._engine.enter())
            except Exception as error:  # noqa: BLE001 - whatever it raises, it gets it back
                guest.error = without_context(error, handled)
                self._engine.undo()
                group.witnesses.append(guest)
            else:
                self._engine.keep()
                group.members.append(guest)
        except StoreError as failure:  # all is lost, and not just what the guest did
            group.failure = failure
            group.witnesses.append(guest)

    def _retreat(self, block: Block[T], *, waits: bool = False) -> bool:
        """Take back what a block did, and nothing else; have others go on, if it has the turn.

        Args:
            block: The block.
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
            except BaseException:  # an interrupt; nobody knows how far it came
                self._engine.close()
                raise
            finally:
                self._group = None
                self._pass_on()
            return False
        try:
            if block not in group.members:
                self._engine.undo()
            if waits:
                group.witnesses.append(block)
        except StoreError as failure:
            group.failure = failure
        except BaseException as interrupt:
            group.failure = interrupted("a transaction", interrupt)
            self._engine.rollback()
            raise
        finally:
            handed_on = group.failure is None and self._hand_on(group, block)
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
            block.wait(lambda: self._is_called(block), timeout)
        finally:
            if block.lock is not None and block.group is None:  # one with a group was called for
                with self._lock:
                    if block in self._waiting[block.sync]:  # too late, or interrupted
                        self._waiting[block.sync].remove(block)
        if block.failure is not None:
            raise copy_of(block.failure)
        return self._holder is block

    def _is_called(self, block: Block[T]) -> bool:
        """Return whether a block has the turn, was sent away, or has been run by another one."""
        is_done = block.group is not None and block.group.is_settled
        return self._holder is block or block.failure is not None or is_done

    def _hand_on(self, group: Group[T], block: Block[T]) -> bool:
        """Hand the turn to a block that fits into the group, if one waits for it.

        Args:
            group: The group.
            block: Whose turn it was; it must wait then.
        """
        waiting = self._waiting[group.sync]
        if waiting and group.size < GROUP_LIMIT:
            block.prepare_to_wait()
            with self._lock:
                if waiting and not waiting[0].is_exclusive:
                    self._call_first(waiting)
                    return True
        return False

    def _pass_on(self) -> None:
        """Hand the turn, with no group open, to whoever has waited longest, of any kind."""
        with self._lock:
            if not (self._waiting[True] or self._waiting[False]):  # no call to interrupt
                self._holder = None
                return
            heads = [waiting for waiting in self._waiting.values() if waiting]
            self._call_first(min(heads, key=lambda waiting: waiting[0].arrival))

    def _send_away(self, failure: StoreError) -> None:
        """End the wait of all who wait now, for what was refused: they have waited enough."""
        with self._lock:
            for waiting in self._waiting.values():
                for block in [block for block in waiting if not block.is_exclusive]:
                    block.failure = failure  # before it is taken out, as in `_call_first`
                    waiting.remove(block)
                    block.go_on()

    def _call_first(self, waiting: deque[Block[T]]) -> None:
        """Give the turn to the first of those who wait. Requires the lock."""
        self._holder = heir = waiting[0]  # before it is taken out: an interrupt may come between
        waiting.popleft()
        heir.go_on()

    def _settle(self, group: Group[T]) -> None:
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
                group.failure = interrupted("the commit", interrupt)
            raise
        finally:
            self._group = None
            group.is_settled = True
            try:
                self._release(group, holder)
            finally:
                self._pass_on()

    def _release(self, group: Group[T], holder: Block[T] | None) -> None:
        """Have those who wait for a group go on: the first one, which wakes the next.

        Woken all at once, they would meet at the lock of the interpreter, and most of them be put
        to sleep, and woken, once more.

        Args:
            group: The group.
            holder: Who has the turn, and so does not wait.
        """
        with self._lock:
            blocks = (*group.members, *group.witnesses)
            waiting = [block for block in blocks if block is not holder and not block.has_left]
            for block, successor in pairwise(waiting):
                block.successor = successor
        if waiting:
            waiting[0].go_on()
