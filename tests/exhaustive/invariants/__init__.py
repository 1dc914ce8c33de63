"""What must hold, by the contract: each invariant a function under its name, in one sentence.

The numbers in brackets are those of the sections of the contract.
"""

from tests.exhaustive.invariants import (
    always,
    cancelling,
    futures,
    interrupting,
    running,
    states,
    submitting,
)
from tests.exhaustive.invariants.registry import ALL, Invariants

__all__ = [
    "ALL",
    "Invariants",
    "always",
    "cancelling",
    "futures",
    "interrupting",
    "running",
    "states",
    "submitting",
]
