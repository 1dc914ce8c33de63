"""The diagram of the life of a task is drawn from the table that the code runs by."""

from xml.etree import ElementTree as ET

import pytest

from docs import _lifecycle
from scanqueue._lifecycle import TRANSITIONS, Event, State


def test_the_drawing_and_its_table_are_current() -> None:
    """What is in the repository is what the script writes."""
    for path, text in _lifecycle.render().items():
        assert path.read_text("utf-8") == text, "run: python docs/_lifecycle.py"


def test_the_drawing_names_every_state_and_event() -> None:
    """It is well-formed, and nothing is left out."""
    drawing = ET.fromstring(_lifecycle.draw())  # noqa: S314 - our own
    texts = [text for text in drawing.itertext() if text.strip()]
    assert {state.name for state in State} <= set(texts)
    assert {event.value for event in Event} <= {word for text in texts for word in text.split(", ")}


def test_the_table_has_every_transition() -> None:
    """A row an event, a column a state that something can happen in."""
    head, _, *rows, _, _ = _lifecycle.tabulate().splitlines()
    sources = [State[cell.removeprefix("from ")] for cell in head.strip("| ").split(" | ")[2:]]
    found = {}
    for row in rows:
        event, meaning, *cells = row.strip("| ").split(" | ")
        assert meaning.endswith(".")
        for source, cell in zip(sources, cells, strict=True):
            if cell != _lifecycle.NOTHING:
                found[source, Event(event.strip("*"))] = State[cell]
    assert found == TRANSITIONS


def test_a_transition_without_a_route_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new transition cannot be forgotten in the picture."""
    more = {**TRANSITIONS, (State.FAILED, Event.CLAIM): State.RUNNING}
    monkeypatch.setattr(_lifecycle, "TRANSITIONS", more)
    with pytest.raises(ValueError, match="the layout does not fit the table"):
        _lifecycle.draw()
