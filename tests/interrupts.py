"""Interrupts of one thread, wherever Python can do that: a signal that comes at each moment."""

from __future__ import annotations

import dis
import sys
from collections.abc import Collection
from functools import cache
from types import CodeType, FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import TraceFunction


class Interrupt(BaseException):
    """Stands for a `KeyboardInterrupt`, which would end the test run."""


@cache
def operations(code: CodeType) -> dict[int, str]:
    """Return the operation at each place of a function."""
    return {one.offset: one.opname for one in dis.get_instructions(code)}


class Interrupter:
    """Interrupts its thread at the n-th place where Python looks for signals.

    Those are the begin of each function, each jump back, and each return of a call.

    Args:
        number: The n, from 1.
        files: Where it comes.
        spares: Functions at the begin of which it never comes.
    """

    def __init__(self, number: int, files: Collection[str], spares: Collection[str] = ()) -> None:
        self._left = number
        self._files = files
        self._spares = spares
        self._called: FrameType | None = None
        self.place: tuple[str, int, str] | None = None
        """Where it came: function, line and operation."""

    def begin(self) -> None:
        """Begin with this thread."""
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        self._called = None
        if frame.f_code.co_filename not in self._files:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        name = frame.f_code.co_name.rpartition("ǁ")[2].partition("__mutmut")[0]  # of a mutant, too
        if name not in self._spares:
            self._come_to(frame, "begin")
        return self._look

    def _look(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        if event == "opcode":
            operation = operations(frame.f_code)[frame.f_lasti]
            was_called, self._called = self._called is frame, None
            if operation.startswith("CALL"):
                self._called = frame
            if was_called or operation == "JUMP_BACKWARD":
                self._come_to(frame, operation)
        return self._look

    def _come_to(self, frame: FrameType, what: str) -> None:
        self._left -= 1
        if not self._left:
            self.place = frame.f_code.co_name, frame.f_lineno, what
            sys.settrace(None)
            raise Interrupt

    def end(self) -> None:
        """Let it alone from now on, if it was not hit."""
        sys.settrace(None)
