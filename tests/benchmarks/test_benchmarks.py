"""The benchmarks run. How fast anything is they do not say here: that depends on the machine."""

import re
from pathlib import Path

import pytest

from tests.benchmarks import table
from tests.benchmarks.__main__ import CASES, TABLES, measure
from tests.benchmarks.flushes import DELAY, run_slower
from tests.benchmarks.harness import (
    TINY,
    Comparison,
    Line,
    Unit,
    Versus,
)
from tests.faults.tracing import why_not

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
def test_every_case_fills_its_lines(name: str) -> None:
    """Each line of a case has its values, and a verdict where there is a target."""
    lines = measure([name], TINY)
    assert lines
    for line in lines:
        assert line.value > 0
        assert (line.other is None) == (line.comparison.reference is None)
    rendered = table.render(lines).splitlines()
    assert len(rendered) == 2 + len(lines)
    assert len({len(row) for row in rendered}) == 1


def test_more_is_better_in_a_rate_and_less_in_a_cost() -> None:
    """Targets are reached from the right side."""
    rate = Comparison(title="", metric="", reference="", versus=Versus.RATE)
    cost = Comparison(title="", metric="", reference="", versus=Versus.COST)
    alone = Comparison(title="", metric="", unit=Unit.BYTES)
    assert Line(comparison=rate, value=1, other=2, ratios=(1, 2, 9)).reaches(1.5)
    assert not Line(comparison=rate, value=1, other=2, ratios=(1, 2, 9)).reaches(3)
    assert Line(comparison=cost, value=1, other=2, ratios=(0.5,)).reaches(0.5)
    assert not Line(comparison=cost, value=1, other=2, ratios=(0.5,)).reaches(0.4)
    assert Line(comparison=alone, value=400, other=None, ratios=()).reaches(600)


def test_the_page_keeps_what_is_around_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewriting one table leaves the rest of the page alone."""
    begins = [table.BEGIN.format(part) for part in TABLES]
    real = table.PAGE.read_text("utf-8")
    assert [real.count(begin) for begin in begins] == [1, 1, 1]
    page = tmp_path / "speed.md"
    tables = [f"above\n{begin}\nold\n{table.END}\nbelow\n" for begin in begins]
    page.write_text("".join(tables), "utf-8")
    monkeypatch.setattr(table, "PAGE", page)
    table.write("files", "new")
    tables[1] = f"above\n{begins[1]}\n\nnew\n\n{table.END}\nbelow\n"
    assert page.read_text("utf-8") == "".join(tables)


@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
def test_flushes_can_be_held_up(capfd: pytest.CaptureFixture[str]) -> None:
    """For everybody, and the table says so."""
    assert run_slower(["--quick", "--only", "durable-join"]) == 0
    printed = capfd.readouterr().out
    found = re.search(r"written over\): (\d+) us, at least 100 us of it added", printed)
    assert found is not None
    assert int(found[1]) > DELAY
    assert "| join, full" in printed
