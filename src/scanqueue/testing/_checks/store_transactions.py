"""What a store promises of reads and writes as a whole, and of the threads that share it."""

from __future__ import annotations

from functools import partial
from itertools import count as count_up
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from scanqueue import _sync
from scanqueue.models import TaskPriority
from scanqueue.testing._checks.running import Checks, Unkept, expect, expect_equal
from scanqueue.testing._checks.store_bench import StoreBench, count, find, look
from scanqueue.testing._checks.tasks import change, current, end, expect_same, expect_tasks, submit
from scanqueue.testing._checks.threads import MOMENT, Aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanqueue.protocols import TaskStore, TaskTable, TaskView
    from scanqueue.records import TaskRecord

T = TypeVar("T")

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()

_THREADS = 4
_WRITES = 10


class _Stop(BaseException):
    """What nobody catches by accident."""


def _answers(view: TaskView) -> tuple[object, ...]:
    """Return something of everything that a view can be asked."""
    tasks = [(task.id, task.revision) for task in view.changed(0, None)]
    return view.revision(), view.paused(), attrs.astuple(view.counts()), tasks


@checks.add
def commits(bench: Bench) -> None:
    """What was written is seen by the next read, on whatever thread, and by the next write."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    seen = Aside(lambda: find(store, task)).result()
    expect_same(seen, task, "read on another thread, the task")
    with store.write() as table:
        expect_same(current(table, task), task, "in the next write, the task")


@checks.add
def commits_what_need_not_be_safe(bench: Bench) -> None:
    """With `sync=False`, what was written is seen by the next read all the same."""
    store = bench.store()
    with store.write(sync=False) as table:
        task = submit(table)
    expect_same(find(store, task), task, "the task")


@checks.add
def changes_nothing_unasked(bench: Bench) -> None:
    """A write that changes nothing leaves everything as it is."""
    store = bench.store()
    with store.write() as table:
        submit(table)
    before = look(store, _answers)
    with store.write() as table:
        expect_equal(_answers(table), before, "inside of it, it shows")
    expect_equal(look(store, _answers), before, "after it, the store shows")


@checks.add
def reads_one_moment(bench: Bench) -> None:
    """Inside a read, the answers stay the same while another thread writes."""
    store = bench.store()
    with store.write() as table:
        submit(table)

    def write() -> None:
        with store.write() as table:
            submit(table, "books")
            table.set_paused(True)

    with store.read() as view:
        before = _answers(view)
        writer = Aside(write)
        writer.ends_within(MOMENT)
        expect_equal(_answers(view), before, "while another thread wrote, a read showed")
    writer.result()
    expect_equal(count(store).pending, 2, "after it, pending are")


@checks.add
def hides_what_is_not_committed(bench: Bench) -> None:
    """No read sees a write that is not over."""
    store = bench.store()
    before = look(store, _answers)
    with store.write() as table:
        submit(table)
        reader = Aside(lambda: look(store, _answers))
        if reader.ends_within(MOMENT):
            expect_equal(reader.result(), before, "during a write, another thread read")
    reader.result()


@checks.add
def writes_are_serial(bench: Bench) -> None:
    """A write begins when the one before it is over, and sees what that has written."""
    expect_serial(*[bench.store()] * 2)


def expect_serial(one: TaskStore, other: TaskStore) -> None:
    """Raise if two writes of a queue overlap.

    Args:
        one: A store.
        other: The same, or another one of the same queue.
    """
    with one.write() as table:
        task = submit(table)
    inside = _sync.Event()

    def count(store: TaskStore) -> None:
        with store.write() as table:
            inside.set()
            old = current(table, task)
            change(table, old, attempt=old.attempt + 1)

    with one.write() as table:
        old = current(table, task)
        second = Aside(lambda: count(other))
        overlaps = inside.wait(MOMENT)
        change(table, old, attempt=old.attempt + 1)
    second.result()
    expect(not overlaps, "a second write began before the first was over")
    found = find(one, task)
    expect_equal(found and found.attempt, 2, "after each of two writes added one, the number is")


@checks.add
def many_threads_write(bench: Bench) -> None:
    """Many threads read and write at a time, and each change gets a revision of its own."""
    store = bench.store()

    numbers = count_up()

    def work() -> list[int]:
        seen = []
        for _ in range(_WRITES):
            with store.write() as table:
                seen.append(submit(table, next(numbers)).revision)
            with store.read() as view:
                expect(view.revision() >= seen[-1], "a thread did not see its own write")
        return seen

    threads = [Aside(work) for _ in range(_THREADS)]
    seen = [revision for thread in threads for revision in thread.result()]
    changed = look(store, lambda view: [task.revision for task in view.changed(0, None)])
    expect_equal(changed, sorted(seen), "the revisions that `changed` gives are")
    expect_equal(len(set(seen)), _THREADS * _WRITES, "the number of different revisions is")


# --- functions ---


@checks.add
def runs_rules(bench: Bench) -> None:
    """Where a write has `run`, that answers, commits and raises as a `with` block does."""
    store = bench.store()
    if not hasattr(store.write(), "run"):
        return
    numbers = count_up()

    def insert(table: TaskTable) -> TaskRecord:
        return submit(table, next(numbers))

    def refuse(table: TaskTable) -> None:
        insert(table)
        raise error

    for anywhere in (False, True):
        task = _run(store, insert, anywhere=anywhere)
        expect_same(find(store, task), task, "after `run`, the task")
        for error in (LookupError("a rule refuses"), _Stop()):
            before = look(store, _contents)
            try:
                _run(store, refuse, anywhere=anywhere)
            except BaseException as raised:  # noqa: BLE001 - whatever a store makes of it
                expect(raised is error, f"in the place of {error!r} came {raised!r}")
            else:
                raise Unkept(f"{error!r} did not come out of `run`")
            is_fine = look(store, _contents) == before or not store.durable
            expect(is_fine, "of a rule that raised something is left")


@checks.add
def runs_rules_of_many_threads(bench: Bench) -> None:
    """Many threads use `run`, and each gets the answer of its own rule, once that is committed."""
    store = bench.store()
    if not hasattr(store.write(), "run"):
        return
    numbers = count_up()

    def insert(table: TaskTable, number: int) -> tuple[int, TaskRecord]:
        return _sync.get_ident(), submit(table, number)

    def work() -> None:
        for turn in range(_WRITES):
            number, anywhere = next(numbers), bool(turn % 2)
            thread, task = _run(store, partial(insert, number=number), anywhere=anywhere)
            is_here = thread == _sync.get_ident()
            expect(is_here or anywhere, "a rule was run on another thread, unasked")
            expect_equal(task.library_id, number, "the library of the task that `run` gave is")
            expect_same(find(store, task), task, "a thread's own task")

    threads = [Aside(work) for _ in range(_THREADS)]
    for thread in threads:
        thread.result()
    expect_equal(count(store).pending, _THREADS * _WRITES, "the number of tasks is")


def _run(store: TaskStore, rule: Callable[[TaskTable], T], *, anywhere: bool) -> T:
    """Run a rule in a write that can do that."""
    write: Any = store.write()
    answer: T = write.run(rule, anywhere=anywhere)
    return answer


# --- exceptions ---


@checks.add
def exceptions_go_through(bench: Bench) -> None:
    """What is raised inside of a read or a write reaches the caller, as it is."""
    store = bench.store()
    for error in (LookupError("a rule refuses"), _Stop()):
        for enter in (store.read, store.write):
            try:
                with enter():
                    raise error
            except BaseException as raised:  # noqa: BLE001 - whatever a store makes of it
                expect(raised is error, f"in the place of {error!r} came {raised!r}")
            else:
                raise Unkept(f"{error!r} did not come out of `{enter.__name__}`")


@checks.add
def goes_on_after_exceptions(bench: Bench) -> None:
    """After a write that was left by an exception, the store can be read and written."""
    store = bench.store()
    for error in (LookupError(), _Stop()):
        try:
            with store.write() as table:
                table.next_revision()
                raise error
        except BaseException as raised:
            if raised is not error:
                raise
        with store.write() as table:
            task = submit(table, repr(error))
        expect_same(find(store, task), task, "the next task")


@checks.add
def leaves_all_or_nothing(bench: Bench) -> None:
    """A write left by an exception leaves nothing, or, where tasks are not durable, all of it."""
    store = bench.store()
    with store.write() as table:
        upgraded, ended = submit(table, "upgraded"), submit(table, "ended")
    before = look(store, _contents)
    after = []
    try:
        with store.write() as table:
            change(table, upgraded, priority=TaskPriority.HIGH)
            end(table, ended)
            submit(table, "inserted")
            table.set_paused(True)
            after.append(_contents(table))
            raise _Stop
    except _Stop:
        found = look(store, _contents)
    left = "everything" if found in after else "a part"
    is_fine = found == before or (found in after and not store.durable)
    expect(is_fine, f"of a write that was left by an exception {left} is left")


def _contents(view: TaskView) -> tuple[object, ...]:
    """Return what a view shows, but for the revision: one that is not used leaves a gap."""
    return _answers(view)[1:]


# --- the end ---


@checks.add
def reads_after_close(bench: Bench) -> None:
    """A store that was closed still answers, on every thread."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    before = look(store, _answers)
    bench.close(store)
    expect_equal(look(store, _answers), before, "after `close`, the store shows")
    seen: TaskRecord | None = Aside(lambda: find(store, task)).result()
    expect_same(seen, task, "read on another thread, the task")


@checks.add
def no_owner_is_dead_for_nothing(bench: Bench) -> None:
    """`dead_owners` has no owner that is alive, and none that it was not asked about."""
    store = bench.store()
    owner = bench.owner_of(store)
    expect_equal(list(store.dead_owners([])), [], "asked about nobody, `dead_owners` gives")
    expect_equal(list(store.dead_owners({owner})), [], "asked about itself, `dead_owners` gives")


@checks.add
def attaches(bench: Bench) -> None:
    """`attach` takes a function, and does not call it for changes that this store made."""
    store = bench.store()
    calls: list[None] = []
    store.attach(lambda: calls.append(None))
    with store.write() as table:
        task = submit(table)
    expect_tasks(look(store, lambda view: view.pending(None)), [task], "`pending`")
    expect_equal(len(calls), 0, "the calls after a change of its own are")
