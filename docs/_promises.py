"""Writes the table of what the conformance checks check: ``docs/reference/promises.md``.

Run it with ``python docs/_promises.py``, with the library installed. Names and texts are those of
the checks. A test checks that the page is current.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Final

from scanqueue.testing import _checks
from scanqueue.testing._checks.running import Checks

PAGE = Path(__file__).parent / "reference" / "promises.md"

_HEAD: Final = """\
# Promises

What the [conformance checks](testing.md#conformance-checks) check, by the name that a
`ConformanceError` gives. The names stay as they are; a later version may check more. This page is
made from the checks, and a test checks that it is current.
"""
_STORES: Final = """\
What asks for restarts concerns durable stores, what asks for others shared ones. Children are
forked where the system can."""
_CLOCKS: Final = """\
`keeps-time` concerns clocks that move by themselves, the last two those that are moved by hand."""
_SUBJECTS: Final = {
    "store": ("Stores", _STORES),
    "clock": ("Clocks", _CLOCKS),
    "scanner": ("Scanners", "The last six concern scanners of which their author says so."),
}


def promises_of(subject: str) -> dict[str, str]:
    """Return the promises of a "store", a "clock" or a "scanner", by the names of their checks."""
    return {
        check.name: check.promise
        for module in pkgutil.iter_modules(_checks.__path__, f"{_checks.__name__}.")
        if module.name.rpartition(".")[2].partition("_")[0] == subject
        for group in vars(import_module(module.name)).values()
        if isinstance(group, Checks)
        for check in group
    }


def render() -> str:
    """Return the page."""
    page = _HEAD
    for subject, (title, note) in _SUBJECTS.items():
        rows = "".join(f"| `{name}` | {text} |\n" for name, text in promises_of(subject).items())
        page += f"\n## {title}\n\n{note}\n\n| name | promise |\n|---|---|\n{rows}"
    return page


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
