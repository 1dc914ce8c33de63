"""Writers that meet share a transaction, and none of them is harmed by the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import count

import pytest

from scanqueue.errors import StoreBusyError, StoreError, StoreFullError
from scanqueue.stores._block import Block
from scanqueue.stores._group import GROUP_LIMIT
from tests.interrupts import Interrupt
from tests.stores.crowd import Crowd, failures, noted_limits
from tests.stores.tools import PATIENCE, Call


def test_one_alone_has_a_transaction_of_its_own(crowd: Crowd) -> None:
    """Without a mark: what there is to undo is all of it."""
    with Block(crowd.writers, sync=True) as changes:
        changes.append(1)
    with Block(crowd.writers, sync=False) as changes:
        changes.append(2)
    assert crowd.engine.calls == ["begin", "commit", "begin lazily", "commit"]
    assert crowd.engine.stored == [1, 2]


def test_those_that_wait_share_the_commit(crowd: Crowd) -> None:
    """In order of their coming; nobody leaves before it."""
    calls = [crowd.first()]
    calls += [crowd.next(number) for number in (1, 2)]
    left_early: list[Call] = []

    def look() -> None:
        left_early.extend(call for call in calls if not call.is_alive())

    crowd.engine.before_commit = look
    crowd.go_on.set()
    for call in calls:
        call.result()
    assert crowd.engine.stored == ["first", 1, 2]
    assert crowd.engine.calls == [
        *("begin", "keep", "enter", "keep", "enter", "keep", "commit"),
    ]
    assert left_early == []
    assert crowd.is_free()


def test_a_group_has_a_limit(crowd: Crowd) -> None:
    """Those above it make the next one."""
    calls = [crowd.first()]
    calls += [crowd.next(number) for number in range(GROUP_LIMIT + 1)]
    crowd.go_on.set()
    for call in calls:
        call.result()
    assert crowd.engine.calls.count("commit") == 2
    first_group = crowd.engine.calls[: crowd.engine.calls.index("commit")]
    assert first_group.count("keep") == GROUP_LIMIT
    assert len(crowd.engine.stored) == GROUP_LIMIT + 2


def test_a_writer_waits_for_its_turn_without_limit(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long those before it take: what it waits for is theirs to bound."""
    limits = noted_limits(monkeypatch)
    calls = [crowd.first(), crowd.next(1)]
    crowd.go_on.set()
    for call in calls:
        call.result()
    assert limits == [-1, -1]  # for the turn, and for the commit


def test_the_lazy_and_the_safe_do_not_share(crowd: Crowd) -> None:
    """Of those that wait, the one that came first is next when a group is over."""
    calls = [
        crowd.first(),
        crowd.next("lazy", sync=False),
        crowd.next("safe"),
        crowd.next("late", sync=False),
    ]
    crowd.go_on.set()
    for call in calls:
        call.result()
    assert crowd.engine.stored == ["first", "safe", "lazy", "late"]
    assert [call for call in crowd.engine.calls if "begin" in call] == ["begin", "begin lazily"]


@pytest.mark.parametrize("is_lazy_first", [False, True])
def test_after_a_transaction_that_was_taken_back_who_waited_longest_is_next(
    crowd: Crowd, is_lazy_first: bool
) -> None:
    """Be it lazy or safe."""
    first = crowd.first(error=KeyError("mine"))
    order = [not is_lazy_first, is_lazy_first]
    others = [crowd.next(number, sync=sync) for number, sync in enumerate(order)]
    crowd.go_on.set()
    with pytest.raises(StoreError, match="explained"):
        first.result()
    for call in others:
        call.result()
    assert crowd.engine.stored == [0, 1]


def test_an_exception_takes_back_its_own_block_only(crowd: Crowd) -> None:
    """Wherever in the group: at its start, in the middle, at its end."""
    calls = [crowd.first(), crowd.next(1, error=KeyError("mine")), crowd.next(2)]
    calls.append(crowd.next(3, error=OSError("mine too")))
    crowd.go_on.set()
    with pytest.raises(StoreError, match="explained"):
        calls[1].result()
    with pytest.raises(OSError, match="mine too"):
        calls[3].result()
    calls[0].result()
    calls[2].result()
    assert crowd.engine.stored == ["first", 2]
    assert crowd.is_free()


