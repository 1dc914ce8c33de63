"""The long version of the crash tests: ``python -m tests.crash [KILLS] [SEED]``."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.checks import check
from tests.crash.loop import Loop
from tests.crash.opening import measure_opening

ROUND = 50
"""Kills on one file, before it is checked and a new one begins."""
ENOUGH = 500
"""Kills, at random, of which each aim must have been met by one."""
AIMS = {
    *("before start", "in start", "in a recovery", "at work", "in shutdown", "after shutdown"),
    *("with a running scan", "with a cancelled scan", "with a follow-up"),
}


def main(kills: int = 2_000, seed: int = 0) -> None:
    """Kill processes, round after round; an error names the seed of its round."""
    began = time.monotonic()
    landed: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    done = 0
    while done < kills:
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            loop = Loop(Path(folder), seed)
            try:
                loop.run(min(ROUND, kills - done))
                checked.update(check(loop).checked)
            except BaseException as error:
                error.add_note(f"after {done} kills, in the round with seed {seed}")
                raise
        done += loop.kills
        landed.update(loop.landed)
        seed += 1
        print(f"{done} kills in {time.monotonic() - began:.0f} s", flush=True)
    for title, counts in (("killed", landed), ("checked", checked)):
        print(f"{title}:", ", ".join(f"{count} {name}" for name, count in counts.most_common()))
    missed = AIMS - {name for name, count in landed.items() if count} if kills >= ENOUGH else ()
    assert not missed, f"nobody was killed {', '.join(missed)}"
    measure_opening()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
