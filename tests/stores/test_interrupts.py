"""One thread is interrupted, wherever Python can do that; all others go on, and hear the truth."""

from __future__ import annotations

import gc
import threading
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from scanqueue.errors import StoreBusyError, StoreError
from scanqueue.stores import _block, _file_lock, _group, _liveness, _patience, sqlite
from scanqueue.stores._block import Block
from tests.interrupts import Interrupt, Interrupter
from tests.stores.crowd import Crowd
from tests.stores.test_liveness import open_files
from tests.stores.tools import PATIENCE, Call, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scanqueue.stores.sqlite import SQLiteStore

FILES = {_block.__file__, _group.__file__}

OPEN = {"__exit__", "leave"}
"""The begin of these, at the end of a `with` block: nobody hears that it has ended."""


def write(
    crowd: Crowd, change: Callable[[list[object]], object], *, in_block: bool, anywhere: bool = True
) -> None:
    """Change something, in a block or by a function."""
    block = Block(crowd.writers, sync=True)
    if in_block:
        with block as changes:
            change(changes)
    else:
        block.run(change, anywhere=anywhere)


def meet(
    interrupter: Interrupter,
    victim: str,
    others: str,
    *,
    fails: bool = False,
    is_busy: bool = False,
    in_blocks: bool = False,
) -> None:
    """Have a block and some others meet, and see what each of them heard.

    Args:
        interrupter: What interrupts one of them.
        victim: Which one.
        others: Who waits behind "0", which stays on its thread, a letter each.
        fails: Whether "0" ends by an exception.
        is_busy: Whether the database is when the next one begins.
        in_blocks: Whether they are `with` blocks, and not functions.
    """
    crowd = Crowd()
    inside, go_on = threading.Event(), threading.Event()

    def stay(changes: list[object]) -> None:
        inside.set()
        assert go_on.wait(PATIENCE)
        changes.append("0")
        if victim == "0":
            interrupter.begin()
        if is_busy:
            crowd.engine.fails["begin"] = StoreBusyError("locked")
        if fails:
            raise LookupError

    def run(name: str) -> None:
        if victim == name:
            interrupter.begin()
        write(crowd, lambda changes: changes.append(name), in_block=in_blocks)

    calls = {"0": Call(partial(write, crowd, stay, in_block=in_blocks, anywhere=False))}
    assert inside.wait(PATIENCE)
    for name in others:
        calls[name] = crowd.queued(partial(run, name))
    go_on.set()
    for name, call in calls.items():
        place = f"{name}, after an interrupt of {victim} at {interrupter.place}"
        call.join(PATIENCE)
        assert not call.is_alive(), f"{place}: it hangs"
        check(call, place, is_stored=name in crowd.engine.stored, is_victim=name == victim)
    assert len(set(crowd.engine.stored)) == len(crowd.engine.stored)
    assert crowd.is_free(), f"the turn was lost by an interrupt of {victim} at {interrupter.place}"


def check(call: Call, place: str, *, is_stored: bool, is_victim: bool) -> None:
    """Check that a call has heard the truth; one that was interrupted cannot know it."""
    if call.error is None:
        assert is_stored, f"{place}: it was lost"
    elif isinstance(call.error, (StoreError, LookupError)):
        assert not is_stored, f"{place}: it was stored"
    else:
        assert isinstance(call.error, Interrupt), f"{place}: {call.error!r}"
        assert is_victim, place


@pytest.mark.parametrize(
    ("victim", "others"), [("0", "a"), ("0", "ab"), ("a", "abc"), ("b", "abc"), ("c", "abc")]
)
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("in_blocks", [False, True])
def test_an_interrupt_harms_only_whom_it_hits(
    monkeypatch: pytest.MonkeyPatch, victim: str, others: str, in_blocks: bool, fails: bool
) -> None:
    """The others go on, at the latest when they look for themselves."""
    monkeypatch.setattr(_block, "LOOK_AGAIN", 0.02)
    try_all_places(victim, others, in_blocks=in_blocks, fails=fails)


@pytest.mark.parametrize("in_blocks", [False, True])
def test_an_interrupt_under_a_busy_database_harms_only_whom_it_hits(
    monkeypatch: pytest.MonkeyPatch, in_blocks: bool
) -> None:
    """All who wait are sent away, and those that come next are not kept out."""
    monkeypatch.setattr(_block, "LOOK_AGAIN", 0.02)
    try_all_places("a", "abc", in_blocks=in_blocks, fails=True, is_busy=True)


def try_all_places(victim: str, others: str, *, in_blocks: bool, **options: bool) -> None:
    """Interrupt the victim at every place, one after the other."""
    number = 1
    while True:
        interrupter = Interrupter(number, FILES, OPEN if in_blocks else ())
        meet(interrupter, victim, others, in_blocks=in_blocks, **options)
        if interrupter.place is None:
            break
        number += 1
    assert number > 5


@pytest.mark.logs_errors
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a `__del__`
def test_a_sign_of_life_whose_making_is_interrupted_is_given_the_next_time(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that is, nobody waits for what nobody holds."""
    monkeypatch.setattr(sqlite, "_LOOK_INTERVAL", 0.0)
    (sign,) = path.parent.glob("*-owner-me")
    files = [str(module.__file__) for module in (_liveness, _file_lock, _patience, sqlite)]
    for number in count(1):
        sign.unlink()
        interrupter = Interrupter(number, files)
        interrupter.begin()
        try:
            waiting(store)
        except Interrupt:
            pass
        finally:
            interrupter.end()
        place = f"after an interrupt at {interrupter.place}"
        assert Call(partial(waiting, store)).result() == [], place
        assert not _file_lock.is_free(str(sign)), place
        gc.collect()  # what the interrupt left
        assert open_files().count(str(sign)) == 1, place
        if interrupter.place is None:
            break
    assert number > 20
