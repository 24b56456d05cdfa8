"""The widgets of live displays, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("IPython")
pytest.importorskip("anywidget")

import ipywidgets

from nbactors.jupyter.cell_output import live
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.panels import front_end
from nbactors.jupyter.panels.source import Answer


class Source:
    """A line whose word a test sets."""

    table: str | None = None

    def __init__(self, word: str) -> None:
        self.word = word

    def state(self) -> dict[str, Any]:
        return {"view": "line", "now": 0.0, "word": self.word}

    def do(self, command: dict[str, Any]) -> Answer:
        self.word = command["what"]
        return Answer(True)

    def paint(self, now: float) -> float | None:
        return None


class Touched:
    """Stands for the painter: notes what is to be painted, and starts no thread."""

    def __init__(self) -> None:
        self.pictures: list[Any] = []

    def touch(self, picture: Any, at: float = 0.0) -> None:
        self.pictures.append(picture)


@pytest.fixture(autouse=True)
def touched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Touched]:
    monkeypatch.setattr(front_end, "shows_panels", lambda cell: True)
    touched = Touched()
    monkeypatch.setattr(live, "painter", touched)
    yield touched
    live._ended.clear()
    ipywidgets.Widget.close_all()


def shown(word: str = "first") -> tuple[Live, Source]:
    source = Source(word)
    display = Live(0, source)
    display.show(word, word)
    return display, source


def ended() -> Live:
    display, source = shown()
    source.word = "last"
    display.end("last", "last")
    return display


def word(display: Live) -> str:
    """Return the state that a page which is loaded again gets."""
    state: dict[str, Any] = display.panel.widget.get_state()["state"]
    return str(state["word"])


def test_a_display_that_has_ended_keeps_its_widget_with_the_last_state() -> None:
    display = ended()
    assert not display.is_widget
    assert word(display) == "last"
    assert display.panel.widget.comm is not None


def test_a_display_that_is_shown_again_has_the_same_widget() -> None:
    display = ended()
    panel = display.panel
    display._source.word = "again"  # type: ignore[union-attr]
    display.show("again", "again")
    assert display.is_widget
    assert display.panel is panel
    assert word(display) == "again"
    assert display not in live._ended


def test_the_widgets_of_the_displays_that_have_ended_first_are_closed() -> None:
    first = ended()
    panel = first.panel
    for _ in range(live.ENDED_WIDGETS):
        ended()
    assert panel.widget.comm is None
    assert len(live._ended) == live.ENDED_WIDGETS
    first.show("again", "again")
    assert first.is_widget
    assert first.panel is not panel


def test_a_display_without_a_page_becomes_static_and_its_source_is_painted(touched: Touched) -> None:
    display, source = shown()
    assert touched.pictures == [display]
    assert display.paint(0.0) == front_end.HELLO_S
    assert display.is_widget
    display.paint(front_end.HELLO_S)
    assert not display.is_widget
    assert touched.pictures == [display, source]


def test_a_display_whose_page_answers_late_is_a_widget_again() -> None:
    display, _ = shown()
    display.paint(front_end.HELLO_S)
    display.panel.has_page = True
    assert display.is_widget


def test_a_front_end_without_panels_gets_static_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end, "shows_panels", lambda cell: False)
    display, _ = shown()
    assert display.panel is None
    assert not display.is_widget
