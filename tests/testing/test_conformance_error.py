"""One error says all that is broken."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from scanqueue.testing import BrokenPromise, ConformanceError
from scanqueue.testing._checks.running import (
    Checks,
    expect,
    expect_equal,
    expect_raises,
    run_checks,
)


class Bench:
    """Notes when it is cleared, and fails there if it should."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.cleared = 0

    def clear(self) -> None:
        """Clear it."""
        self.cleared += 1
        if self.error is not None:
            raise self.error


def broken_by(
    function: Callable[[Bench], object], *, bench: Bench | None = None, patience: float = 10
) -> BrokenPromise:
    """Return the promise that a check of one found broken."""
    checks: Checks[Bench] = Checks()
    checks.add(function)
    with pytest.raises(ConformanceError) as caught:
        run_checks("it", checks, lambda: bench or Bench(), patience)
    assert caught.value.__cause__ is caught.value.broken[0].error
    assert caught.value.checked == 1
    (broken,) = caught.value.broken
    return broken


def keeps_still(bench: Bench) -> None:
    """It keeps still."""
    expect(False, "it moves")


def test_the_error_lists_all_that_is_broken() -> None:
    """With name, promise and what was seen; what is kept is counted."""
    checks: Checks[Bench] = Checks()

    def holds(bench: Bench) -> None:
        """It holds."""
        expect(True, "it does not")

    def keeps_quiet(bench: Bench) -> None:
        """It keeps quiet."""
        raise LookupError("it speaks")

    for function in (keeps_still, holds, keeps_quiet):
        assert checks.add(function) is function
    with pytest.raises(ConformanceError) as caught:
        run_checks("The thing", checks, Bench, 10)
    error = caught.value
    assert isinstance(error, AssertionError)
    assert str(error).splitlines() == [
        "The thing breaks 2 of 3 promises:",
        "- keeps-still: It keeps still.",
        "  But: it moves",
        "- keeps-quiet: It keeps quiet.",
        "  But: it raised LookupError: it speaks",
    ]
    assert (error.subject, error.checked, error.unchecked) == ("The thing", 3, 0)
    assert [one.name for one in error.broken] == ["keeps-still", "keeps-quiet"]
    assert isinstance(error.broken[1].error, LookupError)


def test_what_keeps_all_promises_is_not_told() -> None:
    """And each of them had a bench of its own, which was cleared."""
    benches: list[Bench] = []

    def make() -> Bench:
        benches.append(Bench())
        return benches[-1]

    checks: Checks[Bench] = Checks()
    for _ in range(2):
        checks.add(lambda bench: expect(bench.cleared == 0, "it was used before"))
    run_checks("it", checks, make, 10)
    assert [bench.cleared for bench in benches] == [1, 1]


def test_a_check_that_hangs_is_left_behind() -> None:
    """After the patience, in real time."""
    end = threading.Event()

    def ends(bench: Bench) -> None:
        """It ends."""
        end.wait()

    broken = broken_by(ends, patience=0.01)
    end.set()
    assert broken == BrokenPromise(
        "ends", "It ends.", "it had not come to an end after 0.01 seconds"
    )


def test_after_two_that_hang_the_rest_is_not_checked() -> None:
    """It would cost the patience again and again, and a thread each time."""
    end = threading.Event()

    def hangs(bench: Bench) -> None:
        """It ends."""
        end.wait()

    checks: Checks[Bench] = Checks()
    for function in (hangs, keeps_still, hangs, keeps_still, keeps_still):
        checks.add(function)
    with pytest.raises(ConformanceError) as caught:
        run_checks("it", checks, Bench, 0.5, "; is it plugged in?")
    end.set()
    error = caught.value
    assert [one.name for one in error.broken] == ["hangs", "keeps-still", "hangs"]
    assert (error.checked, error.unchecked) == (3, 2)
    lines = str(error).splitlines()
    assert lines[0] == "it breaks 3 of 3 promises:"
    assert lines[2] == "  But: it had not come to an end after 0.5 seconds; is it plugged in?"
    assert lines[-1] == "After two that hung, 2 more were not checked."


def test_what_cannot_be_cleared_away_is_broken() -> None:
    """A store that cannot be closed, say."""
    broken = broken_by(lambda bench: None, bench=Bench(LookupError("it is stuck")))
    assert broken.problem == "it raised LookupError: it is stuck"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_nothing_that_is_raised_gets_away(error: BaseException) -> None:
    """Not even what ends a thread."""

    def fail(bench: Bench) -> None:
        raise error

    broken = broken_by(fail)
    assert broken.error is error
    assert broken.promise == "fail"


def test_what_is_compared_is_shown() -> None:
    """In short."""

    def differ(bench: Bench) -> None:
        expect_equal("x" * 999, 7, "it is")

    problem = broken_by(differ).problem
    assert problem.startswith("it is 'xxx")
    assert problem.endswith("xxx, not 7")
    assert len(problem) < 400


def test_what_should_raise_and_does_not_is_broken() -> None:
    """An error of another kind goes through."""

    def silent(bench: Bench) -> None:
        with expect_raises(ValueError, "it is silent"):
            pass

    def other(bench: Bench) -> None:
        with expect_raises(ValueError, "it is silent"):
            raise LookupError("it is loud")

    assert broken_by(silent).problem == "it is silent"
    assert broken_by(other).problem == "it raised LookupError: it is loud"
