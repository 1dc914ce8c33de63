"""A block that is one function is called by whoever has the turn, and is told how it ended."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from itertools import count

import pytest

from scanqueue.errors import StoreBusyError, StoreError, StoreFullError
from scanqueue.stores._block import Block, Group
from scanqueue.stores._group import GROUP_LIMIT
from tests.interrupts import Interrupt
from tests.stores.crowd import Crowd, failures, noted_limits
from tests.stores.tools import PATIENCE, Call


def test_one_alone_calls_its_function_itself(crowd: Crowd) -> None:
    """In a transaction of its own."""

    def write(changes: list[object]) -> int:
        changes.append(1)
        return threading.get_ident()

    assert Block(crowd.writers, sync=True).run(write) == threading.get_ident()
    assert crowd.engine.calls == ["begin", "commit"]
    assert crowd.engine.stored == [1]
    assert crowd.is_free()


def test_who_has_the_turn_calls_the_functions_of_those_who_wait(crowd: Crowd) -> None:
    """In their order, each behind a mark, and commits for all."""
    first = crowd.first()
    others = [crowd.function(number) for number in (1, 2)]
    crowd.go_on.set()
    assert [call.result() for call in others] == [(1, first.ident), (2, first.ident)]
    first.result()
    assert crowd.engine.calls == [
        *("begin", "keep", "enter", "keep", "enter", "keep"),
        "commit",
    ]
    assert crowd.engine.stored == ["first", 1, 2]
    assert crowd.is_free()


def test_a_function_whose_turn_has_come_calls_those_behind_it(crowd: Crowd) -> None:
    """The lazy one did not share the transaction of the first."""
    first = crowd.first()
    lazy = crowd.function("lazy", sync=False)
    other = crowd.function("other", sync=False)
    crowd.go_on.set()
    first.result()
    assert lazy.result() == ("lazy", lazy.ident)
    assert other.result() == ("other", lazy.ident)
    assert crowd.engine.stored == ["first", "lazy", "other"]
    assert crowd.is_free()


def test_functions_do_not_overtake_a_block(crowd: Crowd) -> None:
    """It gets the turn, and goes on with those behind it."""
    first = crowd.first()
    before, block, behind = crowd.function(1), crowd.next(2), crowd.function(3)
    crowd.go_on.set()
    assert before.result() == (1, first.ident)
    assert behind.result() == (3, block.ident)
    first.result()
    block.result()
    assert crowd.engine.calls.count("commit") == 1
    assert crowd.engine.stored == ["first", 1, 2, 3]
    assert crowd.is_free()


def test_a_group_of_functions_has_a_limit(crowd: Crowd) -> None:
    """The first of them waits for all others."""
    first = crowd.first()
    others = [crowd.function(number) for number in range(GROUP_LIMIT + 1)]
    crowd.go_on.set()
    answers = [call.result() for call in others]
    first.result()
    first_group = crowd.engine.calls[: crowd.engine.calls.index("commit")]
    assert first_group.count("keep") == GROUP_LIMIT
    next_one = others[GROUP_LIMIT - 1].ident
    assert answers == [
        (number, first.ident if number < GROUP_LIMIT - 1 else next_one)
        for number in range(GROUP_LIMIT + 1)
    ]
    assert crowd.engine.stored == ["first", *range(GROUP_LIMIT + 1)]


@pytest.mark.parametrize("lone", [False, True])
def test_what_a_function_raises_is_its_own(crowd: Crowd, lone: bool) -> None:
    """What it did is taken back, and the others do not hear of it."""
    error = ValueError("no")
    if lone:
        crowd.go_on.set()
    first = crowd.first()
    if lone:
        first.result()

    def write(changes: list[object]) -> None:
        changes.append("failed")
        raise error

    def run() -> object:
        return Block(crowd.writers, sync=True).run(write)

    failing = Call(run) if lone else crowd.queued(run)
    others = [] if lone else [crowd.function(1)]
    crowd.go_on.set()
    with pytest.raises(ValueError, match="no") as caught:
        failing.result()
    assert caught.value is error
    for call in (first, *others):
        call.result()
    assert crowd.engine.stored == (["first"] if lone else ["first", 1])
    assert crowd.is_free()


def test_what_a_function_raises_is_explained(crowd: Crowd) -> None:
    """As if it had been called on its own thread."""
    first = crowd.first()
    other = crowd.function(1, error=LookupError("of the database"))
    crowd.go_on.set()
    with pytest.raises(StoreError, match="explained") as caught:
        other.result()
    assert isinstance(caught.value.__cause__, LookupError)
    first.result()
    assert crowd.engine.stored == ["first"]


def test_what_a_function_raises_knows_nothing_of_who_called_it(crowd: Crowd) -> None:
    """Neither what that thread was handling, nor for longer than it is used."""

    def run_first() -> None:
        try:
            raise LookupError("of another request")
        except LookupError:
            with Block(crowd.writers, sync=True) as changes:
                changes.append("first")
                crowd.inside.set()
                assert crowd.go_on.wait(PATIENCE)

    class OddError(Exception):
        """Other than a built-in one, it can be weakly referenced."""

    def write(changes: list[object]) -> None:
        try:
            raise KeyError(1)
        except KeyError:
            raise OddError  # noqa: B904 - the context is what is looked at

    contexts: list[BaseException | None] = []

    def run() -> weakref.ref[OddError]:
        try:
            Block(crowd.writers, sync=True).run(write)
        except OddError as error:
            context = error.__context__
            contexts.extend((context, context and context.__context__))
            return weakref.ref(error)
        raise AssertionError

    first = Call(run_first)
    assert crowd.inside.wait(PATIENCE)
    other = crowd.queued(run)
    gc.disable()
    try:
        crowd.go_on.set()
        first.result()
        error = other.result()
        assert isinstance(error, weakref.ref)
        assert error() is None
    finally:
        gc.enable()
    assert isinstance(contexts[0], KeyError)
    assert contexts[1] is None


def test_a_commit_that_fails_fails_for_functions_too(crowd: Crowd) -> None:
    """Also for one that has raised: it may be what was rolled back that it complains of."""
    calls = [crowd.first(), crowd.function(1), crowd.function(2, error=ValueError("no"))]
    crowd.engine.fails["commit"] = StoreFullError("no room")
    crowd.go_on.set()
    errors = failures(calls)
    assert str(errors[2].__cause__) == "no"
    assert crowd.engine.stored == []
    assert crowd.is_free()


@pytest.mark.parametrize("failure", [StoreError("no"), StoreBusyError("busy")])
def test_a_function_whose_transaction_cannot_begin_gives_the_turn_back(
    crowd: Crowd, failure: StoreError
) -> None:
    """Those who wait for a database that is busy have waited long enough."""
    first = crowd.first(error=ValueError("no"))
    failing, behind = crowd.function(1), crowd.function(2)
    crowd.engine.fails["begin"] = failure
    crowd.go_on.set()
    with pytest.raises(ValueError, match="no"):
        first.result()
    with pytest.raises(type(failure), match=str(failure)):
        failing.result()
    if isinstance(failure, StoreBusyError):
        with pytest.raises(StoreBusyError, match="busy"):
            behind.result()
    else:
        assert behind.result() == (2, behind.ident)
    assert crowd.is_free()


def test_a_function_waits_without_limit(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long those before it take."""
    limits = noted_limits(monkeypatch)
    first, other = crowd.first(), crowd.function(1)
    crowd.go_on.set()
    first.result()
    other.result()
    assert limits == [-1]


