"""All searches, the large ones too: ``python -m tests.exhaustive [--write]``.

Prints how many states and transitions each world has. Ends with an error if an invariant is
violated, or if the page of the documentation has other numbers; ``--write`` writes them there.
"""

from __future__ import annotations

import sys
import time

from tests.exhaustive import page
from tests.exhaustive.search import Search
from tests.exhaustive.unfolding import QUICK, SLOW, unfold
from tests.exhaustive.worlds import LARGE, SMALL


def main(*, writes: bool) -> None:
    """Search every world, and see that what is folded there makes no difference."""
    rows = []
    for world in (*SMALL, *LARGE):
        began = time.process_time()
        found = Search(world).run()
        print(
            f"{world.name}: {found.states:,} states, {found.transitions:,} transitions, the"
            f" farthest {found.depth} moves away ({time.process_time() - began:.0f} s)",
            flush=True,
        )
        rows.append(page.row(world, found))
    for world, unfolded in (*QUICK, *SLOW):
        queues, keys = unfold(world, unfolded)
        print(f"{world.name}: {queues:,} queues by their {unfolded.__name__}, {keys:,} states")
    if writes:
        page.write(page.render(rows))
    elif rows != page.read():
        sys.exit(f"{page.PAGE.name} has other numbers: run it with --write")


if __name__ == "__main__":
    main(writes="--write" in sys.argv[1:])
