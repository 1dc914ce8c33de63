"""The verdict: how many mutants are killed, and whether each survivor has a reason to live."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import attrs

REASONS = Path(__file__).with_name("reasons.toml")

ENOUGH = 0.95
"""The share of the mutants that must be killed."""

KINDS = {
    "equivalent": "no call can tell it from the original",
    "speed": "the same answers, at another price",
    "wording": "a text that nobody is promised",
    "guarded": "another line keeps the promise as well",
}
"""Why a survivor may live."""


@attrs.frozen
class Outcome:
    """What became of a mutant.

    Args:
        name: What mutmut calls it: module, function, number.
        function: Module and qualified name of the function.
        change: The lines that differ.
        outcome: "survived" or "no test"; anything else killed it.
        by: The test that noticed.
    """

    name: str
    function: str
    change: str
    outcome: str
    by: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether no test has noticed it."""
        return self.outcome in {"survived", "no test"}

    @property
    def key(self) -> tuple[str, str]:
        """What says which mutant it is: numbers change with the code around it."""
        return self.function, self.change

    @property
    def module(self) -> str:
        """The module of the function."""
        return self.name.rpartition(".")[0]


@attrs.frozen
class Verdict:
    """All outcomes, and the reasons of the survivors.

    Args:
        outcomes: One for each mutant.
        reasons: The kind of reason by `Outcome.key`.
    """

    outcomes: list[Outcome]
    reasons: Mapping[tuple[str, str], str]

    @classmethod
    def read(cls, results: Path, reasons: Path = REASONS) -> Self:
        """Read what a run has written, and what people have."""
        found: dict[tuple[str, str], Outcome] = {}
        for line in results.read_text("utf-8").splitlines():
            outcome = Outcome(**json.loads(line))
            before = found.get(outcome.key)
            if before is None or before.is_alive:  # a mutant that was tested twice stays dead
                found[outcome.key] = outcome
        return cls(list(found.values()), dict(_reasons(tomllib.loads(reasons.read_text("utf-8")))))

    def among(self, keys: Collection[tuple[str, str]]) -> Self:
        """Return the verdict on those of these mutants that were tested."""
        outcomes = [outcome for outcome in self.outcomes if outcome.key in keys]
        return attrs.evolve(self, outcomes=outcomes)

    @property
    def survivors(self) -> list[Outcome]:
        """The mutants that no test has noticed."""
        return [outcome for outcome in self.outcomes if outcome.is_alive]

    def problems(self) -> list[str]:
        """Say what is wrong; nothing if all is well."""
        found = [
            f"no reason to live: {outcome.function}\n{outcome.change}"
            for outcome in self.survivors
            if outcome.key not in self.reasons
        ]
        known = {outcome.key for outcome in self.outcomes}
        functions = {outcome.function for outcome in self.outcomes}
        found += [
            f"a reason for a mutant that does not exist: {function}\n{change}"
            for function, change in self.reasons
            if function in functions and (function, change) not in known
        ]
        killed = len(self.outcomes) - len(self.survivors)
        if killed < ENOUGH * len(self.outcomes):
            found.append(f"only {killed} of {len(self.outcomes)} mutants are killed")
        return found

    def table(self) -> str:
        """Return the numbers by module, as Markdown."""
        modules = dict.fromkeys(outcome.module for outcome in self.outcomes)
        of_module = {
            module: [outcome for outcome in self.outcomes if outcome.module == module]
            for module in modules
        }
        rows = [
            "| module | mutants | killed | " + " | ".join(KINDS) + " |",
            "|---|--:|--:|" + "--:|" * len(KINDS),
            *(self._row(f"`{module}`", of_module[module]) for module in modules),
            self._row("all", self.outcomes),
        ]
        return "\n".join(rows)

    def _row(self, name: str, outcomes: list[Outcome]) -> str:
        alive = [outcome for outcome in outcomes if outcome.is_alive]
        kinds = Counter(self.reasons.get(outcome.key) for outcome in alive)
        killed = len(outcomes) - len(alive)
        cells = [
            name,
            f"{len(outcomes):,}",
            f"{killed:,} ({100 * killed / len(outcomes):.1f} %)",
            *(f"{kinds[kind]}" if kinds[kind] else "" for kind in KINDS),
        ]
        return f"| {' | '.join(cells)} |"


def _reasons(document: dict[str, Any]) -> Iterable[tuple[tuple[str, str], str]]:
    for entry in document["alive"]:
        if entry["kind"] not in KINDS or not entry["reason"].strip():
            raise ValueError(f"{entry['function']}: {entry['kind']!r} is no reason to live")
        for change in entry["changes"]:
            yield (entry["function"], change.strip()), entry["kind"]
