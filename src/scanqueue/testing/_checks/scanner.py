"""The checks of a scanner, all in one call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final

import attrs

from scanqueue import _sync
from scanqueue._runner import ScanFunction, as_function
from scanqueue._scope import WHOLE_LIBRARY
from scanqueue._text import describe_error
from scanqueue._validate import check_bool, check_instance, check_library_id, wrong_value
from scanqueue.errors import LibraryUnavailable, ScanCancelled
from scanqueue.models import LibraryId, ScanScope, TaskResult
from scanqueue.protocols import ScanContext, Scanner
from scanqueue.testing._checks.arguments import check_patience
from scanqueue.testing._checks.running import (
    Check,
    Checks,
    Unkept,
    expect,
    expect_equal,
    run_checks,
)
from scanqueue.testing._checks.scan import Scan
from scanqueue.testing._checks.threads import MOMENT, Aside
from scanqueue.testing._clock import PATIENCE

__all__ = ["check_scanner"]

_ENDING: Final = 20 * MOMENT
"""Seconds that a thread which is about to end may take."""
_DEEP: Final = ScanScope(deep=True)
_FEW: Final = 3
"""A scan that reports, asks or counts no more often has no way on which it could stop."""


@attrs.frozen
class ScannerBench:
    """A scanner, and what its author says of it."""

    scan: ScanFunction
    library_id: LibraryId
    unavailable: LibraryId | None
    scope: ScanScope | None
    other: LibraryId | None

    def run(
        self,
        scope: ScanScope = WHOLE_LIBRARY,
        *,
        cancel_at: int | None = None,
        cancel_at_look: int | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Scan:
        """Run a scan of the library."""
        return Scan(
            self.scan,
            self.library_id,
            scope,
            cancel_at=cancel_at,
            cancel_at_look=cancel_at_look,
            meanwhile=meanwhile,
        )

    def run_other(self) -> Scan:
        """Run a scan of the other library."""
        assert self.other is not None
        return Scan(self.scan, self.other, WHOLE_LIBRARY)

    def clear(self) -> None:
        """Do nothing: the scanner is its author's."""


checks: Final[Checks[ScannerBench]] = Checks()
unavailable: Final[Checks[ScannerBench]] = Checks()
incremental: Final[Checks[ScannerBench]] = Checks()
scoped: Final[Checks[ScannerBench]] = Checks()
scoped_incremental: Final[Checks[ScannerBench]] = Checks()
several: Final[Checks[ScannerBench]] = Checks()


# Only the first check judges how a plain scan of a library that is there ends: what it finds, the
# others need not say again.


@checks.add
def returns_a_result(bench: ScannerBench) -> None:
    """A scan of a library that is there returns a `TaskResult`."""
    scan = bench.run()
    if scan.raised is not None:
        raise Unkept(f"it raised {describe_error(scan.raised)}") from scan.raised
    if inspect.iscoroutine(scan.returned):
        raise Unkept("it returned a coroutine: it must not be an async function")
    expect(isinstance(scan.returned, TaskResult), f"it returned {scan.returned!r:.100}")


@checks.add
def looks_for_a_cancel(bench: ScannerBench) -> None:
    """A scan asks its context whether to stop, and not only once: it may be cancelled later."""
    scan = bench.run()
    asks = "`cancelled`, `raise_if_cancelled`, `track` or `sleep`"
    expect(scan.context.looks > 0, f"it used none of {asks}")
    is_long = scan.counted > _FEW
    once = f"for {scan.counted} items, it asked once: do not check it with one batch only"
    expect(scan.context.looks > 1 or not is_long, once)


@checks.add
def stops_when_cancelled(bench: ScannerBench) -> None:
    """A scan that is asked to stop returns soon, or raises `ScanCancelled`, and nothing else."""
    for cancel_at in (0, 1, 2):
        error = bench.run(cancel_at=cancel_at).raised
        if not (error is None or isinstance(error, ScanCancelled)):
            raise Unkept(f"it raised {describe_error(error)}") from error


@checks.add
def stops_on_the_way(bench: ScannerBench) -> None:
    """A scan that is asked to stop on its way counts fewer items than a whole one."""
    whole = bench.run()
    for steps, items, stopped, when in (
        (len(whole.reports), 1, bench.run(cancel_at=1), "at its first report"),
        (whole.context.looks, _FEW, bench.run(cancel_at_look=2), "when it asked the second time"),
    ):
        has_a_way = steps > _FEW and whole.counted > items
        is_less = stopped.counted < whole.counted
        expect(is_less or not has_a_way, f"told so {when}, it counted {stopped.counted} items")


