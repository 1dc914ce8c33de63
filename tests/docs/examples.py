"""Finds the examples in README.md, docs/**/*.md and the docstrings of src/**/*.py.

A page is one story: its blocks run in order, in one namespace that starts empty, as one test. A
docstring is one too, in a namespace that starts with the names of its module, as doctest has it.
(Sybil's own pytest plugin makes a test of every block; in the random order that this suite runs in,
a block would not find what the blocks above it defined.)

What runs in a page: ```python blocks, as code or as ``>>>`` sessions, and ```pycon ones. An
```output block holds what the ```python blocks above it printed since the last one (``...`` stands
for anything). A ```python block that begins with the name of a file (``# test_server.py``) is not
run, but written to that file, or added to it; a ```console block with ``$ python -m pytest`` runs
the tests in such files, and holds what that prints. Everything else is left alone.
``<!-- skip: next -->`` skips a block. In a docstring: ``>>>`` sessions and
``.. code-block:: python``.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

from attrs import frozen
from sybil import Document, Example, Region
from sybil.document import PythonDocStringDocument
from sybil.parsers import myst, rest
from sybil.typing import Parser

ROOT = Path(__file__).parents[2]

_FLAGS = doctest.ELLIPSIS
_PRINTED = "__printed__"  # the namespace's way to what was printed; see `Story.run`


def _check_output(example: Example) -> str | None:
    """Compare an ```output block with what was printed since the last one."""
    expected, printed = str(example.parsed), example.namespace[_PRINTED]()
    if doctest.OutputChecker().check_output(expected, printed, _FLAGS):
        return None
    return f"Expected:\n{expected}\nPrinted:\n{printed}"


class _PyconParser(myst.PythonCodeBlockParser):
    """Takes ```pycon blocks for ``>>>`` sessions."""

    def __init__(self) -> None:
        super().__init__(doctest_optionflags=_FLAGS)
        self.codeblock_parser = myst.CodeBlockParser("pycon", lambda _: "no >>> in a pycon block")


_FILE = re.compile(r"# (\w+\.py)\n")
_PYTEST = "$ python -m pytest"


def _write_file(example: Example) -> None:
    """Write a block that is (a part of) a file, in the working folder."""
    name, source = re.split(r"\n", str(example.parsed).removeprefix("# "), maxsplit=1)
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(f"{source}\n")


def _run_pytest(example: Example) -> str | None:
    """Run the tests in the working folder, with our plugin and no other, and compare."""
    command, _, expected = str(example.parsed).partition("\n")
    arguments = command.removeprefix(_PYTEST).split()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "-p _scanqueue_pytest -p tests.docs.quickly",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if doctest.OutputChecker().check_output(expected, done.stdout, _FLAGS):
        return None
    return f"Expected:\n{expected}\nPrinted:\n{done.stdout}{done.stderr}"


class _PythonParser(myst.PythonCodeBlockParser):
    """Takes blocks of Python for code to run, or for files to write."""

    def __call__(self, document: Document) -> Iterable[Region]:
        for region in super().__call__(document):
            if isinstance(region.parsed, str) and _FILE.match(region.parsed):
                region.evaluator = _write_file
            yield region


class _ConsoleParser(myst.CodeBlockParser):
    """Takes the blocks that run tests."""

    def __init__(self) -> None:
        super().__init__("console", _run_pytest)

    def __call__(self, document: Document) -> Iterable[Region]:
        return [region for region in super().__call__(document) if _PYTEST in str(region.parsed)]


_PAGE_PARSERS: list[Parser] = [
    _PythonParser(doctest_optionflags=_FLAGS),
    _PyconParser(),
    _ConsoleParser(),
    myst.CodeBlockParser("output", _check_output),
    myst.SkipParser(),
]
_DOCSTRING_PARSERS: list[Parser] = [
    rest.DocTestParser(optionflags=_FLAGS),
    rest.PythonCodeBlockParser(),
    rest.SkipParser(),
]


@frozen
class Story:
    """The examples of one page or of one docstring."""

    name: str
    document: Document
    module: str | None = None

    def run(self, printed: Callable[[], str]) -> None:
        """Run the examples in order; ``printed`` gives what was printed since its last call."""
        namespace = self.document.namespace
        if self.module is not None:
            namespace.update(vars(import_module(self.module)))  # the installed one
            namespace.pop("__builtins__", None)
        namespace.update({"__name__": "__main__", _PRINTED: printed})
        try:
            for example in self.document.examples():
                example.evaluate()
        finally:
            namespace.clear()  # what an example forgot to close warns in this test


def find_stories() -> Iterator[Story]:
    """Yield every page and every docstring with at least one example."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if path.is_file() and "_build" not in path.parts:
            document = _parse(path, path.read_text("utf-8"), _PAGE_PARSERS)
            if any(document.examples()):
                yield Story(path.relative_to(ROOT).as_posix(), document)
    for path in sorted((ROOT / "src").rglob("*.py")):
        source = path.read_text("utf-8")
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for start, _, docstring in PythonDocStringDocument.extract_docstrings(source):
            line = source.count("\n", 0, start)
            # As many empty lines above, so that failures name the line of the file.
            document = _parse(path, "\n" * line + docstring, _DOCSTRING_PARSERS)
            if any(document.examples()):
                name = f"{path.relative_to(ROOT).as_posix()}:{line + 1}"
                yield Story(name, document, module.removesuffix(".__init__"))


def _parse(path: Path, text: str, parsers: list[Parser]) -> Document:
    document = Document(text, str(path))
    for parser in parsers:
        for region in parser(document):
            document.add(region)
    return document
