"""BarState bars: their states, when these are shown, and how they look alone and under a cell."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from nbactors.frontend import bar as rules
from nbactors.frontend.bar import BarReporter, BarState, LinePace
from nbactors.local.wire import messages
from nbactors.local.wire.messages.shown import MAX_BAR_TEXT
from nbactors.views import bar

pytest.importorskip("IPython")

from nbactors.jupyter.cell_output.bars import SHOWN, Bars

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


def test_many_finished_bars_are_counted_instead_of_shown() -> None:
    done = [ONE._replace(bar=str(number), closed=True, n=10) for number in range(SHOWN + 5)]
    shown = bars(ONE, *done)
    assert len(shown.states()) == SHOWN
    assert ONE in shown.states(), "it still runs"
    assert shown.text().endswith("… and 6 more that have ended")


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
