"""The page of the promises says what is checked."""

from docs import _promises


def test_the_page_is_current() -> None:
    """`docs/reference/promises.md` has the names and texts of the checks."""
    assert _promises.PAGE.read_text("utf-8") == _promises.render(), "run: python docs/_promises.py"
