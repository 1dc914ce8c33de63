"""The group commit alone, over transactions that are a list."""

from __future__ import annotations

from functools import partial

from scanqueue.stores._group import Writers
from tests.simulation.scene import Scene


class Ledger:
    """An `Engine` over a list; ends the run when it is used by two at a time.

    Args:
        scene: Where it is used.
    """

    is_lost = False

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.stored: list[object] = []
        """What was committed."""
        self._kept: list[object] = []
        self._block: list[object] = []
        self._is_open = False

    def _step(self, *, was_open: bool) -> None:
        if self._is_open is not was_open:
            self._scene.scheduler.fail(AssertionError("the transactions are out of step"))
        self._scene.scheduler.point("engine")

    def tell(self) -> None:
        """Log nothing."""

    def begin(self, *, sync: bool) -> None:
        """Begin a transaction."""
        self._step(was_open=False)
        self._is_open, self._kept = True, []

    def enter(self, *, alone: bool) -> list[object]:
        """Begin a block."""
        self._step(was_open=True)
        self._block = []
        return self._block

    def keep(self) -> None:
        """Keep the block."""
        self._step(was_open=True)
        self._kept += self._block

    def undo(self) -> None:
        """Take the block back."""
        self._step(was_open=True)

    def commit(self) -> None:
        """Store what was kept."""
        self._step(was_open=True)
        self.stored += self._kept
        self._is_open = False

    def rollback(self) -> None:
        """Take all back."""
        self._is_open = False

    def is_open(self) -> bool:
        """Return whether a transaction is open."""
        return self._is_open

    def close(self) -> None:
        """Do nothing."""

    def explain(self, error: BaseException) -> BaseException:
        """Return the error."""
        return error


def tell_group(count: int, scene: Scene) -> None:
    """Writers that meet leave once what they wrote is stored, and a failing one harms no other."""
    ledger = Ledger(scene)
    writers: Writers[list[object]] = Writers(ledger)

    def write(number: int) -> None:
        with writers.block(sync=number != 1) as block:
            assert not block, "two blocks at a time"
            block.append(number)
            scene.scheduler.point("written")
            assert block == [number], "two blocks at a time"
        assert number in ledger.stored, "it left before the commit"

    def fail() -> None:
        try:
            with writers.block(sync=True) as block:
                block.append("failed")
                raise LookupError
        except LookupError:
            assert "failed" not in ledger.stored

    for number in range(count):
        scene.client(partial(write, number))
    scene.client(fail)
    scene.join()
    assert sorted(map(str, ledger.stored)) == sorted(map(str, range(count)))
    assert not ledger.is_open(), "a transaction was left open"
