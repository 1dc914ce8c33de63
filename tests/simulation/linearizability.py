"""Whether calls that overlapped can have happened one after another, each at one moment.

The search of Wing and Gong, "Testing and Verifying Concurrent Objects", 1993: of all that is not
placed yet, try first what nothing else had ended before, and go back when an answer is not that of
the model. What threads of the library do is placed as well: a claim happens before the scanner is
called, and the end of a scan is recorded after it returned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

import attrs

from tests.plain_queue import PlainScan
from tests.simulation.history import Call
from tests.simulation.scans import Scan
from tests.simulation.sequential import CALLS, Sequential, Step

_NEVER = 1 << 60
_OWNER = "owner"


@attrs.frozen(eq=False)
class Event:
    """Something that happened at one moment of an interval."""

    text: str
    step: Step
    begin: int
    end: int
    is_optional: bool = False


def events_of(calls: Sequence[Call], scans: Iterable[Scan]) -> list[list[Event]]:
    """Return what each thread did, in its order; threads of the library do several things."""
    rows: dict[object, list[Event]] = defaultdict(list)
    asked = sorted(call.begun_at for call in calls if _may_ask_to_stop(call))
    for call in calls:
        if call.name == "shutdown":
            rows[call] = [
                Event("close", Sequential.close, call.begun_at, call.ended_at),
                Event("sweep", Sequential.sweep, call.begun_at, call.ended_at),
            ]
        elif call.name in CALLS:
            rows["calls", call.thread].append(
                Event(str(call), partial(_answer, call=call), call.begun_at, call.ended_at)
            )
    finished: dict[int, int] = {}
    claims: list[tuple[Scan, int]] = []
    for scan in scans:
        claims.append((scan, finished.get(scan.thread, 0)))
        if scan.returned_at is not None:
            finished[scan.thread] = scan.returned_at
    begins = {(scan.thread, since): scan.begun_at for scan, since in claims}
    for scan, since in claims:
        plain = PlainScan(scan.library_id, scan.task_id, scan.attempt, _OWNER)
        row = rows["scans", scan.thread]
        row.append(Event(f"claim {scan}", partial(_claim, scan=plain), since, scan.begun_at))
        if scan.returned_at is not None:
            finish = partial(_finish, scan=plain, failed=scan.failed)
            end = begins.get((scan.thread, scan.returned_at), _NEVER)
            row.append(Event(f"finish {scan}", finish, scan.returned_at, end))
        for asked_at in asked[:1]:
            stop = partial(_stop, scan=plain)
            rows["stop", scan.begun_at] = [Event("stop", stop, asked_at, _NEVER, is_optional=True)]
    return list(rows.values())


def _may_ask_to_stop(call: Call) -> bool:
    return call.name == "shutdown" and (call.arguments != (None,) or bool(call.options))


def _answer(model: Sequential, *, call: Call) -> bool:
    options = dict(call.options)
    return model.answers(call.answer, call.name, *call.arguments, **options)


def _claim(model: Sequential, *, scan: PlainScan) -> bool:
    return model.claim(scan)


def _finish(model: Sequential, *, scan: PlainScan, failed: bool) -> bool:
    return model.finish(scan, failed=failed)


def _stop(model: Sequential, *, scan: PlainScan) -> bool:
    return model.stop(scan)


def find_order(model: Sequential, rows: Sequence[Sequence[Event]]) -> list[Event] | None:
    """Return an order in which all of it can have happened, or None.

    Args:
        model: The queue as it was before; it is not changed.
        rows: What happened, each row in its order.
    """
    rows = [row for row in rows if row]
    seen: set[object] = set()
    order: list[Event] = []

    def search(model: Sequential, places: tuple[int, ...]) -> bool:
        heads = [row[place] for row, place in zip(rows, places, strict=True) if place < len(row)]
        due = [event.end for event in heads if not event.is_optional]
        if not due:
            return True
        if (key := (places, model.key())) in seen:
            return False
        seen.add(key)
        for number, (row, place) in enumerate(zip(rows, places, strict=True)):
            if place == len(row) or row[place].begin > min(due):
                continue
            after = model.copy()
            if row[place].step(after):
                order.append(row[place])
                if search(after, (*places[:number], place + 1, *places[number + 1 :])):
                    return True
                order.pop()
        return False

    return order if search(model, (0,) * len(rows)) else None


class Judge:
    """Finds orders, and remembers the histories that it has seen."""

    def __init__(self) -> None:
        self._known: dict[object, bool] = {}

    def accepts(
        self, calls: Sequence[Call], scans: Sequence[Scan], *, is_durable: bool = False
    ) -> bool:
        """Return whether there is an order in which a queue, durable or not, answers like this."""
        told = tuple(attrs.astuple(scan, recurse=False) for scan in scans)
        key = (is_durable, tuple(calls), told)
        if key not in self._known:
            model = Sequential(is_durable=is_durable)
            self._known[key] = find_order(model, events_of(calls, scans)) is not None
        return self._known[key]