def test_a_function_that_cannot_begin_harms_nobody(crowd: Crowd) -> None:
    """As with a block."""
    first, failing, behind = crowd.first(), crowd.function(1), crowd.function(2)
    crowd.engine.fails["enter"] = StoreError("no mark")
    crowd.go_on.set()
    with pytest.raises(StoreError, match="no mark"):
        failing.result()
    first.result()
    behind.result()
    assert crowd.engine.stored == ["first", 2]
    assert crowd.is_free()


def test_a_database_that_fails_under_a_function_fails_for_its_group(crowd: Crowd) -> None:
    """Nothing is open then: those behind begin anew."""
    first = crowd.first()
    failing = crowd.function(1, error=ValueError("no"))
    behind = crowd.function(2)
    crowd.engine.fails["undo"] = StoreError("lost")
    crowd.go_on.set()
    for call in (first, failing):
        with pytest.raises(StoreError, match="lost"):
            call.result()
    assert behind.result() == (2, behind.ident)
    assert crowd.engine.stored == [2]
    assert crowd.is_free()


def test_changes_of_a_function_that_are_gone_fail_its_group(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database has rolled back by itself, all of it."""
    calls = [crowd.first(), crowd.function(1), crowd.function(2)]
    real_keep, keeps = crowd.engine.keep, count(1)

    def keep() -> None:
        if next(keeps) == 3:
            crowd.engine.open = False
            raise StoreFullError("no room")
        real_keep()

    monkeypatch.setattr(crowd.engine, "keep", keep)
    crowd.go_on.set()
    for call in calls:
        with pytest.raises(StoreFullError, match="no room"):
            call.result()
    assert crowd.engine.stored == []
    assert crowd.is_free()


@pytest.mark.parametrize("at", ["function", "keep"])
def test_an_interrupt_under_the_function_of_another_takes_the_group_back(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Nobody knows how far it came. Its own caller was not interrupted, and hears what happened."""
    first = crowd.first()
    other = crowd.function(1, error=Interrupt() if at == "function" else None)
    behind = crowd.function(2)
    real_keep, kept = crowd.engine.keep, 0

    def keep() -> None:
        nonlocal kept
        kept += 1
        if kept == 2:
            raise Interrupt
        real_keep()

    if at == "keep":
        monkeypatch.setattr(crowd.engine, "keep", keep)
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        first.result()
    text = r"^a transaction was interrupted; nothing was changed$"
    with pytest.raises(StoreError, match=text) as caught:
        other.result()
    assert isinstance(caught.value.__cause__, Interrupt)
    behind.result()
    assert crowd.engine.stored == [2]
    assert crowd.is_free()


def test_an_interrupt_after_the_function_of_another_takes_the_group_back(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had ended well, but nobody can tell any more."""
    first, other = crowd.first(), crowd.function(1)
    real_run = crowd.writers._run_for

    def run(guest: Block[list[object]], group: Group[list[object]]) -> None:
        real_run(guest, group)
        raise Interrupt

    monkeypatch.setattr(crowd.writers, "_run_for", run)
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        first.result()
    with pytest.raises(StoreError, match="interrupted"):
        other.result()
    assert crowd.engine.stored == []
    assert crowd.is_free()


@pytest.mark.parametrize("called", [0, 1])
def test_an_interrupt_while_nobody_is_called_harms_nobody_that_waits(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, called: int
) -> None:
    """They were not taken into the group yet, and what was done before is kept."""
    first = crowd.first()
    before = [crowd.function(0)] if called else []
    other = crowd.function(1)
    real_lock, left = crowd.writers._lock, called

    class Lock:
        """Interrupts whoever takes it in `_run_others`, after some functions."""

        def __enter__(self) -> None:
            nonlocal left
            if not left:
                monkeypatch.setattr(crowd.writers, "_lock", real_lock)
                raise Interrupt
            left -= 1
            real_lock.acquire()

        def __exit__(self, *exc: object) -> None:
            real_lock.release()

    monkeypatch.setattr(crowd.writers, "_lock", Lock())
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        first.result()
    assert other.result() == (1, other.ident)
    for call in before:
        assert call.result() == (0, first.ident)
    assert crowd.engine.stored == ["first", *range(0 if called else 1, 2)]
    assert crowd.is_free()


@pytest.mark.parametrize("is_released", [False, True])
def test_who_was_interrupted_while_it_waited_is_not_relied_on(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, is_released: bool
) -> None:
    """Each wakes the next; one that has left wakes it at once, or is passed over."""
    first = crowd.first()
    victim_may_leave = threading.Event()
    real_wait = Block.wait

    def write(changes: list[object]) -> None:
        changes.append("victim")

    block = Block(crowd.writers, sync=True)

    def wait(self: Block[object], is_over: Callable[[], bool], timeout: float = -1) -> None:
        if self is block:
            assert victim_may_leave.wait(PATIENCE)
            raise Interrupt
        real_wait(self, is_over, timeout)

    monkeypatch.setattr(Block, "wait", wait)
    before = crowd.function(1)
    victim = crowd.queued(lambda: block.run(write))
    behind = crowd.function(2)

    def end_victim() -> None:
        victim_may_leave.set()
        victim.join(PATIENCE)

    if not is_released:
        crowd.engine.before_commit = end_victim
    crowd.go_on.set()
    first.result()
    if is_released:
        end_victim()
    for call in (before, behind):
        call.result()
    with pytest.raises(Interrupt):
        victim.result()
    assert crowd.engine.stored == ["first", 1, "victim", 2]
    assert crowd.is_free()
