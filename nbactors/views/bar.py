"""The drawing of a progress bar: a line of text in tqdm's format, which everybody reads, and a row of HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nbactors.frontend.sink import prefix
from nbactors.views.html import escaped

if TYPE_CHECKING:
    from nbactors.frontend.bar import BarState

FONT = "font-family:var(--jp-ui-font-family, sans-serif);font-size:var(--jp-ui-font-size1, 13px)"
RUNNING, DONE, FAILED = (
    "var(--jp-brand-color1, #2196f3)",
    "var(--jp-success-color1, #388e3c)",
    "var(--jp-error-color1, #d32f2f)",
)
"""Blue, green and red, in the shades of the page's theme."""

_WIDTH = 10
_PARTS = " ▏▎▍▌▋▊▉"

_ROW = (
    "display:flex;flex-wrap:wrap;align-items:center;column-gap:10px;min-height:26px;padding:2px 0;box-sizing:border-box"
)
_TITLE = "flex:0 1 13em;min-width:5em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_TRACK = "flex:1 1 8em;min-width:5em;max-width:36em;height:10px;border-radius:5px;overflow:hidden"
_NUMBERS = "flex:1 1 24em;min-width:0;font-variant-numeric:tabular-nums;white-space:pre-wrap"


def line(state: BarState) -> str:
    """Return the bar as one line without a line feed: ``(Trainer pid=7) epochs:  30%|███       | 3/10 [00:06<…]``."""
    head = prefix(state.label, state.pid, in_colour=False) if state.label else ""
    if state.description:
        head += f"{state.description}: "
    done = state.fraction
    if done is None:
        return head + numbers(state)
    full, rest = divmod(int(done * _WIDTH * 8), 8)
    drawn = ("█" * full + (_PARTS[rest] if rest else "")).ljust(_WIDTH)
    return f"{head}{int(done * 100):3}%|{drawn}| {numbers(state)}"


def row(state: BarState, title: str) -> str:
    """Return the bar as an HTML element, under a title."""
    done = state.fraction
    process = f"{state.label} pid={state.pid}" if state.label else title
    colour = FAILED if state.is_unfinished else DONE if state.closed else RUNNING
    head = f'<span style="{_TITLE}" title="{escaped(process)}">{escaped(title)}</span>' if title else ""
    track = percent = ""
    if done is not None:
        fill = f'<div style="width:{done:.1%};height:100%;background:{colour}"></div>'
        track = f'<div style="{_TRACK};background:rgba(128,128,128,.25)">{fill}</div>'
        # Padded by spaces as wide as digits, so that the numbers do not jump.
        percent = f"{int(done * 100):3}% ".replace(" ", "\u2007")
    ink = f";color:{colour}" if state.failed else ""
    counts = f'<span style="{_NUMBERS}{ink}">{percent}{escaped(numbers(state))}</span>'
    return f'<div style="{_ROW}">{head}{track}{counts}</div>'


def block(rows: list[str]) -> str:
    """Return the element that holds rows."""
    return f'<div style="{FONT};line-height:1.4;margin:0">{"".join(rows)}</div>'


class Numbers(NamedTuple):
    """The figures of a bar, as texts.

    Attributes:
        units: The units done, and those in all.
        took, rest: The time since the beginning, and the time to the end; empty if it is not known what is in all.
        facts: The speed, and what else is told; empty texts are left out.
    """

    units: str
    took: str
    rest: str
    facts: list[str]


def figures(state: BarState) -> Numbers:
    """Return the figures of a bar."""
    count = _amount(state.n, state.unit_scale)
    if state.total is not None:
        count += "/" + _amount(state.total, state.unit_scale)
    elif state.unit:
        count += state.unit if state.unit_scale or len(state.unit) < 3 else f" {state.unit}"
    left = ""
    if state.total is not None and not state.closed:
        rest = max(state.total - state.n, 0.0)
        left = clock(rest / state.rate) if state.rate > 0 else "?"
    facts = [fact for fact in (_speed(state), state.postfix, state.failed) if fact]
    return Numbers(count, clock(state.elapsed), left, facts)


def numbers(state: BarState) -> str:
    """Return counts and times: ``14/30 [00:02<00:02, 6.62it/s, loss=3]``."""
    units, took, rest, facts = figures(state)
    times = f"{took}<{rest}" if rest else took
    return f"{units} [{', '.join([times, *facts])}]"


def clock(seconds: float) -> str:
    """Return ``02:05`` or ``1:02:05``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def _speed(state: BarState) -> str:
    """Return units per second, below 1 seconds per unit; empty where the rate is not known."""
    rate, unit = state.rate, state.unit
    if not 0 < rate < float("inf"):
        return ""
    space = " " if len(unit) > 2 else ""
    if rate >= 1 or state.unit_scale:
        scaled = _amount(rate, state.unit_scale) if state.unit_scale else f"{rate:.2f}"
        return f"{scaled}{space}{unit}/s"
    return f"{1 / rate:.2f}s/{unit}"


def _amount(value: float, scale: float) -> str:
    """Return a number, with `scale` in thousands, millions and so on."""
    if not scale:
        return f"{int(value)}" if value == int(value) else f"{value:.6g}"
    value *= scale
    for power in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 999.5:
            return f"{value:.3g}{power}"
        value /= 1000
    return f"{value:.3g}E"
