"""Scanners that each break one promise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scanqueue import LibraryId, LibraryUnavailable, ScanCancelled, ScanContext, TaskResult
from tests.testing.broken import Collection

FILES = ("a/1", "a/2", "b/1", "b/2", "b/3")

broken_scanners: Collection[Callable[[], Any]] = Collection()
breaks = broken_scanners.breaks


class GoodScanner:
    """Remembers what it has found in each library, and heeds scopes."""

    def __init__(self) -> None:
        self.known: dict[LibraryId, set[str]] = {}

    def files(self, library_id: LibraryId, context: ScanContext) -> list[str]:
        """Return the files of the scope."""
        if library_id == "away":
            raise LibraryUnavailable("unplugged")
        folders = context.scope.paths
        return [file for file in FILES if not folders or file.partition("/")[0] in folders]

    def read(self, files: list[str], context: ScanContext) -> None:
        """Read the files."""
        for _ in context.track(files):
            pass

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Scan."""
        files = self.files(library_id, context)
        self.read(files, context)
        known = self.known.setdefault(library_id, set())
        added = set(files) - known
        known |= added
        return TaskResult(added_count=len(added))


@breaks("returns-a-result")
class ReturnsNothing(GoodScanner):
    """Returns None."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        super().scan(library_id, context)
        return None  # type: ignore[return-value]


@breaks("returns-a-result", "looks-for-a-cancel", "keeps-to-the-scope", "raises-when-unavailable")
class IsAsynchronous(GoodScanner):
    """Returns a coroutine."""

    async def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:  # type: ignore[override]
        return super().scan(library_id, context)


@breaks("returns-a-result", "stops-when-cancelled", "keeps-to-the-scope")
class Raises(GoodScanner):
    """Cannot read what is there."""

    def read(self, files: list[str], context: ScanContext) -> None:
        context.raise_if_cancelled()
        raise OSError("unreadable")


@breaks("looks-for-a-cancel", "stops-on-the-way")
class NeverLooks(GoodScanner):
    """Reports, and asks nothing."""

    def read(self, files: list[str], context: ScanContext) -> None:
        for number in range(len(files)):
            context.report(number + 1, len(files))


@breaks("stops-when-cancelled")
class RaisesWhenCancelled(GoodScanner):
    """Takes a cancel for an error of its own."""

    def read(self, files: list[str], context: ScanContext) -> None:
        try:
            super().read(files, context)
        except ScanCancelled as error:
            raise OSError("interrupted") from error


@breaks("stops-when-cancelled", "lets-a-cancel-through", "stops-on-the-way")
class HangsWhenCancelled(GoodScanner):
    """Waits for a thread that was asked to stop, and does not."""

    def read(self, files: list[str], context: ScanContext) -> None:
        for number in range(len(files)):
            context.report(number + 1, len(files))
            if context.cancelled:
                if number == 1:
                    threading.Event().wait(5)
                return


@breaks("stops-on-the-way", "looks-for-a-cancel")
class LooksAtTheStart(GoodScanner):
    """Asks once, before it begins."""

    def read(self, files: list[str], context: ScanContext) -> None:
        context.raise_if_cancelled()
        for _ in files:
            context.advance()


@breaks("looks-for-a-cancel")
class LooksAtTheStartInSilence(GoodScanner):
    """Asks once, before it begins, and says how much it was when all is done."""

    def read(self, files: list[str], context: ScanContext) -> None:
        context.raise_if_cancelled()
        context.report(len(files))


@breaks("stops-on-the-way")
class IgnoresTheAnswer(GoodScanner):
    """Asks before each file, and goes on; says how much it was when all is done."""

    def read(self, files: list[str], context: ScanContext) -> None:
        for _ in files:
            _ = context.cancelled
        context.report(len(files))


@breaks("lets-a-cancel-through", "stops-on-the-way")
class SwallowsCancels(GoodScanner):
    """Catches everything around each file."""

    def read(self, files: list[str], context: ScanContext) -> None:
        for _ in files:
            with suppress(BaseException):
                context.advance()
                context.raise_if_cancelled()


@breaks("reports-within-the-total")
class GuessesTheTotal(GoodScanner):
    """Says that there are two files, and then as many as it has found."""

    def read(self, files: list[str], context: ScanContext) -> None:
        for number in range(len(files)):
            context.report(number + 1, 2)
            context.raise_if_cancelled()
        context.report(len(files), len(files))


@breaks("finishes-at-the-total")
class StopsShort(GoodScanner):
    """Does not count the last one."""

    def read(self, files: list[str], context: ScanContext) -> None:
        for number in range(len(files)):
            context.report(number, len(files))
            context.raise_if_cancelled()


@breaks("scans-deep")
class KnowsNoDeepScan(GoodScanner):
    """Has left it for later."""

    def read(self, files: list[str], context: ScanContext) -> None:
        if context.scope.deep:
            raise NotImplementedError("deep")
        super().read(files, context)


@breaks("scans-deep")
class HasNothingToSayOfDeepScans(GoodScanner):
    """Returns None from one."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        result = super().scan(library_id, context)
        return None if context.scope.deep else result  # type: ignore[return-value]


