"""Set-up of the whole suite: on which stores tests run, and how hard hypothesis tries."""

import os
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.both_stores import STORE_KINDS, NewStore, new_stores

# No deadlines anywhere: how long an example takes says more about the machine than about the code.
settings.register_profile(
    "dev",
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
)
# The same examples each time, so that the same commit gets the same verdict; more of them would
# only be the same ones again and again.
settings.register_profile(
    "ci",
    settings.get_profile("dev"),
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no reason to fail
)
# For an hour of looking for trouble: HYPOTHESIS_PROFILE=thorough nox -s tests -- --timeout=0
settings.register_profile(
    "thorough",
    settings.get_profile("dev"),
    max_examples=2_000,
    stateful_step_count=100,
    suppress_health_check=[HealthCheck.too_slow],
)
# A few examples, and none made smaller: for what the same tests are run again for, on another
# Python, with its coverage measured, or on one of thousands of mutants.
settings.register_profile(
    "few",
    settings.get_profile("ci"),
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` means: one core's worth of tests waits for others."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, in any order, so that all cores are busy to the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a store, be it through a fixture, on both kinds, or on the one marked."""
    if "store_kind" in metafunc.fixturenames:
        kinds = {f"{kind}_only": kind for kind in STORE_KINDS} | {"own_store": "own"}
        marked = [kinds[name] for name in kinds if metafunc.definition.get_closest_marker(name)]
        metafunc.parametrize("store_kind", marked or STORE_KINDS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make what a test has logged printable: between processes only UTF-8 travels."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture
def _eager_switching() -> Iterator[None]:
    """Have threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def new_store(store_kind: str) -> Iterator[NewStore]:
    """Give what makes stores of the kind that the test runs on."""
    with new_stores(store_kind) as make_store:
        yield make_store


@pytest.fixture
def is_durable(store_kind: str) -> bool:
    """Return whether the tasks of the store outlive a shutdown."""
    return store_kind == "sqlite"
