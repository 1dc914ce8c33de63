"""Measure, and print the table."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from time import perf_counter

from tests.benchmarks import (
    calls,
    durable,
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
"""The two tables: what the machine is like matters for one in other ways than for the other."""

_TABLES = {
    part: {case.name: case for module in modules for case in module.CASES}
    for part, modules in PARTS.items()
}
CASES = {name: case for table in _TABLES.values() for name, case in table.items()}


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
    parser.add_argument("--write", choices=PARTS, help=f"rewrite a table in {table.PAGE}")
    parser.add_argument(
        "--only", action="append", choices=CASES, metavar="NAME", help=f"one of {', '.join(CASES)}"
    )
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write takes a full run, without --quick and --only")
    names: Iterable[str] = _TABLES[options.write] if options.write else options.only or CASES
    lines = measure(names, QUICK if options.quick else FULL)
    report = f"{table.describe_machine()}\n\n{table.render(lines)}"
    print(report)
    if options.write:
        table.write(options.write, report)


if __name__ == "__main__":
    main()