@breaks("leaves-no-thread")
class LeavesThreads(GoodScanner):
    """Has a thread watch over each scan, for longer than that takes."""

    def read(self, files: list[str], context: ScanContext) -> None:
        threading.Thread(target=threading.Event().wait, args=(5,), daemon=True).start()
        super().read(files, context)


@breaks("raises-when-unavailable")
class TakesAwayForEmpty(GoodScanner):
    """Finds nothing where nothing can be looked at."""

    def files(self, library_id: LibraryId, context: ScanContext) -> list[str]:
        return [] if library_id == "away" else super().files(library_id, context)


@breaks("raises-when-unavailable")
class RaisesAnythingWhenUnavailable(GoodScanner):
    """Raises what the system raises."""

    def files(self, library_id: LibraryId, context: ScanContext) -> list[str]:
        if library_id == "away":
            raise FileNotFoundError(library_id)
        return super().files(library_id, context)


@breaks("finds-nothing-new", "removes-nothing-out-of-scope")
class ForgetsWhatItFound(GoodScanner):
    """Finds everything anew."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        self.known.clear()
        return super().scan(library_id, context)


@breaks("finds-nothing-new")
class ForgetsForDeepScans(GoodScanner):
    """Finds everything anew, where it is to read it again."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        if context.scope.deep:
            self.known.clear()
        return super().scan(library_id, context)


@breaks("forgets-nothing-when-cancelled")
class ForgetsWhatItDidNotComeTo(GoodScanner):
    """Keeps what it has read, also where it was asked to stop."""

    def read(self, files: list[str], context: ScanContext) -> None:
        seen = set()
        try:
            for file in context.track(files):
                seen.add(file)
        except ScanCancelled:
            self.known[context.library_id] = seen
            raise


@breaks("keeps-scans-apart")
class CountsForAll(GoodScanner):
    """Has one number for all its scans."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        self.count = 0
        for _ in context.track(self.files(library_id, context)):
            self.count += 1
        return TaskResult(updated_count=self.count)


@breaks("keeps-to-the-scope")
class ScansEverything(GoodScanner):
    """Does not look at the scope."""

    def files(self, library_id: LibraryId, context: ScanContext) -> list[str]:
        super().files(library_id, context)
        return list(FILES)


@breaks("keeps-to-the-scope")
class FindsNoPart(GoodScanner):
    """Finds nothing for any part."""

    def files(self, library_id: LibraryId, context: ScanContext) -> list[str]:
        files = super().files(library_id, context)
        return [] if context.scope.paths else files


@breaks("removes-nothing-out-of-scope")
class RemovesWhatItDidNotLookFor(GoodScanner):
    """Takes what is out of the scope for gone."""

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        result = super().scan(library_id, context)
        self.known[library_id] = set(self.files(library_id, context))
        return result
