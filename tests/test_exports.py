"""What can be imported, and from where."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

import scanqueue
from scanqueue import stores
from scanqueue.stores import SQLiteStore, sqlite

MODULES = ("errors", "models", "protocols", "stores")
"""The public modules whose names the package has, too."""

ELSEWHERE = {"ScanQueueService", "SystemClock"}
"""Public names that live in private modules."""


def test_the_table_of_contents_is_sorted_and_complete() -> None:
    """Each name is there once, and each public name of the modules is among them."""
    assert list(scanqueue.__all__) == sorted(set(scanqueue.__all__))
    assert all(getattr(scanqueue, name) is not None for name in scanqueue.__all__)


@pytest.mark.parametrize("module", [*MODULES, "aio", "testing", "testing.strategies", "wire"])
def test_a_module_says_what_is_public(module: str) -> None:
    """Sorted, and nothing private."""
    names = importlib.import_module(f"scanqueue.{module}").__all__
    assert list(names) == sorted(set(names))
    assert not [name for name in names if name.startswith("_")]


def test_every_name_is_the_one_of_its_module() -> None:
    """Wherever it is imported from, it is the same object."""
    found: dict[str, object] = {}
    for module in MODULES:
        names = importlib.import_module(f"scanqueue.{module}")
        found |= {name: getattr(names, name) for name in names.__all__}
    for name in set(scanqueue.__all__) - ELSEWHERE:
        assert getattr(scanqueue, name) is found[name]


@pytest.mark.parametrize("module", [scanqueue, stores])
def test_a_name_that_is_not_there_is_an_attribute_error(module: ModuleType) -> None:
    """As with any module."""
    text = f"^module '{module.__name__}' has no attribute 'Nothing'$"
    with pytest.raises(AttributeError, match=text):
        module.Nothing  # noqa: B018  # the look-up is the point


def test_a_store_that_is_asked_for_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After that, its module has it like any other name."""
    assert vars(stores)["SQLiteStore"] is SQLiteStore
    monkeypatch.delitem(vars(stores), "SQLiteStore")
    assert stores.SQLiteStore is sqlite.SQLiteStore
    assert vars(stores)["SQLiteStore"] is sqlite.SQLiteStore


@pytest.mark.parametrize("module", ["sqlite3", "asyncio", "hypothesis", "pytest"])
def test_importing_it_loads_nothing_that_may_not_be_needed(module: str) -> None:
    """Whoever does not use it does not pay for it."""
    code = (  # what measures coverage has loaded some of them before
        "import sys; before = set(sys.modules); import scanqueue, scanqueue.testing;"
        f" sys.exit({module!r} in set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
