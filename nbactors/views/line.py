"""The line that shows the state of something that runs and ends: a call, or a cell in the background."""

from __future__ import annotations

from nbactors.views.bar import DONE, FAILED, FONT, RUNNING, clock
from nbactors.views.html import escaped

_WAITING = "var(--jp-warn-color1, #f57c00)"

_LOOKS = {
    "queued": ("◌", "var(--jp-ui-font-color2, #757575)"),
    "waiting": ("◔", _WAITING),
    "busy": ("●", RUNNING),
    "done": ("✓", DONE),
    "failed": ("✗", FAILED),
    "cancelled": ("⊘", _WAITING),
    "ended": ("–", "var(--jp-ui-font-color2, #757575)"),
}
"""The sign and the colour of each mark, as the panels draw them."""


def text(mark: str, name: str, word: str, time: str, note: str = "") -> str:
    """Return the line as text, such as ``● load: running  00:12  pid 7``."""
    return "  ".join(part for part in (f"{_LOOKS[mark][0]} {name}: {word}", time, note) if part)


def html(mark: str, name: str, word: str, time: str, note: str = "") -> str:
    """Return the line as an HTML element. A panel draws the same line with the same measures."""
    sign, colour = _LOOKS[mark]
    return (
        f'<div style="{FONT};line-height:1.4;min-height:28px;margin:0;white-space:nowrap;'
        'display:flex;align-items:center;column-gap:10px;font-variant-numeric:tabular-nums">'
        f'<span style="color:{colour}"><b style="display:inline-block;width:1em;text-align:center;margin-right:4px">'
        f"{sign}</b>{escaped(word)}</span>{_cut(name, '')}<span>{time}</span>"
        f"{_cut(note, 'flex-shrink:1000;opacity:.7;')}</div>"
    )


def _cut(text: str, style: str) -> str:
    """Return an element that is cut where the line is too narrow for it."""
    shown = escaped(text)
    return f'<span style="{style}overflow:hidden;text-overflow:ellipsis" title="{shown}">{shown}</span>' if text else ""


def took(seconds: float) -> str:
    """Return how long something took, such as ``3.2 s``, or ``02:05`` for a long time."""
    return f"{max(seconds, 0.0):.1f} s" if seconds < 60 else clock(seconds)
