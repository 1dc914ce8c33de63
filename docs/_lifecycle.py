"""Draws the life of a task from the library's own table of transitions.

``python docs/_lifecycle.py`` writes ``docs/explanation/lifecycle.svg``, the diagram, and
``docs/explanation/lifecycle.txt``, the same as a table for those who do not see it. Both are kept
in the repository; a test checks that they are current.

Where the states stand and how the arrows run is said here, by hand. What there is to draw is not:
a transition without a route, or a route without a transition, is an error.
"""

import ast
import inspect
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

from attrs import frozen

from scanqueue import _lifecycle
from scanqueue._lifecycle import HOLDING_SLOT, TRANSITIONS, Event, State

FOLDER = Path(__file__).parent / "explanation"

WIDTH, HEIGHT = 760, 520
BOX_WIDTH, BOX_HEIGHT = 124, 44

PLACES: Final = {
    State.PENDING: (380, 60),
    State.RETURNING: (110, 240),
    State.RUNNING: (380, 240),
    State.STOPPING: (640, 240),
    State.COMPLETED: (240, 460),
    State.FAILED: (440, 460),
    State.CANCELLED: (640, 460),
}
"""The centre of each state."""

BAND: Final = (10, 150, 708, 200)
"""Behind the states in which a scanner is at work: x, y, width, height."""


@frozen
class Route:
    """How an arrow runs, and where its label stands.

    Attributes:
        points: From the edge of one box to that of another; corners are rounded.
        label: Where the text is, and how it is anchored: start, middle or end.
    """

    points: tuple[tuple[int, int], ...]
    label: tuple[int, int, str]


ROUTES: Final = {
    # loops
    (State.PENDING, State.PENDING): Route(
        ((420, 38), (420, 16), (480, 16), (480, 50), (442, 50)), (490, 30, "start")
    ),
    (State.RUNNING, State.RUNNING): Route(
        ((420, 218), (420, 196), (480, 196), (480, 230), (442, 230)), (490, 208, "start")
    ),
    (State.RETURNING, State.RETURNING): Route(
        ((136, 218), (136, 196), (196, 196), (196, 230), (172, 230)), (206, 208, "start")
    ),
    # down, and back up
    (State.PENDING, State.RUNNING): Route(((366, 82), (366, 218)), (358, 124, "end")),
    (State.RUNNING, State.PENDING): Route(((394, 218), (394, 82)), (402, 124, "start")),
    (State.PENDING, State.CANCELLED): Route(
        ((442, 70), (732, 70), (732, 460), (702, 460)), (620, 62, "middle")
    ),
    (State.RETURNING, State.PENDING): Route(((96, 218), (96, 60), (318, 60)), (206, 52, "middle")),
    # among those that hold the slot
    (State.RUNNING, State.RETURNING): Route(((318, 248), (172, 248)), (245, 266, "middle")),
    (State.RUNNING, State.STOPPING): Route(((442, 248), (578, 248)), (510, 266, "middle")),
    (State.RETURNING, State.STOPPING): Route(
        ((110, 262), (110, 318), (612, 318), (612, 262)), (180, 310, "middle")
    ),
    # to the ends
    (State.RUNNING, State.COMPLETED): Route(
        ((350, 262), (350, 390), (240, 390), (240, 438)), (296, 382, "middle")
    ),
    (State.RUNNING, State.FAILED): Route(
        ((410, 262), (410, 390), (440, 390), (440, 438)), (420, 382, "start")
    ),
    (State.STOPPING, State.CANCELLED): Route(((640, 262), (640, 438)), (632, 412, "end")),
}

TITLE: Final = (
    "The states of a task, and what leads from one to another; the table below says the same"
)
BAND_TITLE: Final = "a scanner is at work: the slot is held"
NOTHING: Final = "\N{EN DASH}"
STYLE: Final = """
.lifecycle-frame { overflow-x: auto; }
.lifecycle { max-width: 100%; min-width: 620px; font-family: inherit; font-size: 14px; }
.lifecycle text { fill: var(--color-foreground-primary, #222); }
.lifecycle .state {
  fill: var(--color-background-primary, #fff);
  stroke: var(--color-foreground-primary, #222); stroke-width: 1.5;
}
.lifecycle .ended { stroke-width: 3.5; }
.lifecycle .name { font-weight: 600; text-anchor: middle; letter-spacing: 0.02em; }
.lifecycle .band {
  fill: var(--color-background-secondary, #f3f3f3);
  stroke: var(--color-background-border, #ccc);
}
.lifecycle .note { fill: var(--color-foreground-secondary, #555); font-style: italic; }
.lifecycle .arrow {
  fill: none; stroke: var(--color-foreground-secondary, #555); stroke-width: 1.5;
}
.lifecycle .head { fill: var(--color-foreground-secondary, #555); }
"""


