"""What to scan of a library; part of `scanqueue.models`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import attrs

from scanqueue._validate import (
    check_bool,
    check_instance,
    check_unicode,
    wrong_type,
    wrong_value,
)

MAX_SCOPE_PATHS = 1000
"""More paths than this in one scope become the whole library."""


def _is_bool(_: object, field: attrs.Attribute[bool], value: bool) -> None:  # noqa: FBT001 - attrs calls it
    check_bool(field.name, value)


def _normalise_path(path: object) -> str:
    """Return the path without empty parts and dots; `""` is the library itself."""
    if not isinstance(path, str):
        wrong_type("paths", path, "relative POSIX paths (each a str)")
    text = check_unicode("paths", path)
    if "\0" in text:
        wrong_value("paths", path, "relative POSIX paths without NUL characters")
    if text.startswith("/"):
        wrong_value("paths", path, "relative to the library, without a leading '/'")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        wrong_value("paths", path, "inside the library, without '..'")
    return "/".join(parts)


def _normalise_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the fewest paths, sorted, that mean the same; none: the whole library."""
    if isinstance(paths, str | bytes):
        wrong_type("paths", paths, "an iterable of paths, as in paths=[...]")
    try:
        items = iter(paths)
    except TypeError:
        wrong_type("paths", paths, "an iterable of paths")
    # Sorted by their parts, a folder comes right before all that is below it.
    ordered = sorted({_normalise_path(path) for path in items}, key=_parts)
    kept: list[str] = []
    for path in ordered:
        if path == "":
            return ()
        if not kept or not path.startswith(f"{kept[-1]}/"):
            kept.append(path)
    return tuple(kept) if len(kept) <= MAX_SCOPE_PATHS else ()


def _parts(path: str) -> list[str]:
    return path.split("/")


@attrs.frozen(kw_only=True)
class ScanScope:
    """What to scan of a library, and how thoroughly.

    Normalised when made, so that scopes that mean the same are equal:

    >>> ScanScope(paths=["music/new/", "./music", "films"])
    ScanScope(paths=('films', 'music'), deep=False)

    Raises:
        TypeError: `paths` is a bare str, or holds something else than str; `deep` is not a bool.
        ValueError: A path is absolute, leads outside the library, has a NUL character or is not
            valid Unicode.
    """

    paths: tuple[str, ...] = attrs.field(default=(), converter=_normalise_paths)
    """Relative POSIX paths inside the library, sorted; empty: all of it.

    A path below another is absorbed by it; `""` and `"."` mean the whole library, and so do more
    than 1,000 paths.
    """
    deep: bool = attrs.field(default=False, validator=_is_bool)
    """Whether to read everything again, not just what changed."""

    def covers(self, other: ScanScope) -> bool:
        """Return whether a scan of this scope does all that one of `other` would.

        Args:
            other: The scope that may be part of this one.

        Raises:
            TypeError: `other` is not a `ScanScope`.
        """
        check_instance("other", other, ScanScope)
        if other.deep and not self.deep:
            return False
        if not self.paths:
            return True
        if not other.paths:
            return False
        return all(_is_within(path, self.paths) for path in other.paths)

    def union(self, other: ScanScope) -> ScanScope:
        """Return the scope of one scan that does what both would.

        It is deep if either is. Complexity: O(n log n) in the number of paths.

        Args:
            other: The scope to add.

        Raises:
            TypeError: `other` is not a `ScanScope`.
        """
        if self.covers(other):
            return self
        if other.covers(self):
            return other
        whole = not self.paths or not other.paths
        return ScanScope(
            paths=() if whole else self.paths + other.paths, deep=self.deep or other.deep
        )


def _is_within(path: str, folders: tuple[str, ...]) -> bool:
    """Return whether a path is one of a scope's, or below one. O(length, log n).

    In order of their parts, whatever stands between a folder and a path below it is below that
    folder, too, and so is not in the scope: it was absorbed.
    """
    place = bisect_right(folders, _parts(path), key=_parts)
    return place > 0 and f"{path}/".startswith(f"{folders[place - 1]}/")


WHOLE_LIBRARY = ScanScope()
"""The scope of a request that names none."""
