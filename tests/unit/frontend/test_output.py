"""The output of a worker as lines with a prefix."""

from __future__ import annotations

import pytest

from nbactors.frontend.sink import Output, prefix


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def output(text: str, has_prefix: bool = True) -> Output:
    return Output(1, "Counter", 12, 1, text, has_prefix)


def test_each_line_has_the_prefix() -> None:
    assert output("one\ntwo\n").lines(in_colour=False) == "(Counter pid=12) one\n(Counter pid=12) two\n"


def test_an_empty_line_has_the_prefix() -> None:
    assert output("\n").lines(in_colour=False) == "(Counter pid=12) \n"


def test_output_without_prefix_is_shown_unchanged() -> None:
    assert output("one\n\ntwo", has_prefix=False).lines(in_colour=True) == "one\n\ntwo\n"


def test_a_process_keeps_its_colour_and_the_next_process_has_another() -> None:
    assert prefix("Counter", 12, True) == prefix("Counter", 12, True) != prefix("Counter", 13, True).replace("13", "12")
    assert prefix("Counter", 12, True).startswith("\x1b[")


def test_no_color_removes_the_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert prefix("Counter", 12, True) == "(Counter pid=12) "