def draw() -> str:
    """Return the diagram as SVG, to stand inside of an HTML page."""
    found = {(source, target) for (source, _), target in TRANSITIONS.items()}
    if found != ROUTES.keys() or set(State) != PLACES.keys():
        message = f"the layout does not fit the table: {found ^ ROUTES.keys()}"
        raise ValueError(message)
    x, y, width, height = BAND
    parts = [
        f'<svg class="lifecycle" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
        '  aria-labelledby="lifecycle-title" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="lifecycle-title">{TITLE}</title>',
        f"<style>{STYLE}</style>",
        "<defs>",
        '<marker id="lifecycle-head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8"',
        '  markerHeight="8" orient="auto"><path class="head" d="M 0 1 L 10 5 L 0 9 z"/></marker>',
        "</defs>",
        f'<rect class="band" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>',
        f'<text class="note" x="{x + 14}" y="{y + height - 10}">{BAND_TITLE}</text>',
        *(_arrow(source, target) for source, target in ROUTES),
        *(_box(state) for state in State),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(state: State) -> str:
    x, y = PLACES[state]
    is_end = all(source is not state for source, _ in TRANSITIONS)
    return (
        f'<rect class="state{" ended" if is_end else ""}" x="{x - BOX_WIDTH // 2}"'
        f' y="{y - BOX_HEIGHT // 2}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        f'<text class="name" x="{x}" y="{y + 5}">{state.name}</text>'
    )


def _arrow(source: State, target: State) -> str:
    route = ROUTES[source, target]
    x, y, anchor = route.label
    text = ", ".join(event.value for event in _events(source, target))
    return (
        f'<path class="arrow" d="{_rounded(route.points)}" marker-end="url(#lifecycle-head)"/>'
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _events(source: State, target: State) -> list[Event]:
    return [event for event in Event if TRANSITIONS.get((source, event)) is target]


def _rounded(points: tuple[tuple[int, int], ...], radius: int = 10) -> str:
    """Return the path through the points, with round corners."""
    path = [f"M {points[0][0]} {points[0][1]}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        path.append(f"L {enter[0]} {enter[1]} Q {corner[0]} {corner[1]} {leave[0]} {leave[1]}")
    path.append(f"L {points[-1][0]} {points[-1][1]}")
    return " ".join(path)


def _towards(point: tuple[int, int], other: tuple[int, int], distance: int) -> tuple[int, int]:
    """Return the point at a distance from one on the way to another, along an axis."""
    (x, y), (to_x, to_y) = point, other
    step_x, step_y = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
    return x + step_x * distance, y + step_y * distance


def tabulate() -> str:
    """Return all transitions as a Markdown table: a row an event, a column a state."""
    meanings = _meanings()
    sources = [state for state in State if any(source is state for source, _ in TRANSITIONS)]
    lines = [
        "| event | what happens | " + " | ".join(f"from {state.name}" for state in sources) + " |",
        "|---|---" + "|---" * len(sources) + "|",
    ]
    for event in Event:
        targets = (TRANSITIONS.get((state, event)) for state in sources)
        cells = (NOTHING if target is None else target.name for target in targets)
        lines.append(f"| *{event.value}* | {meanings[event]} | " + " | ".join(cells) + " |")
    held = ", ".join(state.name for state in State if state in HOLDING_SLOT)
    lines += ["", f"The slot is held in {held}."]
    return "\n".join(lines) + "\n"


def _meanings() -> dict[Event, str]:
    """Return the docstring of each event, from the source."""
    tree = ast.parse(inspect.getsource(_lifecycle))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == Event.__name__
    )
    meanings = {}
    for member, docstring in pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(docstring, ast.Expr):
            event = Event(ast.literal_eval(member.value))
            meanings[event] = str(ast.literal_eval(docstring.value))
    return meanings


def render() -> dict[Path, str]:
    """Return what each file should hold."""
    return {FOLDER / "lifecycle.svg": draw(), FOLDER / "lifecycle.txt": tabulate()}


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text, "utf-8")
