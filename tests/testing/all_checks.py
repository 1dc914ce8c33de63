"""The checks that there are, wherever they are written."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from scanqueue.testing import _checks
from scanqueue.testing._checks.running import Checks


def all_checks(subject: str) -> dict[str, str]:
    """Return the promises of a "store", a "clock" or a "scanner", by the names of their checks."""
    return {
        check.name: check.promise
        for module in pkgutil.iter_modules(_checks.__path__, f"{_checks.__name__}.")
        if module.name.rpartition(".")[2].partition("_")[0] == subject
        for group in vars(import_module(module.name)).values()
        if isinstance(group, Checks)
        for check in group
    }
