"""How a worker's lines are marked."""

from __future__ import annotations

import pytest

from nbactors.frontend.sink import Lines, prefix


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def lines(text: str, is_marked: bool = True) -> Lines:
    return Lines(1, "Counter", 12, 1, text, b"", is_marked)


def test_each_line_has_the_prefix() -> None:
    assert lines("one\ntwo\n").shown(in_colour=False) == "(Counter pid=12) one\n(Counter pid=12) two\n"


def test_an_empty_line_has_the_prefix() -> None:
    assert lines("\n").shown(in_colour=False) == "(Counter pid=12) \n"


def test_lines_without_prefix_are_shown_unchanged() -> None:
    assert lines("one\n\ntwo", is_marked=False).shown(in_colour=True) == "one\n\ntwo\n"


def test_a_process_keeps_its_colour_and_the_next_process_has_another() -> None:
    assert prefix("Counter", 12, True) == prefix("Counter", 12, True) != prefix("Counter", 13, True).replace("13", "12")
    assert prefix("Counter", 12, True).startswith("\x1b[")


def test_no_color_removes_the_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert prefix("Counter", 12, True) == "(Counter pid=12) "
