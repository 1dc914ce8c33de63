"""The pytest plugin of `scanqueue`: fixtures, and a look for workers that a test left behind.

pytest loads it whenever the library is installed, into every test suite. It stands beside the
package, since nothing can be imported from a package without importing the package, and imports
the library when a fixture needs it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from weakref import WeakSet

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from scanqueue import ScanQueueService
    from scanqueue._core import Core
    from scanqueue.testing import FakeClock, FakeScanner, MakeService

SWITCH = "scanqueue_check_workers"
"""The setting that ends the look, for all tests."""

MARKER = "scanqueue_leaves_workers"
"""The marker that ends it, for some."""


@pytest.fixture
def scanqueue_clock() -> FakeClock:
    """Return a clock that stands still until the test moves it."""
    from scanqueue.testing import FakeClock

    return FakeClock()


@pytest.fixture
def scanqueue_scanner() -> FakeScanner:
    """Return a scanner whose scans do as the test says."""
    from scanqueue.testing import FakeScanner

    return FakeScanner()


@pytest.fixture
def scanqueue_make_service(
    scanqueue_clock: FakeClock, scanqueue_scanner: FakeScanner
) -> Iterator[MakeService]:
    """Give a function that makes services on the clock and the scanner, closed after the test."""
    from scanqueue.testing._services import make_services

    with make_services(scanqueue_clock, scanqueue_scanner) as make_service:
        yield make_service


@pytest.fixture
def scanqueue_service(scanqueue_make_service: MakeService) -> ScanQueueService:
    """Return a started service with one worker, in memory, on the clock and the scanner."""
    return scanqueue_make_service()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting."""
    parser.addini(SWITCH, "fail tests that leave workers behind", type="bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker, and look, unless the setting says no."""
    text = "the test may leave workers of scanqueue behind, which live for as long as the process"
    config.addinivalue_line("markers", f"{MARKER}: {text}")
    if config.getini(SWITCH):
        config.pluginmanager.register(_Watch(), "scanqueue-watch")


class _Watch:
    """Fails a test that leaves workers behind, and closes them for the sake of the next.

    What counts is made or started by the test itself or by a fixture of its own scope. A service
    that was at work before, or that a fixture of a wider scope makes or starts, is not the test's
    to shut down.
    """

    def __init__(self) -> None:
        self._wide: WeakSet[Core] = WeakSet()
        """The services that fixtures of a wider scope have made."""
        self._others: WeakSet[Core] = WeakSet()
        """The services that are not those of the test."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None]:
        """Note what is at work before the first fixture of the test."""
        self._others = _cores(busy=True) | self._wide
        yield

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        """Note what fixtures of a wider scope make and start."""
        if fixturedef.scope == "function":
            return (yield)
        made, busy = _cores(), _cores(busy=True)
        try:
            return (yield)
        finally:
            self._wide |= _cores() - made
            self._others |= self._wide | (_cores(busy=True) - busy)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Look, after the last fixture of the test."""
        try:
            yield
        except BaseException as error:
            if text := self._report(item):
                error.add_note(text)
            raise
        if text := self._report(item):
            pytest.fail(text, pytrace=False)

    def _report(self, item: pytest.Item) -> str:
        """Close what was left behind, and return what it was."""
        cores = _cores() - self._others
        if not cores or item.get_closest_marker(MARKER) is not None:
            return ""
        from scanqueue.testing._left_behind import report_left_behind

        return report_left_behind(cores)


def _cores(*, busy: bool = False) -> WeakSet[Core]:
    """Return the services of this process; none if nobody has imported the library.

    Args:
        busy: Only those that were started, or scan on somebody's thread.
    """
    if "scanqueue._service" not in sys.modules:
        return WeakSet()
    from scanqueue.testing._left_behind import busy_cores, living_cores

    return busy_cores() if busy else living_cores()
