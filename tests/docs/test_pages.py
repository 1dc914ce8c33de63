"""README and pages keep to what the code says."""

import ast
import re
import sys
from pathlib import Path

import pytest

import _scanqueue_pytest
import scanqueue
import scanqueue.aio
import scanqueue.protocols
import scanqueue.testing
import scanqueue.testing.strategies
import scanqueue.wire
from scanqueue.wire._problems import _PROBLEMS
from tests.docs.examples import ROOT

DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]
README = (ROOT / "README.md").read_text("utf-8")


def _documented() -> set[str]:
    """Return the names that the pages of the reference describe."""
    pages = "".join(path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md"))
    return set(re.findall(r"^\.\. (?:auto\w+|py:data):: ([\w.]+)", pages, re.MULTILINE))


@pytest.mark.parametrize("name", scanqueue.__all__)
def test_the_reference_has_every_public_name(name: str) -> None:
    """What can be imported from `scanqueue` is described."""
    assert f"scanqueue.{name}" in _documented()


@pytest.mark.parametrize(
    "module",
    [
        *("scanqueue.aio", "scanqueue.protocols", "scanqueue.testing"),
        *("scanqueue.testing.strategies", "scanqueue.wire"),
    ],
)
def test_the_reference_has_the_modules_of_their_own(module: str) -> None:
    """So is what is imported by the name of its module."""
    names: list[str] = sys.modules[module].__all__
    missing = {name for name in names if f"{module}.{name}" not in _documented()}
    assert {name for name in missing if name not in scanqueue.__all__} == set()


def test_the_reference_has_what_the_pytest_plugin_adds() -> None:
    """Each fixture, and the marker and the setting, on both of the pages about tests."""
    fixtures = {name for name in vars(_scanqueue_pytest) if name.startswith("scanqueue_")}
    assert "scanqueue_service" in fixtures
    for page in ("reference/testing.md", "how-to/test.md"):
        text = (DOCS / page).read_text("utf-8")
        rows = set(re.findall(r"^\| `(scanqueue_\w+)` \|", text, re.MULTILINE))
        assert fixtures <= rows
        assert _scanqueue_pytest.MARKER in text
        assert _scanqueue_pytest.SWITCH in text


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_the_readme_has_one_line_for_a_fresh_machine(session: str) -> None:
    """One command in a console block installs what it needs and runs the session."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert f"$ pip install nox && nox -s {session}\n" in blocks
    assert f"def {session}(session" in (ROOT / "noxfile.py").read_text("utf-8")


def test_the_readme_starts_with_a_short_example() -> None:
    """It is about 20 lines, and it runs (`test_examples` sees to that)."""
    block = re.search(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_files_resolve(page: Path) -> None:
    """Sphinx checks those inside the docs; this checks the README's as well."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_is_run_or_says_why_not(page: Path) -> None:
    """A block of Python that is skipped says why, and no block hides in another language."""
    text = page.read_text("utf-8")
    assert re.findall(r"<!-- skip: (?!\w+ if\()", text) == []  # `if(True, reason="...")` says why
    languages = set(re.findall(r"^```([\w-]+)$", text, re.MULTILINE))
    assert languages <= {"python", "output", "console"}


def _logged(source: str) -> set[tuple[str, str]]:
    """Return level and message of each record that a module writes."""
    tree = ast.parse(source)
    texts = {
        ast.unparse(node.targets[0]): node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("log", "_log"):
            words = [ast.unparse(arg) for arg in node.args]
            place = next((place for place, word in enumerate(words) if word in LEVELS), None)
            if place is not None:  # None: a wrapper, that passes on what it is given
                message = node.args[place + 1]
                text = message if isinstance(message, ast.Constant) else texts[words[place + 1]]
                found.add((words[place], str(text.value)))
    return found


LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR"}


def test_the_reference_lists_every_log_message() -> None:
    """Each message, with its level, is a row of the table."""
    page = (DOCS / "reference" / "logging.md").read_text("utf-8")
    listed = set(re.findall(r"^\| ([A-Z]+) \| `(.+?)` \|", page, re.MULTILINE))
    assert listed  # or the pattern is wrong
    sources = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    assert {record for source in sources for record in _logged(source)} == listed


def test_the_reference_lists_every_type_of_problem() -> None:
    """A client reads `type`, so each is written down."""
    page = (DOCS / "reference" / "wire.md").read_text("utf-8")
    listed = re.findall(r"^\| `urn:scanqueue:([a-z-]+)` \| (.+) \|$", page, re.MULTILINE)
    slugs = {slug for slug, _ in _PROBLEMS.values()}
    assert sorted(slug for slug, _ in listed) == sorted(slugs)
    texts = dict(listed)
    for kind, (slug, _) in _PROBLEMS.items():
        assert f"`{kind.__name__}`" in texts[slug] or kind is BaseException


def test_the_glossary_has_the_words_of_the_api() -> None:
    """The words that the names of the API are made of are explained."""
    page = (DOCS / "glossary.md").read_text("utf-8")
    for word in ["library", "task", "scan", "slot", "active", "ended", "stopping", "follow-up"]:
        assert f"\n{word}\n  " in page
    assert "\nrevision\n  " in page


def test_no_page_names_the_machine_it_was_written_on() -> None:
    """No absolute paths of one machine, and no hosts of registries."""
    for page in PAGES:
        text = page.read_text("utf-8")
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", text), page
        assert "pypi.org" not in text, page
