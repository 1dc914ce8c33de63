"""What a store promises of slots: one for each library, freed by who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import attrs

from scanqueue.records import Slot
from scanqueue.testing._checks.running import Checks, expect_equal, expect_raises
from scanqueue.testing._checks.store_bench import StoreBench, look

if TYPE_CHECKING:
    from scanqueue.models import LibraryId

Bench = StoreBench[Any]

checks: Final[Checks[Bench]] = Checks()

_LIBRARIES: Final[tuple[LibraryId, ...]] = (2, "2", "b", 1, "a")


@checks.add
def keeps_slots(bench: Bench) -> None:
    """Slots come back as they were taken, first taken first, and each by its library."""
    store = bench.store()
    taken = []
    for number, library_id in enumerate(_LIBRARIES):
        slot = Slot(library_id, UUID(int=number), number + 1, f"owner{number}")
        with store.write() as table:
            table.take_slot(slot)
        taken.append(slot)
    with store.read() as view:
        expect_equal(list(view.slots()), taken, "`slots` gives")
        for slot in taken:
            expect_equal(view.slot_of(slot.library_id), slot, "`slot_of` gives")


@checks.add
def take_slot_compares(bench: Bench) -> None:
    """`take_slot` refuses a slot that is held, even by the same scan, and changes nothing."""
    store = bench.store()
    held = Slot("music", UUID(int=1), 1, "somebody")
    with store.write() as table:
        table.take_slot(held)
    for other in (held, attrs.evolve(held, task_id=UUID(int=2), owner="another")):
        with store.write() as table:
            with expect_raises(ValueError, "it took a slot that was held"):
                table.take_slot(other)
            expect_equal(list(table.slots()), [held], "`slots` gives")


@checks.add
def free_slot_compares(bench: Bench) -> None:
    """`free_slot` refuses a slot that this attempt does not hold, and changes nothing."""
    store = bench.store()
    held = Slot("music", UUID(int=1), 2, "somebody")
    others = [attrs.evolve(held, attempt=1), attrs.evolve(held, owner="another")]
    others += [attrs.evolve(held, task_id=UUID(int=2)), attrs.evolve(held, library_id="books")]
    with store.write() as table:
        table.take_slot(held)
    for other in others:
        with store.write() as table:
            with expect_raises(ValueError, f"it freed {other} where {held} was held"):
                table.free_slot(other)
            expect_equal(list(table.slots()), [held], "`slots` gives")


@checks.add
def frees_slots(bench: Bench) -> None:
    """A slot that was freed is free: another scan can take it."""
    store = bench.store()
    first = Slot("music", UUID(int=1), 1, "somebody")
    second = attrs.evolve(first, task_id=UUID(int=2), owner="another")
    for slot in (first, second):
        with store.write() as table:
            table.take_slot(slot)
        with store.write() as table:
            table.free_slot(attrs.evolve(slot))
            expect_equal(table.slot_of("music"), None, "`slot_of` a free library is")
    expect_equal(list(look(store, lambda view: view.slots())), [], "`slots` gives")
