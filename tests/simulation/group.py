"""The group commit alone, over transactions that are a list."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from scanqueue.stores._block import Block
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

    def begin(self, *, sync: bool) -> list[object]:
        """Begin a transaction, and its first block."""
        self._step(was_open=False)
        self._is_open, self._kept, self._block = True, [], []
        return self._block

    def enter(self) -> list[object]:
        """Begin another block."""
        self._step(was_open=True)
        self._block = []
        return self._block

    def keep(self) -> None:
        """Keep the block."""
        self._step(was_open=True)
        self._kept += self._block
        self._block = []

    def undo(self) -> None:
        """Take the block back."""
        self._step(was_open=True)
        self._block = []

    def commit(self) -> None:
        """Store what was kept, and the block that is open."""
        self._step(was_open=True)
        self.stored += self._kept + self._block
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


class Clients:
    """What those who meet do.

    Args:
        scene: Where they meet.
    """

    def __init__(self, scene: Scene) -> None:
        self.ledger = Ledger(scene)
        self._scene = scene
        self._writers: Writers[list[object]] = Writers(self.ledger)

    def _append(self, number: int, block: list[object]) -> int:
        assert not block, "two blocks at a time"
        block.append(number)
        self._scene.scheduler.point("written")
        assert block == [number], "two blocks at a time"
        return number

    def _fail(self, block: list[object]) -> None:
        block.append("failed")
        raise LookupError

    def write(self, number: int) -> None:
        """Write in a block."""
        with Block(self._writers, sync=number != 1) as block:
            self._append(number, block)
        assert number in self.ledger.stored, "it left before the commit"

    def write_by_function(self, number: int) -> None:
        """Write by a function, which another one may call."""
        block = Block(self._writers, sync=True)
        assert block.run(partial(self._append, number)) == number
        assert number in self.ledger.stored, "it left before the commit"

    def fail(self) -> None:
        """Raise inside a block."""
        with suppress(LookupError), Block(self._writers, sync=True) as block:
            self._fail(block)
        assert "failed" not in self.ledger.stored

    def fail_by_function(self) -> None:
        """Raise inside a function."""
        with suppress(LookupError):
            Block(self._writers, sync=True).run(self._fail)
        assert "failed" not in self.ledger.stored


def tell_group(blocks: int, functions: int, scene: Scene) -> None:
    """Writers that meet leave once what they wrote is stored, and a failing one harms no other.

    Args:
        blocks: How many write in a block.
        functions: How many do it by a function.
        scene: Where they meet.
    """
    clients = Clients(scene)
    for number in range(blocks):
        scene.client(partial(clients.write, number))
    for number in range(blocks, blocks + functions):
        scene.client(partial(clients.write_by_function, number))
    scene.client(clients.fail if blocks else clients.fail_by_function)
    scene.join()
    stored = clients.ledger.stored
    assert sorted(map(str, stored)) == sorted(map(str, range(blocks + functions)))
    assert not clients.ledger.is_open(), "a transaction was left open"
