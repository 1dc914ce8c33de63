"""The checks of scanners find what is broken, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from docs._promises import promises_of
from scanqueue import LibraryId, ScanContext, Scanner, ScanScope, TaskResult
from scanqueue.testing import ConformanceError, FakeScanner, check_scanner
from scanqueue.testing._checks.scan import Scan
from tests.service.tools import Call
from tests.testing.broken import Broken, assert_found
from tests.testing.broken_scanners import GoodScanner, ReturnsNothing, broken_scanners

HASTE = 1.0
"""Seconds that a check of a broken scanner may hang."""


def check_all(scanner: Scanner) -> None:
    """Check everything that an author can say of a scanner."""
    check_scanner(
        scanner,
        "music",
        unavailable_id="away",
        scope=ScanScope(paths=["b"]),
        is_incremental=True,
        other_id="films",
        patience=HASTE,
    )


def test_a_good_scanner_keeps_all_promises() -> None:
    """Whatever its author says of it."""
    check_all(GoodScanner())


def test_a_scanner_that_scans_one_library_at_a_time_keeps_all_promises() -> None:
    """The scan of another one waits."""

    class Waits(GoodScanner):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

        def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
            with self.lock:
                return super().scan(library_id, context)

    check_scanner(Waits(), "music", other_id="films")


def test_a_scanner_that_asks_at_its_end_keeps_all_promises() -> None:
    """Whether it came to that end, or was told to stop before."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        files = range(9)
        try:
            for _ in context.track(files):
                pass
        finally:
            if not context.cancelled:
                context.report(len(files), len(files), "done")
        return TaskResult(added_count=len(files))

    check_scanner(scan, "music")


def test_a_scanner_that_reports_nothing_keeps_all_promises() -> None:
    """It is not known when it is under way, so none is begun beside it."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        context.raise_if_cancelled()
        return TaskResult(added_count=2)

    check_scanner(scan, "music", other_id="films")


def test_a_function_is_a_scanner() -> None:
    """One that counts on threads of its own, and sleeps."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        for _ in range(4):
            for part in [Call(context.advance), Call(context.advance)]:
                part.result()
            context.sleep(0.001)
        return TaskResult(added_count=8)

    check_scanner(scan, 7)


def test_a_scanner_with_a_pool_keeps_all_promises() -> None:
    """Each piece of a cancelled scan is told so, on the thread that has it."""

    def scan(library_id: LibraryId, context: ScanContext) -> TaskResult:
        def read(number: int) -> int:
            context.raise_if_cancelled()
            context.advance()
            return 1

        with ThreadPoolExecutor(1) as pool:
            pieces = [pool.submit(read, number) for number in range(8)]
            return TaskResult(added_count=sum(piece.result() for piece in pieces))

    check_scanner(scan, "music")


def test_a_scanner_that_counts_changes_only_keeps_all_promises() -> None:
    """A scan of what has not changed counts nothing, whatever its scope."""

    class CountsChanges(GoodScanner):
        def read(self, files: list[str], context: ScanContext) -> None:
            known = self.known.get(context.library_id, set())
            super().read([file for file in files if file not in known], context)

    check_all(CountsChanges())


@pytest.fixture
def driven() -> Iterator[FakeScanner]:
    """Return a fake scanner whose scans report and return, each on the word of a thread."""
    scanner = FakeScanner()
    scanner.hold()

    def work(context: ScanContext, number: int) -> None:
        context.report(number, 3)
        context.raise_if_cancelled()

    def drive() -> None:
        library_id: LibraryId = ""
        while library_id != "last":
            scan = scanner.next_scan()
            for number in (1, 2, 3):
                scan.do(partial(work, number=number))
            scan.release(TaskResult(added_count=3))
            library_id = scan.library_id

    driver = Call(drive)
    yield scanner
    Scan(scanner.scan, "last", ScanScope())
    driver.result()


def test_the_fake_scanner_keeps_all_promises(driven: FakeScanner) -> None:
    """While it is held, and told what to do."""
    check_scanner(driven, "music")


@pytest.mark.parametrize("broken", broken_scanners.params())
def test_a_broken_scanner_is_found(broken: Broken[Callable[[], Any]]) -> None:
    """By the name of what it breaks, and by nearly no other."""
    assert_found(broken, lambda: check_all(broken.what()))


def test_a_scanner_is_named_by_its_class_or_function() -> None:
    """In the error."""

    def finds_nothing(library_id: LibraryId, context: ScanContext) -> TaskResult:
        return TaskResult()

    for scanner, name in ((ReturnsNothing(), "ReturnsNothing"), (finds_nothing, "finds_nothing")):
        with pytest.raises(ConformanceError) as caught:
            check_scanner(scanner, "music")
        assert caught.value.subject == name


def test_every_promise_is_broken_once() -> None:
    """So that no check is one that cannot fail."""
    assert set(broken_scanners.promises()) == set(promises_of("scanner"))


@pytest.mark.parametrize(
    ("scanner", "options", "kind", "message"),
    [
        (7, {}, TypeError, "scanner must be an object with a scan"),
        (GoodScanner(), {"scope": "b"}, TypeError, "scope must be a ScanScope"),
        (GoodScanner(), {"is_incremental": "no"}, TypeError, "is_incremental must be a bool"),
        (GoodScanner(), {"patience": -1}, ValueError, "patience must be a number of seconds"),
        (GoodScanner(), {"patience": 0}, ValueError, "patience must be a number of seconds above"),
        (GoodScanner(), {"library_id": None}, TypeError, "library_id must be an int or a str"),
        (GoodScanner(), {"library_id": True}, TypeError, "library_id must be an int or a str"),
        (GoodScanner(), {"library_id": ""}, ValueError, "library_id must be a str of 1 to 255"),
        (GoodScanner(), {"other_id": None, "library_id": b""}, TypeError, "library_id must be"),
        (GoodScanner(), {"other_id": ""}, ValueError, "other_id must be a str of 1 to 255"),
        (GoodScanner(), {"other_id": "music"}, ValueError, "other_id must be another id than"),
        (GoodScanner(), {"unavailable_id": b""}, TypeError, "unavailable_id must be an int or a"),
        (GoodScanner(), {"unavailable_id": 2**63}, ValueError, "unavailable_id must be an int wi"),
    ],
)
def test_arguments_are_checked(
    scanner: object, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """Before anything is scanned."""
    with pytest.raises(kind, match=message):
        check_scanner(scanner, **{"library_id": "music", **options})  # type: ignore[arg-type]  # that is the point
