"""The debouncer: what is due, and when, for any order of changes and questions."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from medialibrary.debouncer import Debouncer
from scanqueue import ScanScope

QUIET, LONGEST, CAP = 10, 30, 4
WHOLE = ScanScope()

paths = st.lists(st.sampled_from("abcd"), max_size=3).map("/".join)
seconds = st.integers(0, 15)
steps = st.lists(st.tuples(seconds, st.none() | paths), max_size=60)
"""What happens, and how long after the step before: a change of a path, or the question (None)."""


def make() -> Debouncer:
    """Return a debouncer with small numbers."""
    return Debouncer(QUIET, LONGEST, CAP)


def scope_of(*found: str) -> ScanScope:
    """Return what has to be scanned for some paths, without a cap."""
    return ScanScope(paths=found)


@given(steps)
@example([(0, "a"), (9, "b"), (9, "c"), (9, "d"), (3, None)])
@example([(0, "a/a"), (0, "a/b"), (0, "a/c"), (0, "b"), (0, "c"), (10, None)])
def test_nothing_is_lost_late_or_early(steps: list[tuple[int, str | None]]) -> None:
    """What is due has all changes, as soon as it may, and no more than it must."""
    debouncer = make()
    waiting: list[tuple[int, str]] = []
    now = 0
    for passed, path in [*steps, (LONGEST, None)]:
        now += passed
        if path is not None:
            debouncer.add(path, now)
            waiting.append((now, path))
            continue
        scope = debouncer.due(now)
        if not waiting:
            assert scope is None
            continue
        is_due = now >= waiting[-1][0] + QUIET or now >= waiting[0][0] + LONGEST
        assert (scope is not None) == is_due
        if scope is not None:
            check(scope, [path for _, path in waiting])
            waiting.clear()
    assert not waiting
    assert debouncer.due(math.inf) is None


def check(scope: ScanScope, changed: list[str]) -> None:
    """Make sure that a scope is that of these changes, or the whole library for a reason."""
    needed = scope_of(*changed)
    assert scope.covers(needed)
    assert len(scope.paths) <= CAP
    most = max(len(scope_of(*changed[:count]).paths) for count in range(1, len(changed) + 1))
    assert scope == (WHOLE if most > CAP else needed)


@given(st.lists(paths, min_size=1, max_size=20))
def test_a_path_absorbs_what_is_below_it(changed: list[str]) -> None:
    """In whichever order they come; so a tree that is copied is one path."""
    debouncer = make()
    for path in [*changed, "a"]:
        debouncer.add(path, 0)
    scope = debouncer.due(math.inf)
    assert scope is not None
    assert not [path for path in scope.paths if path.startswith("a/")]


def test_more_paths_than_the_cap_are_the_whole_library() -> None:
    """As many as the cap are not; and what has been widened stays so until it is due."""
    debouncer = make()
    for path in "abcd":
        debouncer.add(path, 0)
    assert debouncer.due(QUIET) == scope_of(*"abcd")
    for path in "abcdea":
        debouncer.add(path, QUIET)
    assert debouncer.due(math.inf) == WHOLE
    debouncer.add("a", QUIET)
    assert debouncer.due(math.inf) == scope_of("a")
