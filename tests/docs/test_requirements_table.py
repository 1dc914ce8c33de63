"""Every requirement has its test, and the page that says so is current."""

import re
from pathlib import Path

import pytest

from docs._requirements import PAGE, find_tests, read_requirements, render


def test_the_page_is_current() -> None:
    """`docs/reference/requirements.md` says what the markers say."""
    expected = render(find_tests())
    assert PAGE.read_text("utf-8") == expected, "run: python docs/_requirements.py"


def test_every_requirement_has_a_test() -> None:
    """Each of the eighteen requirements and eight properties is marked on a test at least."""
    ids = [requirement.id for requirement in read_requirements()]
    assert len(ids) == 18 + 8
    assert set(ids) - find_tests().keys() == set()


def test_no_test_names_an_unknown_requirement() -> None:
    """A marker with a typo would prove nothing."""
    assert find_tests().keys() - {requirement.id for requirement in read_requirements()} == set()


def test_properties_validate_requirements() -> None:
    """What a property validates is one of the requirements."""
    known = read_requirements()
    requirements = {requirement.id for requirement in known if not requirement.validates}
    validated = {key for requirement in known for key in requirement.validates}
    assert validated <= requirements


MARKED = """
import pytest
pytestmark = pytest.mark.requirement("1")
@pytest.mark.requirement("2", "3")
def test_function(): ...
@pytest.mark.requirement("2")
class TestClass:
    pytestmark = [pytest.mark.requirement("4")]
    @pytest.mark.requirement("5")
    def test_method(self): ...
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.requirement("6"))])
    async def test_parameters(self): ...
TestQueue = pytest.mark.requirement("7")(Queue.TestCase)
TestOther.pytestmark = [pytest.mark.requirement("8")]
"""


def test_markers_are_found_wherever_they_may_stand(tmp_path: Path) -> None:
    """On functions, methods and classes, as `pytestmark`, and around state machines."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(MARKED)
    assert find_tests(tmp_path / "tests") == {
        "1": ["tests/test_a.py"],
        "2": ["tests/test_a.py::TestClass", "tests/test_a.py::test_function"],
        "3": ["tests/test_a.py::test_function"],
        "4": ["tests/test_a.py::TestClass"],
        "5": ["tests/test_a.py::TestClass::test_method"],
        "6": ["tests/test_a.py::TestClass::test_parameters"],
        "7": ["tests/test_a.py::TestQueue"],
        "8": ["tests/test_a.py::TestOther"],
    }


def test_a_marker_that_cannot_be_placed_is_an_error(tmp_path: Path) -> None:
    """No marker is silently left out of the table."""
    (tmp_path / "test_a.py").write_text('def f():\n    pytest.mark.requirement("1")\n')
    with pytest.raises(ValueError, match=re.escape("test_a.py: a requirement marker")):
        find_tests(tmp_path)
