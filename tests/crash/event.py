"""What a peer tells of its scans; a module of its own, since it is pickled."""

from __future__ import annotations

import attrs

from scanqueue import LibraryId


@attrs.frozen
class Event:
    """Something that a scanner did."""

    what: str
    """`begin`, `asked to stop`, `end`; or `forked`, with the id of the child."""
    library_id: LibraryId
    attempt: int
    at: float
    """By the monotonic clock of the machine."""
    child: int = 0
