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
from scanqueue._validate import check_instance, check_library_id
from scanqueue.errors import LibraryUnavailable, ScanCancelled
from scanqueue.models import LibraryId, ScanScope, TaskResult
from scanqueue.protocols import ScanContext, Scanner
from scanqueue.testing._checks.arguments import check_patience
from scanqueue.testing._checks.running import Check, Checks, Unkept, expect, run_checks
from scanqueue.testing._checks.scan import Scan
from scanqueue.testing._checks.threads import MOMENT
from scanqueue.testing._clock import PATIENCE

__all__ = ["check_scanner"]

_ENDING: Final = 20 * MOMENT
"""Seconds that a thread which is about to end may take."""
_FEW: Final = 3
"""A scan that reports no more often has no way on which it could be asked to stop."""


@attrs.frozen
class ScannerBench:
    """A scanner, and what its author says of it."""

    scan: ScanFunction
    library_id: LibraryId
    unavailable: LibraryId | None
    scope: ScanScope | None

    def run(self, scope: ScanScope = WHOLE_LIBRARY, *, cancel_at: int | None = None) -> Scan:
        """Run a scan of the library."""
        return Scan(self.scan, self.library_id, scope, cancel_at)

    def clear(self) -> None:
        """Do nothing: the scanner is its author's."""


checks: Final[Checks[ScannerBench]] = Checks()
unavailable: Final[Checks[ScannerBench]] = Checks()
incremental: Final[Checks[ScannerBench]] = Checks()
scoped: Final[Checks[ScannerBench]] = Checks()
scoped_incremental: Final[Checks[ScannerBench]] = Checks()


# Only the first check judges how a scan of a library that is there ends: what it finds, the others
# need not say again.


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
    """A scan asks its context whether to stop: it could not be cancelled otherwise."""
    asks = "`cancelled`, `raise_if_cancelled`, `track` or `sleep`"
    expect(bench.run().context.looks > 0, f"it used none of {asks}")


@checks.add
def stops_when_cancelled(bench: ScannerBench) -> None:
    """A scan that is asked to stop returns soon, or raises `ScanCancelled`, and nothing else."""
    for cancel_at in (0, 1, 2):
        error = bench.run(cancel_at=cancel_at).raised
        if not (error is None or isinstance(error, ScanCancelled)):
            raise Unkept(f"it raised {describe_error(error)}") from error


@checks.add
def stops_on_the_way(bench: ScannerBench) -> None:
    """A scan that is asked to stop at its first report counts fewer items than a whole one."""
    whole, stopped = bench.run(), bench.run(cancel_at=1)
    counts = [scan.reports[-1].scanned_paths for scan in (stopped, whole)]
    has_a_way = counts[1] > 1 and len(whole.reports) > _FEW
    expect(counts[0] < counts[1] or not has_a_way, f"asked to stop, it counted {counts[0]} items")


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
    """A second scan of a library that has not changed adds and removes nothing."""
    bench.run()
    _expect_nothing_new(bench.run(), "the second scan")


def _expect_nothing_new(scan: Scan, what: str) -> None:
    if isinstance(scan.returned, TaskResult):
        found = scan.returned.added_count, scan.returned.removed_count
        expect(found == (0, 0), f"{what} added {found[0]} and removed {found[1]}")


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


def check_scanner(
    scanner: Scanner | Callable[[LibraryId, ScanContext], TaskResult],
    library_id: LibraryId,
    *,
    unavailable_id: LibraryId | None = None,
    scope: ScanScope | None = None,
    is_incremental: bool = False,
    patience: float = PATIENCE,
) -> None:
    """Check that a scanner keeps every promise of `Scanner`, by running it.

    >>> from scanqueue import TaskResult
    >>> def scan(library_id, context):
    ...     files = ["a.flac", "b.flac", "c.flac"]
    ...     return TaskResult(added_count=len(list(context.track(files))))
    >>> check_scanner(scan, "music")

    Its scans get contexts as the queue gives them, and run one after the other, some twenty of
    them, on threads of their own. Some are cancelled.

    Args:
        scanner: The scanner: an object with a `scan` method, or a function.
        library_id: A library that it can scan, in less than the patience, with more items than it
            works on at a time.
        unavailable_id: A library that cannot be reached: its folder is missing, say.
        scope: A part of the library that has some of its items and leaves others out, if the
            scanner heeds scopes. Of a scanner that counts only what has changed it tells nothing.
        is_incremental: Whether it remembers what it has found, so that a second scan of what has
            not changed adds and removes nothing.
        patience: Real seconds that one check may take, with up to three scans.

    Raises:
        ConformanceError: It breaks some promises; all of them are named.
        TypeError: The scanner is none, an id is neither an int nor a str, `scope` is no
            `ScanScope`, or `patience` is not a number.
        ValueError: An id is one that the queue refuses, or `patience` is 0, negative or NaN.
    """
    scan = as_function(scanner)
    library_id = check_library_id(library_id)
    if unavailable_id is not None:
        unavailable_id = check_library_id(unavailable_id, "unavailable_id")
    if scope is not None:
        check_instance("scope", scope, ScanScope)
    patience = check_patience(patience)
    bench = ScannerBench(scan, library_id, unavailable_id, scope)
    apply: list[Check[ScannerBench]] = [
        *checks,
        *(unavailable if unavailable_id is not None else ()),
        *(incremental if is_incremental else ()),
        *(scoped if scope is not None else ()),
        *(scoped_incremental if scope is not None and is_incremental else ()),
    ]
    name = getattr(scanner, "__name__", type(scanner).__name__)
    run_checks(name, apply, lambda: bench, patience)
