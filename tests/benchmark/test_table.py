from __future__ import annotations

import pytest

from nbactors.benchmark.limits import ONE_AT_A_TIME
from nbactors.benchmark.rows import ROWS, Measurement, Row, chosen
from nbactors.benchmark.table import number, render

CALLS = Row("calls", "calls", "/s", lambda bench: Measurement())
START = Row("start", "start", "s", lambda bench: Measurement())


def test_an_advantage_says_how_many_times_better_whichever_way_better_is() -> None:
    assert CALLS.advantage(4000.0, 8000.0) == 0.5
    assert START.advantage(0.5, 5.0) == 10.0
    assert CALLS.advantage(4000.0, None) is None
    assert CALLS.advantage(0.0, 1.0) is None


def test_the_table_shows_figure_spread_limit_and_note() -> None:
    found = {"calls": Measurement.of([3900.0, 4000.0, 4200.0], 8000.0, "mine"), "start": Measurement(0.25)}
    lines = render([CALLS, START], found, {ONE_AT_A_TIME: 8000.0}).splitlines()
    assert " ".join(lines[0].split()) == "work nbactors low to high limit of limit"
    assert " ".join(lines[2].split()) == "calls 4,000/s 3,900 to 4,200 8,000/s 0.50x"
    assert " ".join(lines[3].split()) == "start 0.2500 s"
    assert "  calls: mine" in lines
    assert "  one at a time: 8,000/s" in lines


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", ""),
        (0.01234, "s", "0.0123 s"),
        (1234567.8, "/s", "1,234,568/s"),
        (52.34, "rounds/s", "52.3 rounds/s"),
        (0.5, "x", "0.50x"),
        (1.3456, "GB/s", "1.35 GB/s"),
    ],
)
def test_figures_are_short(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_rows_are_chosen_by_key_or_by_words() -> None:
    assert [row.key for row in chosen(ROWS, "one at a time")] == [
        "calls_sequential",
        "async_sequential",
        "calls_sequential_without_events",
        "async_sequential_without_events",
    ]
    assert [row.key for row in chosen(ROWS, "PUT_SMALL")] == ["put_small"]
    assert chosen(ROWS, "no such row") == []
