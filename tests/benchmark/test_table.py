from __future__ import annotations

import json

import pytest

from nbactors.benchmark.bench import Effort
from nbactors.benchmark.catalogue import Row
from nbactors.benchmark.limits import ONE_AT_A_TIME
from nbactors.benchmark.measurement import Measurement
from nbactors.benchmark.record import record
from nbactors.benchmark.runtime import Runtime
from nbactors.benchmark.suite import Finding, Findings, chosen
from nbactors.benchmark.table import number, render
from nbactors.benchmark.target import Target

CALLS = Row("calls", "calls", "/s", Target(limit_share=0.5, ray_times=6))
START = Row("start", "start", "s", Target(at_most=0.3))


def test_ratios_say_how_many_times_better_whichever_way_better_is() -> None:
    calls = Finding(CALLS, Measurement(4000.0, limit=8000.0), Measurement(500.0))
    start = Finding(START, Measurement(0.5), Measurement(5.0))
    assert (calls.ratio, calls.times_ray, calls.met) == (0.5, 8.0, True)
    assert (start.ratio, start.times_ray, start.met) == (None, 10.0, False)


def test_the_table_shows_figure_limit_ray_target_and_verdict() -> None:
    findings = Findings(
        [Finding(CALLS, Measurement.of([3900.0, 4000.0, 4200.0], 8000.0, "mine"), Measurement(500.0, note="theirs"))],
        {ONE_AT_A_TIME: 8000.0},
    )
    lines = render(findings, compared=True).splitlines()
    assert " ".join(lines[0].split()) == "work nbactors low to high limit of limit Ray x Ray target met"
    assert lines[2].split("  ")[0] == "calls"
    for cell in (
        "4,000/s",
        "3,900 to 4,200",
        "8,000/s",
        "0.50x",
        "500/s",
        "8.00x",
        ">= 0.50 of limit, >= 6x Ray",
        "yes",
    ):
        assert cell in lines[2]
    assert "  calls: mine" in lines
    assert "  calls, Ray: theirs" in lines
    assert "  one at a time: 8,000/s" in lines


def test_the_table_without_a_comparison_has_no_ray_in_it() -> None:
    text = render(Findings([Finding(START, Measurement(0.25), None)], {}), compared=False)
    assert "Ray" not in text
    assert "<= 0.3 s" in text


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


def test_the_record_is_json_and_has_every_figure() -> None:
    finding = Finding(CALLS, Measurement(4000.0, limit=8000.0), Measurement(500.0))
    mine, ray = Runtime("nbactors", "python", "nbactors 1"), Runtime("ray", "python", "ray 2")
    found = json.loads(json.dumps(record(Findings([finding], {ONE_AT_A_TIME: 8000.0}), mine, ray, Effort())))
    assert set(found) == {"format", "nbactors", "ray", "machine", "effort", "limits", "rows"}
    row = found["rows"][0]
    assert (row["key"], row["nbactors"], row["limit"], row["ray"], row["met"]) == ("calls", 4000.0, 8000.0, 500.0, True)
    assert row["target"] == {"at_most": None, "at_least": None, "limit_share": 0.5, "ray_times": 6}


def test_rows_are_chosen_by_key_or_by_words_and_come_alone() -> None:
    assert [row.key for group in chosen(Effort(), "one at a time") for row in group.rows] == [
        "calls_sequential",
        "async_sequential",
    ]
    assert [row.key for group in chosen(Effort(), "PUT_ARRAY_later") for row in group.rows] == ["put_array_later"]
    assert chosen(Effort(), "no such row") == []