def test_an_exception_that_tells_of_the_others_waits_for_their_commit(crowd: Crowd) -> None:
    """Nobody hears of what is not on disk yet."""
    committing, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        committing.set()
        assert go_on.wait(PATIENCE)

    crowd.engine.before_commit = hold
    first, second = crowd.first(), crowd.next(1, error=ValueError("there is one already"))
    third = crowd.next(2)
    crowd.go_on.set()
    assert committing.wait(PATIENCE)
    assert second.is_alive()
    go_on.set()
    with pytest.raises(ValueError, match="there is one already"):
        second.result()
    first.result()
    third.result()
    assert crowd.engine.stored == ["first", 2]
    assert crowd.is_free()


def test_an_interrupt_waits_for_nobody(crowd: Crowd) -> None:
    """It goes through, also when the commit of the others fails."""
    calls = [crowd.first(), crowd.next(1, error=KeyboardInterrupt())]
    crowd.engine.fails["commit"] = StoreFullError("no room")
    crowd.go_on.set()
    with pytest.raises(KeyboardInterrupt):
        calls[1].result()
    with pytest.raises(StoreFullError):
        calls[0].result()
    assert crowd.is_free()


def test_an_exception_in_the_first_block_leaves_a_fresh_start(crowd: Crowd) -> None:
    """The transaction was its own, and is rolled back."""
    first, second = crowd.first(error=ValueError("no")), crowd.next(2)
    crowd.go_on.set()
    with pytest.raises(ValueError, match="no"):
        first.result()
    second.result()
    assert crowd.engine.stored == [2]
    assert crowd.engine.calls.count("rollback") == 1


def test_a_commit_that_fails_fails_for_all(crowd: Crowd) -> None:
    """Each gets an error of its own, and the next writers go on.

    That goes for those who raised, too: it may be what was rolled back that they complain of.
    """
    calls = [crowd.first(), crowd.next(1), crowd.next(2, error=ValueError("no")), crowd.next(3)]
    crowd.engine.fails["commit"] = StoreFullError("no room")
    crowd.go_on.set()
    errors = failures(calls)
    assert str(errors[2].__cause__) == "no"
    assert crowd.engine.stored == []
    assert crowd.is_free()
    with Block(crowd.writers, sync=True) as changes:
        changes.append(3)
    assert crowd.engine.stored == [3]


@pytest.mark.parametrize("at", ["keep", "enter"])
def test_a_database_that_fails_inside_fails_for_those_before(crowd: Crowd, at: str) -> None:
    """It has rolled back by itself: what they did is gone."""
    calls = [crowd.first(), crowd.next(1)]
    if at == "keep":  # the second one: the first is to go through
        real_keep = crowd.engine.keep
        keeps = count(1)

        def keep() -> None:
            if next(keeps) == 2:
                crowd.engine.fails["keep"] = StoreFullError("no room")
            real_keep()

        crowd.engine.keep = keep  # type: ignore[method-assign]
    else:
        crowd.engine.fails[at] = StoreFullError("no room")
    crowd.engine.fails["undo"] = StoreError("gone")
    crowd.go_on.set()
    with pytest.raises(StoreFullError, match="no room"):
        calls[1].result()
    with pytest.raises(StoreError, match="gone"):
        calls[0].result()
    assert crowd.engine.stored == []
    assert crowd.is_free()


def test_whoever_cannot_begin_harms_nobody(crowd: Crowd) -> None:
    """The next one tries again."""
    first, second = crowd.first(error=ValueError("no")), crowd.next(1)
    third = crowd.next(2)
    crowd.engine.fails["begin"] = StoreFullError("no room")
    crowd.go_on.set()
    with pytest.raises(ValueError, match="no"):
        first.result()
    with pytest.raises(StoreFullError, match="no room"):
        second.result()
    third.result()
    assert crowd.engine.stored == [2]


def test_all_who_wait_for_a_busy_database_have_waited_long_enough(crowd: Crowd) -> None:
    """They do not wait in turn, each for the whole timeout."""
    first = crowd.first(error=ValueError("no"))
    calls = [crowd.next(1), crowd.next(2), crowd.next(3, sync=False)]
    crowd.engine.fails["begin"] = StoreBusyError("locked")
    crowd.go_on.set()
    with pytest.raises(ValueError, match="no"):
        first.result()
    for call in calls:
        with pytest.raises(StoreBusyError, match="locked"):
            call.result()
    assert crowd.is_free()


def test_an_interrupt_while_a_block_is_undone_fails_its_group_and_no_more(crowd: Crowd) -> None:
    """Nobody knows what is left of the transaction; the next one is a new one."""
    calls = [crowd.first(), crowd.next(1, error=KeyError("mine"))]
    crowd.engine.fails["undo"] = Interrupt()
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        calls[1].result()
    text = "^a transaction was interrupted; nothing was changed$"
    with pytest.raises(StoreError, match=text) as caught:
        calls[0].result()
    assert isinstance(caught.value.__cause__, Interrupt)
    assert crowd.engine.stored == []
    assert crowd.is_free()


