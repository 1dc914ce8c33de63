"""What a host's own tests are made of: a clock and a scanner that do as they are told.

Free of pytest: they work in any test runner. `scanqueue.testing.strategies` needs hypothesis, and
is imported by its own name.
"""

from scanqueue.testing._clock import FakeClock
from scanqueue.testing._scan import FakeScan
from scanqueue.testing._scanner import FakeScanner
from scanqueue.testing._script import ScanScript
from scanqueue.testing._services import MakeService, ServiceOptions

__all__ = ["FakeClock", "FakeScan", "FakeScanner", "MakeService", "ScanScript", "ServiceOptions"]
