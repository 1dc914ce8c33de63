"""Make the mutants, run the tests for each, judge.

``python -m tests.mutants`` tests all, and ends with an error if too few are killed, or if one lives
without a reason. It can look closer at some once more, and adds that to what it knows:

    python -m tests.mutants --alive --seconds 60
    python -m tests.mutants 'scanqueue._rules.*' --tests tests/test_rules.py
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.mutants.making import COPY, make
from tests.mutants.report import Verdict
from tests.mutants.running import Plugin

SELECTION = (
    "tests/test_lifecycle.py",
    "tests/test_lane.py",
    "tests/test_rules.py",
    "tests/test_rules_machine.py",
    "tests/test_properties.py",
    "tests/stores",
    "tests/service",
    "tests/test_exports.py",
    "tests/testing/test_fake_scanner.py",
    "tests/testing/test_scripts.py",
    # Wrong arguments are refused before they come to the rules.
    "--ignore=tests/service/test_arguments.py",
    # Processes, and threads that meet by chance: slow, and the others kill what they kill.
    "--ignore=tests/service/test_exit.py",
    "--ignore=tests/service/test_fork.py",
    "--ignore=tests/service/test_machine.py",
    "--ignore=tests/service/test_races.py",
    "--ignore=tests/stores/test_processes.py",
    "--ignore=tests/stores/test_sqlite_size.py",
)
RESULTS = COPY.parent / "results.jsonl"

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - folders are made there by tempfile
"""Where files are written and synced in no time, if the system has it."""


def main() -> None:
    """Parse the command line, and do it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("patterns", nargs="*", help="functions, such as 'scanqueue._rules.*'")
    parser.add_argument("--alive", action="store_true", help="those that no run has killed so far")
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="CPU time of tests for one mutant; default 8"
    )
    parser.add_argument("--tests", nargs="+", default=SELECTION, help="arguments for pytest")
    options = parser.parse_args()
    mutants = make()
    keys = {mutant.key for mutant in mutants}
    if options.patterns:
        mutants = [m for m in mutants if any(fnmatch(m.function, p) for p in options.patterns)]
    if options.alive:
        dead = {outcome.key for outcome in Verdict.read(RESULTS).outcomes if not outcome.is_alive}
        mutants = [mutant for mutant in mutants if mutant.key not in dead]
    elif not options.patterns:
        RESULTS.unlink(missing_ok=True)
    # Before anything imports the package: the copy is what gets tested, also in processes.
    sys.path.insert(0, str(COPY))
    os.environ["PYTHONPATH"] = str(COPY)
    if IN_MEMORY.is_dir():
        tempfile.tempdir = str(IN_MEMORY)
    status = pytest.main(
        ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", *options.tests],
        plugins=[Plugin(mutants, RESULTS, options.seconds)],
    )
    if status:
        sys.exit(status)
    verdict = Verdict.read(RESULTS).among(keys)  # the code may have changed since an earlier run
    print(verdict.table())
    if problems := verdict.problems():
        sys.exit("\n\n".join(problems))


if __name__ == "__main__":
    main()
