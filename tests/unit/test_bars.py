"""BarState bars: their states, when these are shown, and how they look alone and under a cell."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest

from nbactors.frontend import bar as rules
from nbactors.frontend.bar import BarReporter, BarState, LinePace
from nbactors.local.wire import messages
from nbactors.local.wire.messages.shown import MAX_BAR_TEXT
from nbactors.views import bar

pytest.importorskip("IPython")

from nbactors.jupyter.cell_output.bars import FOLDED, KEPT, Bars

ONE = BarState(1, "w1", "a", "Trainer", 7, "epochs", n=3, total=10, elapsed=6, rate=0.5)


def bars(*states: BarState) -> Bars:
    result = Bars()
    for state in states:
        result.apply(state)
    return result


def test_a_line_reads_like_tqdm() -> None:
    assert bar.line(ONE) == "(Trainer pid=7) epochs:  30%|███       | 3/10 [00:06<00:14, 2.00s/it]"


def test_numbers_are_scaled_with_their_unit() -> None:
    state = ONE._replace(n=1_500_000, total=3_000_000, unit="B", unit_scale=1, rate=250_000, postfix="loss=1")
    assert bar.numbers(state) == "1.5M/3M [00:06<00:06, 250kB/s, loss=1]"


def test_without_a_total_there_is_no_bar() -> None:
    assert bar.line(ONE._replace(total=None)) == "(Trainer pid=7) epochs: 3it [00:06, 2.00s/it]"


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "00:00"), (65, "01:05"), (3725, "1:02:05")])
def test_the_clock_shows_hours_only_if_needed(seconds: float, text: str) -> None:
    assert bar.clock(seconds) == text


def test_a_bar_beyond_its_total_is_full() -> None:
    assert ONE._replace(n=12).fraction == 1.0


def test_bars_of_one_source_stay_together_in_their_order() -> None:
    other = ONE._replace(source="w2", bar="a", description="other")
    nested = ONE._replace(bar="b", description="batches")
    shown = bars(ONE, other, nested, ONE._replace(n=4))
    assert [state.description for state in shown.states()] == ["epochs", "batches", "other"]
    assert shown.states()[0].n == 4


def test_a_finished_bar_stays_only_with_leave() -> None:
    assert not bars(ONE, ONE._replace(closed=True, leave=False)).states()
    kept = bars(ONE, ONE._replace(closed=True, n=10))
    assert len(kept.states()) == 1
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


def test_more_than_eight_bars_fold_into_one_and_the_slowest() -> None:
    many = [ONE._replace(bar=str(number), n=number) for number in range(3, 3 + FOLDED)]
    assert len(bars(*many).shown()) == FOLDED
    slow = ONE._replace(bar="slow", n=1, elapsed=9)
    whole, slowest = bars(*many, slow, ONE._replace(bar="done", n=10, closed=True)).shown()
    assert bar.line(whole) == "10 bars:  10%|█         | 1/10 [00:09<?]"
    assert (slowest.description, slowest.n) == ("slowest: epochs", 1)


def test_folded_bars_that_have_ended_say_how_many_are_unfinished_and_which() -> None:
    ended = [ONE._replace(bar=str(number), n=10, closed=True) for number in range(FOLDED)]
    failed = ONE._replace(bar="failed", closed=True, failed="its process has ended")
    whole, other = bars(*ended, failed).shown()
    assert bar.line(whole).endswith("9/9 [00:06, 1 unfinished]")
    assert other == failed


def test_bars_that_are_not_kept_are_counted() -> None:
    done = [ONE._replace(bar=str(number), closed=True, n=10) for number in range(KEPT + 5)]
    shown = bars(ONE, *done)
    assert len(shown.states()) == KEPT
    assert ONE in shown.states(), "it still runs"
    assert f"{KEPT + 5}/{KEPT + 6}" in shown.text()


def test_bars_of_one_description_are_told_apart() -> None:
    other = ONE._replace(source="w2", pid=8)
    second = ONE._replace(bar="b")
    alone = ONE._replace(source="w3", pid=9, description="alone")
    html = bars(ONE, other, second, alone).html()
    assert re.findall(r'title="[^"]*">([^<]*)</span>', html) == ["epochs · 7", "epochs · 7 #2", "epochs · 8", "alone"]


def test_html_is_escaped() -> None:
    html = bars(ONE._replace(description="<b>", postfix="<i>", label="<u>")).html()
    assert "<b>" not in html
    assert "<i>" not in html
    assert "<u>" not in html


def test_a_bar_travels_as_a_message_and_comes_back_as_it_was() -> None:
    message = messages.Bar.of(ONE._replace(cell=5 << 32 | 1, description="x" * 2 * MAX_BAR_TEXT))
    arrived = msgspec.structs.replace(message, process_id=b"w1").state()
    assert arrived == ONE._replace(source=b"w1".hex(), description="x" * MAX_BAR_TEXT)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(rules, "monotonic", lambda: self.now)


class Reporter(BarReporter):
    def __init__(self) -> None:
        self.reports: list[bool] = []
        self.waits: list[tuple[float, Callable[[], None]]] = []

    def report(self, closed: bool) -> None:
        self.reports.append(closed)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.waits.append((delay, callback))


def test_changes_in_quick_succession_are_reported_at_once_and_when_the_wait_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, reporter = Clock(monkeypatch), Reporter()
    for _ in range(5):
        reporter.changed()
        clock.now += rules.REPORT_S / 10
    ((delay, wait_is_over),) = reporter.waits
    assert reporter.reports == [False]
    clock.now += delay
    wait_is_over()
    assert reporter.reports == [False, False]


def test_the_end_is_reported_once_and_at_once_and_nothing_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reporter = Clock(monkeypatch), Reporter()
    for act in (reporter.changed, reporter.changed, reporter.end, reporter.end, reporter.changed):
        act()
    clock.now += rules.REPORT_S
    reporter.waits[0][1]()
    assert reporter.reports == [False, True]


def test_a_bar_prints_lines_at_intervals_and_one_at_its_end_if_it_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, short, long = Clock(monkeypatch), LinePace(), LinePace()
    assert not short.is_due(ONE)
    assert not short.is_due(ONE._replace(closed=True, leave=False))
    assert short.is_due(ONE._replace(closed=True))
    clock.now += rules.LINE_S
    assert long.is_due(ONE)
    assert not long.is_due(ONE)
    assert long.is_due(ONE._replace(closed=True, leave=False)), "it ends what it has begun"


def test_a_panel_has_a_button_for_each_call_and_none_for_bars_that_have_ended() -> None:
    one, nested = ONE._replace(call="c1"), ONE._replace(bar="b", call="c1")
    other, over = ONE._replace(source="w2", call="c2"), ONE._replace(source="w3", call="c3", closed=True)
    shown = bars(one, nested, other, over, ONE._replace(source="w4"))
    assert [row["button"] for row in shown.rows().values()] == [True, False, True, False, False]
    assert shown.calls("w1:b") == {"c1"}
    assert shown.calls("w3:a") == set()


def test_the_bar_that_stands_for_all_has_the_button_of_all_calls() -> None:
    shown = bars(*[ONE._replace(source=f"w{number}", call=f"c{number}") for number in range(FOLDED + 1)])
    whole, slowest = shown.rows()
    assert shown.calls(whole) == {f"c{number}" for number in range(FOLDED + 1)}
    assert len(shown.calls(slowest)) == 1


def test_the_beginning_of_a_bar_in_a_panel_does_not_jitter_with_the_way_of_its_states() -> None:
    shown = bars()
    for n, now in ((3, 106.0), (4, 107.1), (5, 108.05)):
        shown.apply(ONE._replace(n=n, elapsed=n + 3.0), now)
    (row,) = shown.rows().values()
    assert (row["since"], row["took"], row["rest"], row["note"]) == (100.0, "", "00:10", "2.00s/it")
    shown.apply(ONE._replace(n=10, elapsed=12.0, closed=True), 112.0)
    (row,) = shown.rows().values()
    assert (row["mark"], row["took"], row["rest"], row["units"]) == ("done", "00:12", "", "10/10")
