"""Writes the table of requirements, promises and tests: ``docs/reference/requirements.md``.

Run it with ``python docs/_requirements.py``. The ids and texts come from ``_requirements.toml``,
the tests from the markers ``@pytest.mark.requirement("2.3")`` in ``tests/``. They are read and not
run, so a marker may stand where it can be seen: on a test function or method, on a class, as the
``pytestmark`` of a module or a class, or around the ``TestCase`` of a state machine. A test checks
that the page is current and that no requirement is without a test.
"""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "requirements.md"

_HEAD: Final = """\
# Requirements

The requirements that *scanqueue* was made for, how it keeps each, and the tests that prove it.
This page is made from the markers of the tests, `@pytest.mark.requirement("2.3")`, and a test
checks that it is current.

## What was asked for

| id | requirement | promise | tests |
|---|---|---|---|
"""
_MIDDLE: Final = """
## Properties

Each is checked for any sequence of submissions, claims, endings and steps of the clock, with
[hypothesis](https://hypothesis.readthedocs.io/).

| id | property | validates | tests |
|---|---|---|---|
"""
_TAIL: Final = """
## The tests

"""


@frozen
class Requirement:
    """One line of the table: a requirement, or a property with the requirements it validates."""

    id: str
    text: str
    promise: str = ""
    validates: tuple[str, ...] = ()


def read_requirements() -> list[Requirement]:
    """Return the requirements, and behind them the properties."""
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    found = [Requirement(key, **entry) for key, entry in data["requirements"].items()]
    for key, entry in data["properties"].items():
        found.append(Requirement(key, entry["text"], validates=tuple(entry["validates"])))
    return found


def find_tests(folder: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Return the tests of each id that a marker names: ``tests/test_a.py::TestB::test_c``."""
    tests: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text("utf-8")
        if "mark.requirement" not in text:
            continue
        tree = ast.parse(text, str(path))
        file = path.relative_to(folder.parent).as_posix()
        seen = 0
        for name, marker in _markers(tree, file):
            seen += 1
            for argument in marker.args:
                tests[ast.literal_eval(argument)].add(name)
        if seen != sum(map(_is_marker, ast.walk(tree))):
            message = f"{file}: a requirement marker stands where it cannot be told whose it is"
            raise ValueError(message)
    return {key: sorted(names) for key, names in sorted(tests.items())}


def _markers(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield each marker with the name of what it marks."""
    for node in parent.body:
        if isinstance(node, ast.ClassDef):
            name = f"{prefix}::{node.name}"
            yield from _inside(node.decorator_list, name)
            yield from _markers(node, name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _inside(node.decorator_list, f"{prefix}::{node.name}")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            # `pytestmark = ...`, `TestQueue = pytest.mark.requirement("P1")(Queue.TestCase)` or
            # `TestQueue.pytestmark = [...]`
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = ast.unparse(target).removesuffix("pytestmark").removesuffix(".")
            yield from _inside([node.value], f"{prefix}::{name}" if name else prefix)


def _inside(nodes: list[ast.expr], name: str) -> Iterator[tuple[str, ast.Call]]:
    for node in nodes:
        for found in ast.walk(node):
            if isinstance(found, ast.Call) and _is_marker(found):
                yield name, found


def _is_marker(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "requirement"
        and ast.unparse(node.func) in ("pytest.mark.requirement", "mark.requirement")
    )


def render(tests: Mapping[str, list[str]]) -> str:
    """Return the page.

    Args:
        tests: The tests of each id, as `find_tests` returns them.
    """
    known = read_requirements()
    rows = {False: "", True: ""}
    lists = []
    for requirement in known:
        names = tests.get(requirement.id, [])
        anchor = f"tests-{requirement.id.lower().replace('.', '-')}"
        link = f"[{len(names)}](#{anchor})" if names else "none"
        kept = ", ".join(requirement.validates) or requirement.promise
        rows[bool(requirement.validates)] += (
            f"| {requirement.id} | {requirement.text} | {kept} | {link} |\n"
        )
        if names:
            items = "".join(f"- `{name}`\n" for name in names)
            lists.append(f"({anchor})=\n\n### {requirement.id}\n\n{requirement.text}\n\n{items}")
    return _HEAD + rows[False] + _MIDDLE + rows[True] + _TAIL + "\n".join(lists)


if __name__ == "__main__":
    PAGE.write_text(render(find_tests()), "utf-8")
