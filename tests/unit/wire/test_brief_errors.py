"""The one-line form of errors, which listings and notebooks show: bounded, and always valid UTF-8."""

from __future__ import annotations

import json

import pytest

from nbactors.exceptions.one_line import SHOWN, brief
from nbactors.local.wire import failures, messages


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\ud800 surrogate", "\\ud800 surrogate"),
        ("é 😀 <b>", "é 😀 <b>"),
        ("\n\nfirst\nsecond", "first"),
        ("", ""),
    ],
)
def test_the_first_line_can_be_sent_to_a_notebook(text: str, shown: str) -> None:
    assert brief(text) == shown
    assert json.dumps(brief(text), ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ["y" * 1_000_000, "\ud800" * 1_000_000])
def test_it_is_short(text: str) -> None:
    assert len(brief(text)) == SHOWN


FRAMES = "Traceback (most recent call last):\n" + "".join(
    f'  File "model.py", line {line}, in step_{line}\n    go()\n' for line in range(1000)
)


@pytest.mark.parametrize("text", ["ValueError: " + "y" * 1_000_000, "ValueError: no\nmore", "ValueError"])
def test_an_excerpt_of_a_traceback_has_the_last_frame_and_names_the_exception(text: str) -> None:
    found = failures.excerpt(FRAMES + text)
    assert len(found) == messages.MAX_ERROR_TEXT
    assert f"in step_999\n    go()\n{text[:900]}" in found


@pytest.mark.parametrize("trace", ["", "ValueError: no", "y" * 1_000_000, "\n" * 5000, "a\n" * 5000, "  a\n" * 5000])
def test_an_excerpt_of_any_text_is_bounded(trace: str) -> None:
    assert len(failures.excerpt(trace)) <= messages.MAX_ERROR_TEXT
