"""Running checks one by one, and saying in one error which promises are broken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from inspect import cleandoc
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

from scanqueue import _sync
from scanqueue._text import describe_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["BrokenPromise", "ConformanceError"]


@attrs.frozen
class BrokenPromise:
    """One promise that what was checked does not keep.

    Attributes:
        name: What the check is called, for good: `replace-compares`, say.
        promise: What was promised, as a sentence.
        problem: What was seen instead.
        error: What was raised, with its traceback; None when the check did not come to an end.
    """

    name: str
    promise: str
    problem: str
    error: BaseException | None = attrs.field(default=None, eq=False)


class ConformanceError(AssertionError):
    """What was checked does not keep all promises of its protocol.

    Attributes:
        subject: What was checked: the name of its class, or of the function that it is; "the store"
            or "the clock" where none could be made.
        broken: Every promise that it breaks, in the order of the checks.
        checked: How many promises were checked.
        unchecked: How many were not, since too many checks before them hung.
    """

    def __init__(
        self,
        subject: str,
        broken: tuple[BrokenPromise, ...],
        checked: int,
        unchecked: int = 0,
    ) -> None:
        super().__init__(subject, broken, checked, unchecked)
        self.subject = subject
        self.broken = broken
        self.checked = checked
        self.unchecked = unchecked

    def __str__(self) -> str:
        lines = [f"{self.subject} breaks {len(self.broken)} of {self.checked} promises:"]
        for one in self.broken:
            lines += [f"- {one.name}: {one.promise}", f"  But: {one.problem}"]
        if self.unchecked:
            lines.append(f"After two that hung, {self.unchecked} more were not checked.")
        return "\n".join(lines)


class Bench(Protocol):
    """What one check works on: made for it, and cleared away after it."""

    def clear(self) -> None:
        """Give up whatever the check has opened."""


_HANGS = 2
"""So many checks may hang before the rest is left out."""

B = TypeVar("B", bound=Bench)
C = TypeVar("C", bound=Bench)


@attrs.frozen
class Check(Generic[B]):
    """One promise, and what finds out whether it is kept.

    Attributes:
        name: What it is called, for good.
        promise: The promise, as a sentence.
        run: Returns if it is kept, and raises anything if it is not.
    """

    name: str
    promise: str
    run: Callable[[B], object]


class Checks(Generic[B]):
    """The checks of one kind of promise, in the order in which they are written.

    A check is a function: its name is that of the check, its docstring is the promise.
    """

    def __init__(self) -> None:
        self._checks: list[Check[B]] = []

    def add(self, function: Callable[[B], object]) -> Callable[[B], object]:
        """Add a check, as a decorator."""
        name = function.__name__.replace("_", "-")
        promise = " ".join(cleandoc(function.__doc__ or name).split())  # `python -OO` has no other
        self._checks.append(Check(name, promise, function))
        return function

    def __iter__(self) -> Iterator[Check[B]]:
        return iter(self._checks)


class Unkept(AssertionError):  # noqa: N818 - it says what was found
    """What a check saw, where it should not be so."""


def expect(holds: bool, problem: str) -> None:  # noqa: FBT001 - it is a condition
    """Raise if something does not hold.

    Args:
        holds: Whether it does.
        problem: What is the case if not.
    """
    if not holds:
        raise Unkept(problem)


def expect_equal(found: object, expected: object, what: str) -> None:
    """Raise if two things are not equal.

    Args:
        found: What was found.
        expected: What should have been.
        what: What is compared, as the beginning of a sentence.
    """
    if found != expected:
        raise Unkept(f"{what} {found!r:.300}, not {expected!r:.300}")


@contextmanager
def expect_raises(kind: type[BaseException], problem: str) -> Iterator[None]:
    """Raise if a block does not raise this kind of error; an error of another kind goes through.

    Args:
        kind: What it should raise.
        problem: What is the case if it does not.
    """
    try:
        yield
    except kind:
        return
    raise Unkept(problem)


def run_checks(
    subject: str,
    checks: Iterable[Check[B]],
    make_bench: Callable[[], B],
    patience: float,
    hint: str = "",
) -> None:
    """Run every check, each on a bench of its own, and say what is broken.

    What hangs in one check hangs in most, and leaves a thread behind each time: after the second
    one that does, the rest is not run.

    Args:
        subject: What is checked, for the message.
        checks: The checks.
        make_bench: Makes what one of them works on.
        patience: Real seconds that each may take.
        hint: What to say of one that hangs.

    Raises:
        ConformanceError: Some of them failed.
    """
    checks = list(checks)
    broken: list[BrokenPromise] = []
    checked = 0
    while checked < len(checks) and sum(one.error is None for one in broken) < _HANGS:
        broken += _run(checks[checked], make_bench, patience, hint)
        checked += 1
    if broken:
        unchecked = len(checks) - checked
        raise ConformanceError(subject, tuple(broken), checked, unchecked) from broken[0].error


def _run(
    check: Check[C], make_bench: Callable[[], C], patience: float, hint: str
) -> list[BrokenPromise]:
    """Run one check on a daemon thread, which is left behind if it hangs; return what is broken."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            bench = make_bench()
            try:
                check.run(bench)
            finally:
                bench.clear()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the check's failure
            errors.append(error)

    thread = _sync.Thread(target=run, name=f"check {check.name}", daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        problem = f"it had not come to an end after {patience:g} seconds{hint}"
        return [BrokenPromise(check.name, check.promise, problem)]
    return [
        BrokenPromise(
            check.name,
            check.promise,
            str(error) if isinstance(error, Unkept) else f"it raised {describe_error(error)}",
            error,
        )
        for error in errors
    ]