def test_an_interrupt_while_a_lone_block_is_undone_lets_the_next_one_in(crowd: Crowd) -> None:
    """It does not keep its turn, and leaves no transaction open."""
    call, next_one = crowd.first(error=KeyError("mine")), crowd.next(1)
    crowd.engine.fails["rollback"] = Interrupt()
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        call.result()
    next_one.result()
    assert crowd.engine.stored == [1]
    assert crowd.is_free()


@pytest.mark.parametrize("in_block", [True, False])
def test_an_interrupt_while_a_begin_that_failed_is_ended_lets_the_next_one_in(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, in_block: bool
) -> None:
    """The turn is handed on at the second try."""
    real_pass_on = crowd.writers._pass_on

    def interrupted() -> None:
        monkeypatch.setattr(crowd.writers, "_pass_on", real_pass_on)
        raise Interrupt

    monkeypatch.setattr(crowd.writers, "_pass_on", interrupted)
    crowd.engine.fails["begin"] = StoreFullError("no room")
    block = Block(crowd.writers, sync=True)
    write = block.__enter__ if in_block else partial(block.run, list)
    with pytest.raises(Interrupt):
        write()
    assert crowd.is_free()


@pytest.mark.parametrize("at", ["block", "commit"])
def test_a_busy_database_sends_others_away_only_if_they_wait_for_the_same(
    crowd: Crowd, at: str
) -> None:
    """They wait for a transaction to begin, and this one had begun."""
    busy = StoreBusyError("locked")
    first = crowd.first(error=busy if at == "block" else None)
    late: list[Call] = []
    if at == "commit":

        def fail() -> None:
            crowd.engine.before_commit = lambda: None
            late.append(crowd.next(1))
            raise busy

        crowd.engine.before_commit = fail
    else:
        late.append(crowd.next(1))
    crowd.go_on.set()
    with pytest.raises(StoreBusyError):
        first.result()
    late[0].result()
    assert crowd.engine.stored == [1]


def test_blocks_that_fail_do_not_keep_a_group_open(crowd: Crowd) -> None:
    """They count: whoever waits for the commit does not wait for all of them."""
    calls = [crowd.first()]
    failing = [crowd.next(number, error=KeyError("mine")) for number in range(GROUP_LIMIT + 5)]
    crowd.go_on.set()
    for call in failing:
        with pytest.raises(StoreError, match="explained"):
            call.result()
    calls[0].result()
    commit = crowd.engine.calls.index("commit")
    assert crowd.engine.calls[:commit].count("undo") == GROUP_LIMIT - 1


def test_an_interrupt_while_waiting_for_the_turn_leaves_the_queue(crowd: Crowd) -> None:
    """Nobody waits for the one that is gone."""
    first = crowd.first()
    block = Block(crowd.writers, sync=True)

    def interrupted() -> None:
        raise Interrupt

    type_of_block = type(block)
    real_wait = type_of_block.wait
    type_of_block.wait = lambda self, is_over, timeout=-1: (  # type: ignore[method-assign]
        interrupted() if self is block else real_wait(self, is_over, timeout)
    )
    try:
        with pytest.raises(Interrupt), block:
            pass
    finally:
        type_of_block.wait = real_wait  # type: ignore[method-assign]
    second = crowd.next(2)
    crowd.go_on.set()
    first.result()
    second.result()
    assert crowd.engine.stored == ["first", 2]
    assert crowd.is_free()


