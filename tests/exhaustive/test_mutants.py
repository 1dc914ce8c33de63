"""The search finds bugs: each invariant, by itself, finds one."""

import pytest

from tests.exhaustive.invariants import ALL
from tests.exhaustive.lifecycle import Rows
from tests.exhaustive.mutants import MUTANTS, Mutant
from tests.exhaustive.search import Search, ViolationError, a_rule_answers_or_refuses

IN_ANY_CASE = {Rows.each_change_is_a_row.__name__, a_rule_answers_or_refuses.__name__}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_a_bug_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules with a bug violate the invariant, and the search says which, and how."""
    monkeypatch.setattr(mutant.of, mutant.function, mutant.make())
    with pytest.raises(ViolationError) as caught:
        Search(mutant.world, ALL.only(mutant.invariant)).run()
    assert caught.value.invariant == mutant.invariant
    assert str(caught.value).startswith(f"{mutant.invariant}: ")
    assert len(caught.value.path) <= 6


def test_every_invariant_has_its_bug() -> None:
    """There is none that holds whatever the rules do."""
    assert {mutant.invariant for mutant in MUTANTS} == ALL.names() | IN_ANY_CASE
