"""The line of something that runs and ends, as text and as HTML."""

from __future__ import annotations

import pytest

from nbactors.views import line


def test_a_line_tells_sign_name_state_time_and_note() -> None:
    assert line.text("busy", "load", "running", "00:12", "pid 7") == "● load: running  00:12  pid 7"
    assert line.text("done", "load", "done", "3.2 s") == "✓ load: done  3.2 s"


def test_the_html_of_a_line_escapes_names_and_errors() -> None:
    shown = line.html("failed", "<lambda>", "failed", "3.2 s", 'ValueError: a "b"')
    assert "&lt;lambda&gt;" in shown
    assert 'title="ValueError: a &quot;b&quot;"' in shown
    assert "<lambda>" not in shown


@pytest.mark.parametrize(("seconds", "text"), [(-0.1, "0.0 s"), (0.04, "0.0 s"), (59.9, "59.9 s"), (125, "02:05")])
def test_a_time_is_in_seconds_until_a_minute_is_over(seconds: float, text: str) -> None:
    assert line.took(seconds) == text
