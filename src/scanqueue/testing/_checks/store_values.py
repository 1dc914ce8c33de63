"""What a store promises of the values of a task: they come back as they were written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from scanqueue._validate import MAX_INT, MIN_INT
from scanqueue.models import (
    EndReason,
    ScanScope,
    TaskPriority,
    TaskProgress,
    TaskResult,
    TaskStatus,
)
from scanqueue.testing._checks.running import Checks, expect, expect_equal
from scanqueue.testing._checks.store_bench import StoreBench, find
from scanqueue.testing._checks.tasks import (
    change,
    claim,
    end,
    expect_same,
    submit,
)

if TYPE_CHECKING:
    from scanqueue.models import LibraryId

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()

LOOKALIKES: Final[tuple[LibraryId, ...]] = (
    *(1, "1", 0, "0", -1, MAX_INT, MIN_INT, "a", "A", "a ", " a", "a\0", "a\0b", "/", "..", "%"),
    *("\u00e9", "e\u0301", "\U0001f4bf", "\u202eabc", "x" * 255, "\U0001f4bf" * 255),
)
ODD_TEXT: Final = "\u00e9 e\u0301 \U0001f4bf \u202e ' \" \\ % ; -- <b> {} [] $x \\udce9 \u2028"
"""As a message or an error may be: whatever cannot be stored is escaped before."""


@checks.add
def keeps_every_field(bench: Bench) -> None:
    """A record comes back as it was written, every field of it, with its type."""
    scope = ScanScope(paths=["a", "b/c"], deep=True)
    store = bench.store()
    with store.write() as table:
        task = table_task = submit(table, priority=TaskPriority.HIGH)
        table_task = change(table, task, scope=scope)
    expect_same(find(store, task), table_task, "a PENDING task")
    progress = TaskProgress(scanned_paths=3, total_paths=10, message="Bach")
    result = TaskResult(added_count=1, updated_count=2, removed_count=3, failed_count=4)
    for fields in (
        {"progress": TaskProgress(scanned_paths=7)},
        {"progress": progress, "interruptions": 2, "attempt": 3},
        {"priority": TaskPriority.LOW, "scope": ScanScope(paths=["z"])},
    ):
        with store.write() as table:
            task = change(table, task, **fields)
        expect_same(find(store, task), task, "a PENDING task")
    with store.write() as table:
        task, slot = claim(table, task)
    expect_same(find(store, task), task, "a RUNNING task")
    with store.write() as table:
        task = end(table, task, status=TaskStatus.FAILED, slot=slot)
        for reason in EndReason:
            task = change(table, task, result=result, error="it broke", reason=reason)
    expect_same(find(store, task), task, "a FAILED task")


@checks.add
def keeps_odd_texts(bench: Bench) -> None:
    """Texts come back character by character, however odd and however long they are."""
    _keeps(
        bench,
        {"error": ODD_TEXT, "progress": TaskProgress(scanned_paths=0, message=ODD_TEXT)},
        {"error": "", "progress": TaskProgress(scanned_paths=0, message="")},
        {"error": "\U0001f4bf" * 4096},
        {"progress": TaskProgress(scanned_paths=0, message="\U0001f4bf" * 1024)},
        {"scope": ScanScope(paths=[" ", "a\nb", "\\", '"', "'", "[", ",", "\u00e9", "e\u0301"])},
        {"scope": ScanScope(paths=[f"{number:04}" * 20 for number in range(1000)])},
    )


@checks.add
def keeps_large_numbers(bench: Bench) -> None:
    """Numbers of up to 64 bits come back as they are."""
    largest = TaskResult(
        added_count=MAX_INT, updated_count=MAX_INT, removed_count=MAX_INT, failed_count=MAX_INT
    )
    _keeps(
        bench,
        {"progress": TaskProgress(scanned_paths=MAX_INT, total_paths=MAX_INT)},
        {"progress": TaskProgress(scanned_paths=0, total_paths=0)},
        {"result": largest, "attempt": MAX_INT, "interruptions": MAX_INT},
        {"result": TaskResult()},
    )


@checks.add
def keeps_moments(bench: Bench) -> None:
    """Moments come back to the microsecond, from the year 1 to the year 9999, and in UTC."""
    moments = [
        datetime.min.replace(tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ]
    _keeps(bench, *({"started_at": moment} for moment in moments))
    store = bench.store()
    for number, moment in enumerate(moments):
        with store.write() as table:
            task = end(table, submit(table, number), moment)
            expect_same(table.get(task.id), task, "a task that has ended")


def _keeps(bench: Bench, *changes: dict[str, Any]) -> None:
    """Check that fields come back as they were written."""
    store = bench.store()
    with store.write() as table:
        task = submit(table)
    for fields in changes:
        with store.write() as table:
            task = change(table, task, **fields)
        expect_same(find(store, task), task, "the task")


@checks.add
def tells_libraries_apart(bench: Bench) -> None:
    """Two ids of libraries are the same only if they have one type and the same characters."""
    store = bench.store()
    with store.write() as table:
        tasks = [submit(table, library_id) for library_id in LOOKALIKES]
        for task in tasks[::2]:
            claim(table, task)
    with store.read() as view:
        for number, task in enumerate(tasks):
            slot = view.slot_of(task.library_id)
            expect_equal(slot is not None, number % 2 == 0, f"of {task.library_id!r:.50}, a slot")
            found = view.get(task.id) if slot else view.pending_of(task.library_id)
            expect(found is not None, f"the task of {task.library_id!r:.50} is not there")
            expect(
                found.id == task.id and type(found.library_id) is type(task.library_id),
                f"the task of {task.library_id!r:.50} is another one's",
            )
