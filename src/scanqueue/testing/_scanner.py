"""A scanner whose scans do as a test says."""

from __future__ import annotations

from collections import defaultdict, deque

from scanqueue import _sync
from scanqueue._validate import check_library_id
from scanqueue.models import LibraryId, TaskResult
from scanqueue.protocols import ScanContext
from scanqueue.testing._clock import PATIENCE, check_patience
from scanqueue.testing._scan import FakeScan
from scanqueue.testing._script import ScanScript

__all__ = ["FakeScanner"]


class FakeScanner:
    """A `Scanner` for tests.

    Its scans return an empty result at once. What else they will do can be written down before they
    begin, and what they did can be looked up afterwards:

    >>> from scanqueue import LibraryUnavailable, ScanQueueService, TaskResult
    >>> scanner = FakeScanner()
    >>> scanner.on("music").raises(LibraryUnavailable("the drive is away"))
    >>> scanner.on("music").reports(10, 10).returns(TaskResult(added_count=10))
    >>> with ScanQueueService(scanner) as queue:
    ...     print(queue.wait(queue.submit_task("music")).error)
    ...     print(queue.wait(queue.submit_task("music")).result.added_count)
    LibraryUnavailable: the drive is away
    10
    >>> scanner.scanned_libraries
    ['music', 'music']

    After `hold` they wait for the test:

    >>> scanner = FakeScanner()
    >>> scanner.hold()
    >>> with ScanQueueService(scanner) as queue:
    ...     task_id = queue.submit_task("music")
    ...     scan = scanner.next_scan()
    ...     scan.report(3, 10)
    ...     print(queue.get_task(task_id).progress.fraction)
    ...     scan.release(TaskResult(added_count=10))
    ...     print(queue.wait(task_id).result.added_count)
    0.3
    10

    A held scan stops when it is cancelled, unless told to `ignore_cancel`.

    Only `next_scan`, and `await_held` of a scan, wait: in the test of an asyncio server, have a
    thread call them (`await asyncio.to_thread(scanner.next_scan)`). All else can be called on the
    event loop.

    Thread-safety: every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = _sync.Lock()
        """Protects all fields, and the scripts; no other lock is taken while it is held."""
        self._begun = _sync.Condition(self._lock)
        self._held = False
        self._held_libraries: set[LibraryId] = set()
        self._scans: list[FakeScan] = []
        self._unseen: deque[FakeScan] = deque()
        self._scripts: defaultdict[LibraryId | None, deque[ScanScript]] = defaultdict(deque)
        """Those of one scan each that have not begun; None: of the next scan of any library."""
        self._lasting: dict[LibraryId | None, ScanScript] = {}

    # --- before ---

    def on(self, library_id: LibraryId | None = None) -> ScanScript:
        """Begin the script of one scan: the next one that has no script yet.

        A second call is about the scan after that, and so on. Scripts of a library come before
        those of any.

        Args:
            library_id: Of which library; None: of whichever is scanned next.

        Returns:
            The script, to be written before that library is submitted.

        Raises:
            TypeError: `library_id` is neither an int nor a str.
            ValueError: It is no possible id.
        """
        library_id = _check_optional(library_id)
        script = ScanScript(f"the next scan of {_shown(library_id)}", self._lock)
        with self._lock:
            self._scripts[library_id].append(script)
        return script

    def always(self, library_id: LibraryId | None = None) -> ScanScript:
        """Begin the script of all scans that have none of their own, in place of an earlier one.

        Args:
            library_id: Of which library; None: of those that have no such script themselves.

        Returns:
            The script, to be written before such a library is submitted.

        Raises:
            TypeError: `library_id` is neither an int nor a str.
            ValueError: It is no possible id.
        """
        library_id = _check_optional(library_id)
        script = ScanScript(f"all scans of {_shown(library_id)}", self._lock)
        with self._lock:
            self._lasting[library_id] = script
        return script

    def hold(self, *library_ids: LibraryId) -> None:
        """Hold every scan that begins from now on and has no script with an end.

        One that `run_pending` runs waits on the thread that called it. If no other thread releases
        it within 10 real seconds, it raises `SystemExit`, and so does `run_pending`.

        Args:
            library_ids: Hold only scans of these libraries; none: of all.

        Raises:
            TypeError: A library id is neither an int nor a str.
            ValueError: One is no possible id.
        """
        libraries = [check_library_id(library_id) for library_id in library_ids]
        with self._lock:
            self._held_libraries.update(libraries)
            self._held = self._held or not libraries

    # --- meanwhile ---

    def let_go(self) -> None:
        """Release all scans that are running, and hold no more."""
        with self._lock:
            self._held = False
            self._held_libraries.clear()
            scans = list(self._scans)
        for scan in scans:
            if not scan.has_returned:
                scan.release()

    def next_scan(self, timeout: float = PATIENCE) -> FakeScan:
        """Wait, in real time, for the next scan to begin, and return it; each once, in order.

        One that has begun before the call is returned at once, also if it has ended since.

        Args:
            timeout: How long to wait, in seconds.

        Raises:
            TimeoutError: None has begun in time.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        with self._lock:
            if not self._begun.wait_for(lambda: bool(self._unseen), check_patience(timeout)):
                message = (
                    f"no scan has begun within {timeout} seconds, but for those that next_scan()"
                    f" has given already, of {[scan.library_id for scan in self._scans]}: is the"
                    " queue started and not paused, is a worker idle, and the library not being"
                    " scanned?"
                )
                raise TimeoutError(message)
            return self._unseen.popleft()

    # --- afterwards ---

    @property
    def scans(self) -> list[FakeScan]:
        """All scans that have begun, in order."""
        with self._lock:
            return list(self._scans)

    @property
    def scanned_libraries(self) -> list[LibraryId]:
        """The libraries of all scans that have begun, in order."""
        return [scan.library_id for scan in self.scans]

    def scans_of(self, library_id: LibraryId) -> list[FakeScan]:
        """Return the scans of a library that have begun, in order.

        Args:
            library_id: The library.

        Raises:
            TypeError: `library_id` is neither an int nor a str.
            ValueError: It is no possible id.
        """
        library_id = check_library_id(library_id)
        return [scan for scan in self.scans if scan.library_id == library_id]

    def check_scripts(self) -> None:
        """Check that each script of `on` was played: a library with a typo never is.

        Raises:
            AssertionError: One was not; the message names it.
        """
        with self._lock:
            left = [script for scripts in self._scripts.values() for script in scripts]
        if left:
            message = f"never played: {left}; scanned were {self.scanned_libraries}"
            raise AssertionError(message)

    # --- for the queue ---

    def scan(self, library_id: LibraryId, context: ScanContext) -> TaskResult:
        """Scan, as the test says; called by the queue.

        Args:
            library_id: The library.
            context: The context of the queue.
        """
        scan = FakeScan(context)  # type: ignore[arg-type]  # the queue's own, which can be woken
        with self._lock:
            script = self._take_script(library_id)
            is_held = self._held or library_id in self._held_libraries
            if script is not None:
                script._begin()  # noqa: SLF001 - the same fake
                is_held = is_held or script._is_held  # noqa: SLF001 - same
            self._scans.append(scan)
            self._unseen.append(scan)
            self._begun.notify_all()
        return scan._run(script, is_held=is_held)  # noqa: SLF001 - same

    def _take_script(self, library_id: LibraryId) -> ScanScript | None:
        for key in (library_id, None):
            if self._scripts[key]:
                return self._scripts[key].popleft()
        return self._lasting.get(library_id, self._lasting.get(None))


def _check_optional(library_id: LibraryId | None) -> LibraryId | None:
    return None if library_id is None else check_library_id(library_id)


def _shown(library_id: LibraryId | None) -> str:
    return "any library" if library_id is None else f"library {library_id!r}"
