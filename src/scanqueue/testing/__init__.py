"""What a host's own tests are made of.

A clock and a scanner that do as they are told, and checks for the stores, clocks and scanners that
a host writes itself. Free of pytest: they work in any test runner. `scanqueue.testing.strategies`
needs hypothesis, and is imported by its own name.
"""

from __future__ import annotations

from scanqueue.testing._checks.clock import check_clock
from scanqueue.testing._checks.running import BrokenPromise, ConformanceError
from scanqueue.testing._checks.scanner import check_scanner
from scanqueue.testing._checks.store import check_store
from scanqueue.testing._checks.store_machine import store_machine
from scanqueue.testing._clock import FakeClock
from scanqueue.testing._scan import FakeScan
from scanqueue.testing._scanner import FakeScanner
from scanqueue.testing._script import ScanScript
from scanqueue.testing._services import MakeService, ServiceOptions

__all__ = [
    "BrokenPromise",
    "ConformanceError",
    "FakeClock",
    "FakeScan",
    "FakeScanner",
    "MakeService",
    "ScanScript",
    "ServiceOptions",
    "check_clock",
    "check_scanner",
    "check_store",
    "store_machine",
]
