"""Measure, and print the table."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from time import perf_counter

from tests.benchmarks import (
    calls,
    durable,
    flushes,
    importing,
    latency,
    memory,
    progress,
    reading,
    sizes,
    table,
    throughput,
)
from tests.benchmarks.harness import FULL, QUICK, Line, Scale, run

PARTS = {
    "memory": (calls, sizes, throughput, latency, progress, reading, memory, importing),
    "files": (durable,),
}
"""What the machine is like matters for one in other ways than for the other."""

_NAMES = {
    part: [case.name for module in modules for case in module.CASES]
    for part, modules in PARTS.items()
}
SLOWER = "slower"
TABLES = _NAMES | {SLOWER: ["durable-full", "durable-threads", "durable-cycle"]}
"""The cases in each table of the page; in those of the last one, flushes take longer."""

CASES = {case.name: case for part in PARTS.values() for module in part for case in module.CASES}


def measure(names: Iterable[str], scale: Scale) -> list[Line]:
    """Measure the cases of these names."""
    lines: list[Line] = []
    for name in names:
        begin = perf_counter()
        lines += run(CASES[name], scale)
        print(f"{name}: {perf_counter() - begin:.1f} s", file=sys.stderr)
    return lines


def main() -> None:
    """Do what the command line says."""
    parser = ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, in some seconds")
    parser.add_argument("--write", choices=TABLES, help=f"rewrite a table in {table.PAGE}")
    parser.add_argument(
        "--slower-flush",
        action="store_true",
        help=f"by at least {flushes.DELAY} us each; needs strace",
    )
    parser.add_argument(
        "--only", action="append", choices=CASES, metavar="NAME", help=f"one of {', '.join(CASES)}"
    )
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write takes a full run, without --quick and --only")
    if options.slower_flush and options.write not in {None, SLOWER}:
        parser.error(f"with slower flushes there is one table to write: --write {SLOWER}")
    if (options.slower_flush or options.write == SLOWER) and not flushes.is_slower():
        sys.exit(flushes.run_slower(sys.argv[1:]))
    names: Iterable[str] = TABLES[options.write] if options.write else options.only or CASES
    lines = measure(names, QUICK if options.quick else FULL)
    disk = "" if set(names).isdisjoint(TABLES["files"]) else f" {flushes.describe()}"
    report = f"{table.describe_machine()}{disk}\n\n{table.render(lines)}"
    print(report, flush=True)
    if options.write:
        table.write(options.write, report)
    elif not options.only and flushes.can_be_slower():
        print()
        again = [argument for name in TABLES[SLOWER] for argument in ("--only", name)]
        sys.exit(flushes.run_slower(again + ["--quick"] * options.quick))


if __name__ == "__main__":
    main()
