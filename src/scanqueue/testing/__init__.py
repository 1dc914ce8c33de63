"""What a host's own tests are made of: a clock and a scanner that do as they are told.

Free of pytest: they work in any test runner.
"""

from scanqueue.testing._clock import FakeClock
from scanqueue.testing._scanner import FakeScan, FakeScanner

__all__ = ["FakeClock", "FakeScan", "FakeScanner"]
