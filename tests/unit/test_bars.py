"""The bars under one cell as state, text and HTML."""

from __future__ import annotations

import pytest

from nbactors.frontend.sink import Progress
from nbactors.util import bar_text

pytest.importorskip("IPython")

from nbactors.jupyter.cell_output.bars import SHOWN, Bars

ONE = Progress(1, "w1", "a", "Trainer", 7, "epochs", n=3, total=10, elapsed=6, rate=0.5)


def bars(*states: Progress) -> Bars:
    result = Bars()
    for state in states:
        result.apply(state)
    return result


def test_a_line_reads_like_tqdm() -> None:
    assert bar_text.line(ONE) == "epochs:  30%|███       | 3/10 [00:06<00:14, 2.00s/it]"


def test_numbers_are_scaled_with_their_unit() -> None:
    state = ONE._replace(n=1_500_000, total=3_000_000, unit="B", unit_scale=1, rate=250_000, postfix="loss=1")
    assert bar_text.numbers(state) == "1.5M/3M [00:06<00:06, 250kB/s, loss=1]"


def test_without_a_total_there_is_no_bar() -> None:
    assert bar_text.line(ONE._replace(total=None)) == "epochs: 3it [00:06, 2.00s/it]"


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "00:00"), (65, "01:05"), (3725, "1:02:05")])
def test_the_clock_shows_hours_only_if_needed(seconds: float, text: str) -> None:
    assert bar_text.clock(seconds) == text


def test_a_bar_beyond_its_total_is_full() -> None:
    assert bar_text.fraction(ONE._replace(n=12)) == 1.0


def test_bars_of_one_source_stay_together_in_their_order() -> None:
    other = ONE._replace(source="w2", bar="a", description="other")
    nested = ONE._replace(bar="b", description="batches")
    shown = bars(ONE, other, nested, ONE._replace(n=4))
    assert [row.description for row in shown.rows()] == ["epochs", "batches", "other"]
    assert shown.rows()[0].n == 4


def test_a_finished_bar_stays_only_with_leave() -> None:
    assert not bars(ONE, ONE._replace(closed=True, leave=False)).rows()
    kept = bars(ONE, ONE._replace(closed=True, n=10))
    assert len(kept.rows()) == 1
    assert not kept.is_open


def test_a_failed_bar_stays_and_shows_the_reason() -> None:
    failed = bars(ONE, ONE._replace(closed=True, leave=False, failed="its process has ended"))
    assert failed.text().endswith("[00:06, 2.00s/it, its process has ended]")
    assert "its process has ended" in failed.html()
    assert "error-color" in failed.html()


def test_a_bar_that_stopped_early_is_not_green() -> None:
    stopped = bars(ONE._replace(closed=True)).html()
    assert "error-color" in stopped
    assert "success-color" in bars(ONE._replace(closed=True, n=10)).html()


def test_the_end_of_the_session_closes_open_bars() -> None:
    shown = bars(ONE)
    shown.end("the session has ended")
    assert not shown.is_open
    assert "the session has ended" in shown.text()


def test_many_finished_bars_are_counted_instead_of_shown() -> None:
    done = [ONE._replace(bar=str(number), closed=True, n=10) for number in range(SHOWN + 5)]
    shown = bars(ONE, *done)
    assert len(shown.rows()) == SHOWN
    assert ONE in shown.rows(), "it still runs"
    assert shown.text().endswith("… and 6 more that have ended")


def test_html_is_escaped() -> None:
    html = bars(ONE._replace(description="<b>", postfix="<i>", label="<u>")).html()
    assert "<b>" not in html
    assert "<i>" not in html
    assert "<u>" not in html
