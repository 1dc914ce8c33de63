"""One who writes, and those who share a transaction: what `_group` puts in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from scanqueue import _sync
from scanqueue.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from scanqueue.stores._group import Writers

A = TypeVar("A")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LOOK_AGAIN = 0.5
"""Seconds after which who waits looks for itself: whoever was to wake it may be interrupted."""


class Engine(Protocol[T_co]):
    """The transactions of a database: one at a time, called by one thread at a time.

    After `begin`, `keep`, `undo` or `commit` has raised a `StoreError`, nothing is open. After
    `enter` has, the others' blocks are kept as they were, if `undo` is called.
    """

    is_lost: bool
    """Whether `commit` has failed since the last `begin`, even if an interrupt hides it."""

    def tell(self) -> None:
        """Log what was found; called by a thread without the turn."""

    def begin(self, *, sync: bool) -> T_co:
        """Begin a transaction, and its first block. Return what that uses."""

    def enter(self) -> T_co:
        """Begin another block. Return what it uses."""

    def keep(self) -> None:
        """End the block and keep what it did."""

    def undo(self) -> None:
        """End a block that is not the first, and take back what it did, and nothing else."""

    def commit(self) -> None:
        """End the transaction, and the block if one is open, and keep all of it."""

    def rollback(self) -> None:
        """End the transaction, if one is open, and take back all of it."""

    def is_open(self) -> bool:
        """Return whether a transaction is open."""

    def close(self) -> None:
        """Let go of the database; the next `begin` takes it up again."""

    def explain(self, error: BaseException) -> BaseException:
        """Return what a caller is to see in the place of an error of the database."""


class Block(Generic[T]):
    """One `with` block: a context that gives what the engine gives.

    Args:
        writers: Where it queues.
        sync: Whether it must be safe on disk once it is left.
        is_exclusive: Whether it shares a transaction with no other, and opens none itself.
    """

    arrival = 0
    """Its place among those who wait."""
    failure: StoreError | None = None
    """Why it was sent away instead of being given the turn."""
    function: Callable[[T], object] | None = None
    """All that it does, if another thread may do it."""
    group: Group[T] | None = None
    """Where another thread has done it; then one of the next two is how it ended."""
    answer: Any = None
    error: Exception | None = None
    successor: Block[T] | None = None
    """Whom it wakes when it leaves."""
    has_left = False
    """Whether it does not wait any more, and so wakes nobody."""
    lock: _sync.Lock | None = None
    """What it waits for; None: it has not waited so far."""

    def __init__(self, writers: Writers[T], *, sync: bool, is_exclusive: bool = False) -> None:
        self._writers = writers
        self.sync = sync
        self.is_exclusive = is_exclusive

    def run(self, function: Callable[[T], A], *, anywhere: bool = True) -> A:
        """Call a function with what the engine gives, here or on the thread of another block.

        Wherever an interrupt comes, the turn is not lost; with `with`, it is if one comes at the
        begin of `__exit__`. A function is called on another thread as if it was called here, with
        two exceptions: what the handler of a signal raises meanwhile, and a stack that is too deep,
        are those of the other thread.

        Args:
            function: What to call.
            anywhere: Whether another thread may call it.

        Returns:
            What it returns, once that is on disk.

        Raises:
            StoreError: The database cannot be written.
            Exception: What the function raised; what it did was taken back.
        """
        try:
            return self._writers.run(self, function, anywhere=anywhere)
        finally:
            self._writers.end(self)

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
            self._writers.end(self)

    def prepare_to_wait(self) -> None:
        """Have the next `wait` last until `go_on`."""
        if self.lock is None:
            self.lock = _sync.Lock()
            self.lock.acquire()

    def wait(self, is_over: Callable[[], bool], timeout: float = -1) -> None:
        """Wait until something is so; whoever makes it so calls `go_on`.

        Args:
            is_over: Whether it is.
            timeout: Seconds to wait at most; -1: without limit.
        """
        assert self.lock is not None
        if timeout >= 0:
            self.lock.acquire(timeout=timeout)
            return
        while not is_over():
            self.lock.acquire(timeout=LOOK_AGAIN)

    def go_on(self) -> None:
        """Have it look whether its wait is over."""
        assert self.lock is not None
        try:  # noqa: SIM105 - `suppress` takes five times as long
            self.lock.release()
        except RuntimeError:  # it has looked for itself
            pass


class Group(Generic[T]):
    """The blocks that share a transaction."""

    size = 1
    """How many have begun, whatever became of them."""
    failure: StoreError | None = None
    is_settled = False
    """Whether it is over, with or without a failure."""

    def __init__(self, *, sync: bool) -> None:
        self.sync = sync
        self.members: list[Block[T]] = []
        """Those that have ended well, and wait for the commit."""
        self.witnesses: list[Block[T]] = []
        """Those that were taken back, and wait for it all the same."""


def answer_of(block: Block[T], explain: Callable[[BaseException], BaseException]) -> object:
    """Return, or raise, what the function of a block did on another thread.

    Args:
        block: The block.
        explain: What an error of the database is to be replaced by.
    """
    group, error = block.group, block.error
    block.group = block.error = None  # the group knows the block, too: a cycle would be left
    assert group is not None
    if error is None and group.failure is None:
        return block.answer
    shown = None if error is None else explain(error)
    try:
        if group.failure is not None:
            raise copy_of(group.failure, error)
        assert error is not None
        if shown is not None and shown is not error:
            raise shown from error
        raise error
    finally:
        del error, shown  # whose tracebacks know this frame: they would be freed late


def copy_of(failure: StoreError, error: BaseException | None = None) -> StoreError:
    """Return an error of its own for each thread: raising one changes its traceback.

    Args:
        failure: The error.
        error: What the thread was to hear of otherwise; None: nothing.
    """
    copy = type(failure)(*failure.args)
    copy.__cause__ = failure.__cause__ if error is None else error
    return copy


def interrupted(what: str, interrupt: BaseException) -> StoreError:
    """Return what those hear who were not interrupted themselves."""
    failure = StoreError(f"{what} was interrupted; nothing was changed")
    failure.__cause__ = interrupt
    return failure


def without_context(error: Exception, handled: BaseException | None) -> Exception:
    """Return an error of a function that was called for another thread.

    Args:
        error: What it raised.
        handled: What the thread that called it was handling, which Python takes for its context.
    """
    last: BaseException = error
    while last.__context__ is not None and last.__context__ is not handled:
        last = last.__context__
    last.__context__ = None
    return error