@checks.add
def lets_a_cancel_through(bench: ScannerBench) -> None:
    """A scan does not go on where the context has raised `ScanCancelled`."""
    for cancel_at in (0, 1, 2):
        times = bench.run(cancel_at=cancel_at).context.raised
        expect(times <= 1, f"it went on, until `ScanCancelled` was raised {times} times")


@checks.add
def reports_within_the_total(bench: ScannerBench) -> None:
    """A scan never reports more than the total that it gave."""
    for progress in bench.run().reports:
        scanned, total = progress.scanned_paths, progress.total_paths
        expect(total is None or scanned <= total, f"it reported {scanned} of {total}")


@checks.add
def finishes_at_the_total(bench: ScannerBench) -> None:
    """A scan that gave a total has reached it when it completes."""
    scan = bench.run()
    last = scan.reports[-1]
    scanned, total = last.scanned_paths, last.total_paths
    falls_short = scan.raised is None and total is not None and scanned < total
    expect(not falls_short, f"its last report was {scanned} of {total}")


@checks.add
def scans_deep(bench: ScannerBench) -> None:
    """A scan that is to read everything again (`deep`) ends as any other does."""
    plain, deep = bench.run(), bench.run(_DEEP)
    if isinstance(plain.returned, TaskResult):
        if deep.raised is not None:
            raise Unkept(f"it raised {describe_error(deep.raised)}") from deep.raised
        expect(isinstance(deep.returned, TaskResult), f"it returned {deep.returned!r:.100}")


@checks.add
def leaves_no_thread(bench: ScannerBench) -> None:
    """A scan that has returned leaves no thread behind; what the first one set up may stay."""
    bench.run()
    before = set(_sync.living_threads())
    bench.run()
    left = set(_sync.living_threads()) - before
    for thread in left:
        thread.join(_ENDING)
    names = sorted(thread.name for thread in left if thread.is_alive())
    expect(not names, f"it left {', '.join(names)}")


@unavailable.add
def raises_when_unavailable(bench: ScannerBench) -> None:
    """A scan of a library that cannot be reached raises `LibraryUnavailable`."""
    assert bench.unavailable is not None
    scan = Scan(bench.scan, bench.unavailable, WHOLE_LIBRARY)
    if scan.raised is None:
        raise Unkept(f"it returned {scan.returned!r:.100}")
    if not isinstance(scan.raised, LibraryUnavailable):
        raise Unkept(f"it raised {describe_error(scan.raised)}") from scan.raised


@incremental.add
def finds_nothing_new(bench: ScannerBench) -> None:
    """A second scan of a library that has not changed, deep or not, adds and removes nothing."""
    bench.run()
    _expect_nothing_new(bench.run(), "the second scan")
    _expect_nothing_new(bench.run(_DEEP), "a deep scan after it")


@incremental.add
def forgets_nothing_when_cancelled(bench: ScannerBench) -> None:
    """A scan that is cancelled does not take for gone what it has not come to."""
    bench.run()
    if _news(bench.run()) != (0, 0):
        return  # it remembers nothing anyway, which another check finds
    for cancel_at in (1, 2):
        _expect_nothing_new(bench.run(cancel_at=cancel_at), "the scan that was asked to stop")
        _expect_nothing_new(bench.run(), "a scan after one that was asked to stop")


def _news(scan: Scan) -> tuple[int, int]:
    """Return how many items a scan added and removed."""
    result = scan.returned
    return (result.added_count, result.removed_count) if isinstance(result, TaskResult) else (0, 0)


def _expect_nothing_new(scan: Scan, what: str) -> None:
    added, removed = _news(scan)
    expect((added, removed) == (0, 0), f"{what} added {added} and removed {removed}")


@scoped.add
def keeps_to_the_scope(bench: ScannerBench) -> None:
    """A scan of a part of a library counts some items, and fewer than one of all of it."""
    assert bench.scope is not None
    counts = [scan.reports[-1].scanned_paths for scan in (bench.run(bench.scope), bench.run())]
    says_nothing = counts[1] == 0  # what has not changed is not counted
    is_part = 0 < counts[0] < counts[1]
    expect(is_part or says_nothing, f"the part has {counts[0]} items, the whole {counts[1]}")


