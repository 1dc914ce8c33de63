"""What a shared store promises to the others that have the same queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from scanqueue import _sync
from scanqueue.testing._checks.running import Checks, Unkept, expect, expect_equal
from scanqueue.testing._checks.store_bench import FIRST_REVISION, StoreBench, find, look
from scanqueue.testing._checks.store_transactions import expect_serial
from scanqueue.testing._checks.tasks import (
    change,
    claim,
    current,
    expect_same,
    submit,
)
from scanqueue.testing._checks.threads import MOMENT, Aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue.protocols import TaskStore

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()
kills: Final[Checks[Bench]] = Checks()
"""Those that kill forked children."""


@checks.add
def others_see_commits(bench: Bench) -> None:
    """What one store of a queue has written, the others read next."""
    one = bench.store()
    other = bench.opened(bench.another(one))
    for store, reader in ((one, other), (other, one)):
        with store.write() as table:
            task = submit(table, bench.owner_of(store))
            table.set_paused(store is one)
        with reader.read() as view:
            expect_same(view.get(task.id), task, "the task that another store wrote")
            expect_equal(view.paused(), store is one, "`paused` that another store set is")
            expect_equal(view.revision(), task.revision, "the revision of another store's write is")


@checks.add
def reads_one_moment_of_all(bench: Bench) -> None:
    """Inside a read, the answers stay the same while another store of the queue writes."""
    one = bench.store()
    other = bench.opened(bench.another(one))

    def write() -> None:
        with other.write() as table:
            submit(table)

    with one.read() as view:
        before = view.revision()
        writer = Aside(write)
        writer.ends_within(MOMENT)
        expect_equal(view.counts().pending, 0, "while another store wrote, the pending tasks were")
        expect_equal(view.revision(), before, "while another store wrote, the revision was")
    writer.result()


@checks.add
def writes_of_all_are_serial(bench: Bench) -> None:
    """A write of one store begins when that of another one of the queue is over."""
    one = bench.store()
    expect_serial(one, bench.opened(bench.another(one)))


@checks.add
def open_owners_are_alive(bench: Bench) -> None:
    """An owner is alive while its store is open, and dead when that was closed."""
    one = bench.store()
    other = bench.opened(bench.another(one))
    owner = bench.owner_of(one)
    expect_equal(set(other.dead_owners({owner})), set(), "while it is open, `dead_owners` gives")
    bench.close(one)
    expect_equal(set(other.dead_owners({owner})), {owner}, "closed, `dead_owners` gives")


@checks.add
def close_leaves_others_alone(bench: Bench) -> None:
    """A store that is closed leaves the other stores of the queue open, and alive."""
    one = bench.store()
    other, third = (bench.opened(bench.another(one)) for _ in range(2))
    bench.close(one)
    with other.write() as table:
        task = submit(table)
    expect_same(find(third, task), task, "the task")
    expect_same(find(one, task), task, "read from the closed one, it")
    dead = third.dead_owners({bench.owner_of(other)})
    expect_equal(set(dead), set(), "`dead_owners` of one that is open gives")


@checks.add
def tells_or_is_polled(bench: Bench) -> None:
    """A store without a `poll_interval` calls the attached function when another one writes."""
    one = bench.store()
    other = bench.opened(bench.another(one))
    called = _sync.Event()
    other.attach(called.set)
    with one.write() as table:
        submit(table)
    if other.poll_interval is None and not called.wait(_TELLING):
        raise Unkept(f"it had not called after {_TELLING:g} second")


_TELLING = 1.0
"""Seconds within which other processes see a change."""


@kills.add
def writes_of_processes_are_serial(bench: Bench) -> None:
    """A write of one process begins when that of another one is over, and sees what it wrote."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    bench.close(store)
    inside_too = _sync.Event()
    begin, inside, leave = (bench.signal() for _ in range(3))

    def add_one(store: TaskStore, meanwhile: Callable[[], object]) -> None:
        with store.write() as table:
            old = current(table, task)
            meanwhile()
            change(table, old, attempt=old.attempt + 1)

    def hold() -> None:  # pragma: no cover - in forked children only
        inside.give()
        leave.wait(None)

    def write() -> None:  # pragma: no cover - in forked children only
        mine = bench.opened(bench.another(store))
        begin.wait(None)
        add_one(mine, hold)

    child = bench.fork(write)
    mine = bench.opened(bench.another(store))  # here, too, after the fork, and before the write
    begin.give()
    inside.wait(bench.patience)  # in vain, if the child cannot write: then it says why
    writer = Aside(lambda: add_one(mine, inside_too.set))
    overlaps = inside_too.wait(MOMENT)
    leave.give()
    expect_equal(child.outcome(), "", "a child that was to write said")
    writer.result()
    expect(not overlaps, "a write began before that of another process was over")
    found = find(mine, task)
    expect_equal(found and found.attempt, 2, "after each of two processes added one, the number is")


@kills.add
def killed_owners_are_dead(bench: Bench) -> None:
    """An owner in another process is alive until that process is dead, and dead from then on."""
    store = bench.unopened()
    owner = uuid4().hex

    def live() -> None:  # pragma: no cover - in forked children only
        store.open(owner, FIRST_REVISION)
        with store.write() as table:
            claim(table, submit(table), owner)

    child = bench.fork(live)
    expect_equal(child.outcome(), "", "in a child, opening and writing raised")
    mine = bench.opened(bench.another(store))
    held = {slot.owner for slot in look(mine, lambda view: view.slots())}
    expect_equal(held, {owner}, "the owners of the slots are")
    expect_equal(set(mine.dead_owners(held)), set(), "while it lives, `dead_owners` gives")
    child.kill()
    expect_equal(set(mine.dead_owners(held)), held, "when it was killed, `dead_owners` gives")
