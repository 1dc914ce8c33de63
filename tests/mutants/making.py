"""A copy of the source in which every mutant stands beside the original.

mutmut makes the mutants, and a switch in front of each function, which looks at the moment of the
call which of them is on. Of the three that it makes of a text, the one with other words is taken.
"""

from __future__ import annotations

import ast
import shutil
from collections import Counter
from difflib import unified_diff
from pathlib import Path

import attrs
from mutmut.mutation.file_mutation import mutate_file_contents

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
COPY = ROOT / ".mutants" / "src"

MUTATED = (
    "scanqueue/_rules.py",
    "scanqueue/_lifecycle.py",
    "scanqueue/_context.py",
    "scanqueue/stores/*.py",
)
"""The rules, and what keeps their promises when it goes wrong elsewhere."""


@attrs.frozen
class Mutant:
    """One mistake.

    Args:
        name: The switch: module, function, number.
        function: Module and qualified name of the function, as Python has them.
        change: The lines that differ, as in a diff; it says which mutant this is when numbers have
            changed.
    """

    name: str
    function: str
    change: str

    @property
    def key(self) -> tuple[str, str]:
        """What says which mutant it is, as `report.Outcome.key`."""
        return self.function, self.change

    @property
    def is_of_case(self) -> bool:
        """Whether it only writes a text in capitals, or without: SQL means the same then."""
        sides: dict[str, list[str]] = {"-": [], "+": []}
        for line in self.change.splitlines():
            sides[line[0]].append(line[1:])
        before, after = ("\n".join(side).lower() for side in sides.values())
        return before == after

    @property
    def switch(self) -> str:
        """What mutmut calls the function that is switched."""
        return self.name.partition("__mutmut_")[0]


def make() -> list[Mutant]:
    """Write the copy anew; return its mutants."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(SOURCE, COPY, ignore=shutil.ignore_patterns("__pycache__"))
    mutants: list[Mutant] = []
    for pattern in MUTATED:
        for path in sorted(SOURCE.glob(pattern)):
            name = path.relative_to(SOURCE).as_posix()
            made = mutate_file_contents(name, path.read_text("utf-8"))
            (COPY / name).write_text(made.code, "utf-8")
            module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            bodies = _bodies(made.code)
            mutants += [_mutant(module, mutated, bodies) for mutated in made.mutant_names]
    return _told_apart([mutant for mutant in mutants if not mutant.is_of_case])


def _told_apart(mutants: list[Mutant]) -> list[Mutant]:
    """Number those that change two equal lines of a function in the same way."""
    seen: Counter[tuple[str, str]] = Counter()
    told = []
    for mutant in mutants:
        seen[mutant.function, mutant.change] += 1
        count = seen[mutant.function, mutant.change]
        again = mutant.change if count == 1 else f"{mutant.change}\n(line {count} of this kind)"
        told.append(attrs.evolve(mutant, change=again))
    return told


def _bodies(code: str) -> dict[str, list[str]]:
    """Return the lines of each function, without its name."""
    lines = code.splitlines()
    return {
        node.name: [
            line.strip().replace(node.name, "") for line in lines[node.lineno - 1 : node.end_lineno]
        ]
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef)
    }


def _mutant(module: str, mutated: str, bodies: dict[str, list[str]]) -> Mutant:
    switch = mutated.partition("__mutmut_")[0]
    # x_function, or xǁClassǁmethod
    function = switch.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    diff = unified_diff(bodies[f"{switch}__mutmut_orig"], bodies[mutated], lineterm="", n=0)
    change = "\n".join(line for line in list(diff)[2:] if not line.startswith("@@"))
    return Mutant(f"{module}.{mutated}", f"{module}.{function}", change)
