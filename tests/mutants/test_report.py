"""The verdict on mutants: who lives needs a reason, and few may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutants.report import KINDS, REASONS, Verdict

REASON = """
[[alive]]
function = "scanqueue._rules.prune"
kind = "speed"
reason = "It deletes less at a time."
changes = ['''
-return 64
+return 65
''']
"""


def read(folder: Path, outcomes: list[str], reasons: str = REASON, change: str = "") -> Verdict:
    """Return the verdict on mutants of one function with these outcomes."""
    lines = [
        json.dumps(
            {
                "name": f"scanqueue._rules.x_prune__mutmut_{number}",
                "function": "scanqueue._rules.prune",
                "change": change or f"-return 64\n+return {64 + number}",
                "outcome": outcome,
            }
        )
        for number, outcome in enumerate(outcomes, 1)
    ]
    (folder / "results").write_text("\n".join(lines), "utf-8")
    (folder / "reasons").write_text(reasons, "utf-8")
    return Verdict.read(folder / "results", folder / "reasons")


def test_a_survivor_with_a_reason_may_live(tmp_path: Path) -> None:
    """Whatever is not alive is killed, be it by a test, by hanging, or by a crash."""
    verdict = read(tmp_path, ["survived", *["killed"] * 17, "timeout", "exit -11"])
    assert verdict.problems() == []
    assert [outcome.change for outcome in verdict.survivors] == ["-return 64\n+return 65"]


@pytest.mark.parametrize("outcome", ["survived", "no test"])
def test_a_survivor_without_a_reason_is_a_problem(tmp_path: Path, outcome: str) -> None:
    """It is shown as a change of the code."""
    verdict = read(tmp_path, ["killed", outcome, *["killed"] * 50])
    [problem] = verdict.problems()
    assert problem == "no reason to live: scanqueue._rules.prune\n-return 64\n+return 66"


def test_a_reason_for_nobody_is_a_problem(tmp_path: Path) -> None:
    """The code has changed, and somebody must look again."""
    verdict = read(tmp_path, ["killed"], change="-return 32\n+return 33")
    [problem] = verdict.problems()
    assert problem.startswith("a reason for a mutant that does not exist: scanqueue._rules.prune\n")


def test_a_function_that_was_not_tested_needs_no_look(tmp_path: Path) -> None:
    """Its reasons wait for a run with its mutants."""
    verdict = read(tmp_path, ["killed"], REASON + REASON.replace("prune", "claim"))
    assert verdict.problems() == []


def test_mutants_that_are_no_more_do_not_count(tmp_path: Path) -> None:
    """A closer look may come after the code has changed."""
    verdict = read(tmp_path, ["survived", "survived", "killed"])
    third = ("scanqueue._rules.prune", "-return 64\n+return 67")
    assert [outcome.key for outcome in verdict.among({third}).outcomes] == [third]


def test_too_many_survivors_are_a_problem(tmp_path: Path) -> None:
    """Also if each has a reason."""
    verdict = read(tmp_path, ["survived", *["killed"] * 18])
    assert verdict.problems() == ["only 18 of 19 mutants are killed"]


def test_who_was_killed_once_is_dead(tmp_path: Path) -> None:
    """A closer look with other tests comes on top of what was seen before."""
    verdict = read(tmp_path, ["killed"])
    lines = (tmp_path / "results").read_text("utf-8")
    survived = lines.replace("killed", "survived")
    for both in (f"{lines}\n{survived}", f"{survived}\n{lines}"):
        (tmp_path / "results").write_text(both, "utf-8")
        verdict = Verdict.read(tmp_path / "results", tmp_path / "reasons")
        assert (len(verdict.outcomes), verdict.survivors) == (1, [])


@pytest.mark.parametrize(
    "change", [("speed", "luck"), ("It deletes less at a time.", " ")], ids=["kind", "reason"]
)
def test_a_reason_says_something(tmp_path: Path, change: tuple[str, str]) -> None:
    """It is of a kind that the page on testing knows, and has words."""
    with pytest.raises(ValueError, match="is no reason to live"):
        read(tmp_path, ["killed"], REASON.replace(*change))


def test_the_table_has_a_row_for_each_module(tmp_path: Path) -> None:
    """And one for all of them."""
    assert read(tmp_path, ["survived", "killed", "killed", "timeout"]).table().splitlines()[2:] == [
        "| `scanqueue._rules` | 4 | 3 (75.0 %) |  | 1 |  |  |",
        "| all | 4 | 3 (75.0 %) |  | 1 |  |  |",
    ]


def test_the_reasons_of_this_project_are_well_formed(tmp_path: Path) -> None:
    """Without a run, that is all that can be said of them."""
    reasons = read(tmp_path, ["killed"], REASONS.read_text("utf-8")).reasons
    assert reasons
    assert set(reasons.values()) <= set(KINDS)