@scoped_incremental.add
def removes_nothing_out_of_scope(bench: ScannerBench) -> None:
    """A scan of a part of a library that has not changed leaves what is known of the rest."""
    assert bench.scope is not None
    bench.run()
    _expect_nothing_new(bench.run(bench.scope), "the scan of a part")
    _expect_nothing_new(bench.run(), "a scan of all after it")


@several.add
def keeps_scans_apart(bench: ScannerBench) -> None:
    """Scans of two libraries at a time count and find what each of them does alone."""
    bench.run()
    bench.run_other()
    alone = bench.run(), bench.run_other()  # where nothing is new to one that remembers
    begun: list[Aside[Scan]] = []

    def scan_other() -> None:
        begun.append(Aside(bench.run_other))
        begun[0].ends_within(_ENDING)  # or waits for this one

    first = bench.run(meanwhile=scan_other)
    for other in begun:
        for which, found, expected in zip(
            ("one", "other"), (first, other.result()), alone, strict=True
        ):
            expect_equal(_outcome(found), _outcome(expected), f"of the {which}, it counted")


def _outcome(scan: Scan) -> tuple[int, object]:
    raised = scan.raised and describe_error(scan.raised)
    return scan.reports[-1].scanned_paths, scan.returned or raised


def check_scanner(
    scanner: Scanner | Callable[[LibraryId, ScanContext], TaskResult],
    library_id: LibraryId,
    *,
    unavailable_id: LibraryId | None = None,
    scope: ScanScope | None = None,
    is_incremental: bool = False,
    other_id: LibraryId | None = None,
    patience: float = PATIENCE,
) -> None:
    """Check that a scanner keeps every promise of `Scanner`, by running it.

    >>> from scanqueue import TaskResult
    >>> def scan(library_id, context):
    ...     files = ["a.flac", "b.flac", "c.flac"]
    ...     return TaskResult(added_count=len(list(context.track(files))))
    >>> check_scanner(scan, "music")

    Its scans get contexts as the queue gives them, and run one after the other, some thirty of
    them, on threads of their own. Some are cancelled. Only where `other_id` is given, two run at a
    time.

    Args:
        scanner: The scanner: an object with a `scan` method, or a function.
        library_id: A library that it can scan, in less than the patience, with more items than it
            works on at a time.
        unavailable_id: A library that cannot be reached: its folder is missing, say.
        scope: A part of the library that has some of its items and leaves others out, if the
            scanner heeds scopes. Of a scanner that counts only what has changed it tells nothing.
        is_incremental: Whether it remembers what it has found, so that a second scan of what has
            not changed adds and removes nothing.
        other_id: Another library that it can scan at the same time, as a queue with two workers
            has it do.
        patience: Real seconds that one check may take, with up to six scans; a day at most.

    Raises:
        ConformanceError: It breaks some promises; all of them are named.
        TypeError: The scanner is none, an id is neither an int nor a str, `scope` is no
            `ScanScope`, `is_incremental` no bool, or `patience` no number.
        ValueError: An id is one that the queue refuses, `other_id` is `library_id`, or `patience`
            is 0, negative or NaN.
    """
    scan = as_function(scanner)
    library_id = check_library_id(library_id)
    if unavailable_id is not None:
        unavailable_id = check_library_id(unavailable_id, "unavailable_id")
    if other_id is not None:
        other_id = check_library_id(other_id, "other_id")
        if other_id == library_id and type(other_id) is type(library_id):
            wrong_value("other_id", other_id, "another id than library_id")
    if scope is not None:
        check_instance("scope", scope, ScanScope)
    is_incremental = check_bool("is_incremental", is_incremental)
    patience = check_patience(patience)
    bench = ScannerBench(scan, library_id, unavailable_id, scope, other_id)
    apply: list[Check[ScannerBench]] = [
        *checks,
        *(unavailable if unavailable_id is not None else ()),
        *(incremental if is_incremental else ()),
        *(scoped if scope is not None else ()),
        *(scoped_incremental if scope is not None and is_incremental else ()),
        *(several if other_id is not None else ()),
    ]
    name = getattr(scanner, "__name__", type(scanner).__name__)
    run_checks(name, apply, lambda: bench, patience)