def test_an_interrupt_of_a_hold_holds_nothing(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was waiting for those inside."""
    first = crowd.first()

    def interrupted(self: object, is_over: object, timeout: float = -1) -> None:
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr("scanqueue.stores._block.Block.wait", interrupted)
        with pytest.raises(Interrupt):
            crowd.writers.hold(PATIENCE)
    crowd.go_on.set()
    first.result()
    assert crowd.is_free()


def test_an_interrupt_between_the_block_and_its_commit_keeps_the_block(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had ended well, and so had the other one, which waits for the same."""
    real_settle = crowd.writers._settle

    def interrupted(group: object) -> None:
        monkeypatch.setattr(crowd.writers, "_settle", real_settle)
        raise Interrupt

    monkeypatch.setattr(crowd.writers, "_settle", interrupted)
    first, second = crowd.first(), crowd.next(1)
    crowd.go_on.set()
    first.result()
    with pytest.raises(Interrupt):
        second.result()
    assert crowd.engine.stored == ["first", 1]
    assert crowd.is_free()


def test_an_interrupt_before_the_commit_of_one_alone_takes_it_back(crowd: Crowd) -> None:
    """Nobody else waits for it."""
    crowd.engine.fails["commit"] = Interrupt()
    with pytest.raises(Interrupt), Block(crowd.writers, sync=True) as changes:
        changes.append(1)
    assert crowd.engine.stored == []
    assert crowd.is_free()


def test_a_commit_of_one_alone_that_fails_lets_the_next_one_in(crowd: Crowd) -> None:
    """Nothing is left of it."""
    crowd.engine.fails["commit"] = StoreFullError("no room")
    with pytest.raises(StoreFullError), Block(crowd.writers, sync=True) as changes:
        changes.append(1)
    with Block(crowd.writers, sync=True) as changes:
        changes.append(2)
    assert crowd.engine.stored == [2]
    assert crowd.is_free()


@pytest.mark.parametrize("is_exclusive", [False, True])
def test_an_interrupt_right_after_the_turn_was_given_hands_it_on(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, is_exclusive: bool
) -> None:
    """And commits what others wait for."""
    first = crowd.first()
    real_wait = type(Block(crowd.writers, sync=True)).wait
    victims: list[object] = []

    def wait(self: Block[list[object]], is_over: Callable[[], bool], timeout: float = -1) -> None:
        if not victims:
            victims.append(self)
            real_wait(self, is_over, timeout)
            raise Interrupt
        real_wait(self, is_over, timeout)

    monkeypatch.setattr("scanqueue.stores._block.Block.wait", wait)
    hold = crowd.writers.hold
    second = crowd.queued(lambda: hold(PATIENCE)) if is_exclusive else crowd.next(2)
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        second.result()
    first.result()
    assert crowd.engine.stored == ["first"]
    assert crowd.is_free()


@pytest.mark.parametrize("is_done", [False, True])
def test_an_interrupt_of_the_commit_tells_the_others_what_happened(
    crowd: Crowd, is_done: bool
) -> None:
    """All or nothing, whichever it was."""
    first, second = crowd.first(), crowd.next(2)

    def interrupt() -> None:
        if is_done:
            crowd.engine.stored += crowd.engine.kept
            crowd.engine.open = False
        raise Interrupt

    crowd.engine.before_commit = interrupt
    crowd.go_on.set()
    with pytest.raises(Interrupt):
        second.result()
    if is_done:
        first.result()
    else:
        text = "^the commit was interrupted; nothing was changed$"
        with pytest.raises(StoreError, match=text) as caught:
            first.result()
        assert isinstance(caught.value.__cause__, Interrupt)
    assert crowd.engine.stored == (["first", 2] if is_done else [])
    assert crowd.is_free()


def test_where_nobody_is_inside_holding_works_at_once(crowd: Crowd) -> None:
    """And says so."""
    assert crowd.writers.hold(0) is True
    crowd.writers.let_go()
    assert crowd.is_free()


def test_holding_keeps_everybody_out(crowd: Crowd) -> None:
    """With nothing open; those that come meanwhile go on afterwards."""
    first = crowd.first()
    holding = crowd.queued(lambda: crowd.writers.hold(PATIENCE))
    second = crowd.next(2)
    crowd.go_on.set()
    assert holding.result() is True
    first.result()
    assert crowd.engine.stored == ["first"]
    assert not crowd.engine.open
    assert second.is_alive()
    crowd.writers.let_go()
    second.result()
    assert crowd.engine.stored == ["first", 2]


def test_holding_gives_up_after_its_timeout(crowd: Crowd) -> None:
    """Somebody is inside for too long."""
    first = crowd.first()
    assert crowd.writers.hold(0.001) is False
    assert crowd.writers.hold(0) is False
    crowd.go_on.set()
    first.result()
    assert crowd.is_free()


def test_a_busy_database_does_not_end_a_hold(crowd: Crowd) -> None:
    """It waits for the writers, not for the database."""
    first = crowd.first(error=ValueError("no"))
    second, holding = crowd.next(1), crowd.queued(lambda: crowd.writers.hold(PATIENCE))
    crowd.engine.fails["begin"] = StoreBusyError("locked")
    crowd.go_on.set()
    with pytest.raises(ValueError, match="no"):
        first.result()
    with pytest.raises(StoreBusyError):
        second.result()
    assert holding.result() is True


def test_a_block_that_is_called_twice_looks_once(crowd: Crowd) -> None:
    """It may have looked for itself in between."""
    block = Block(crowd.writers, sync=True)
    block.prepare_to_wait()
    block.go_on()
    block.go_on()
    answers = iter([False, True])
    block.wait(lambda: next(answers))
