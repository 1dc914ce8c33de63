"""A pytest plugin for tests that pages show: the same each time, and not explained at length."""

import sys


def pytest_collection_finish() -> None:
    """Skip the phase that varies a failure 500 times, which is most of what a page takes."""
    if "hypothesis" in sys.modules:
        from hypothesis import Phase, settings

        settings.register_profile("page", phases=set(Phase) - {Phase.explain}, derandomize=True)
        settings.load_profile("page")
