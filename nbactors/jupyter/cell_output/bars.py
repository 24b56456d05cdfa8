"""The bars under one cell: which there are, in what order, and how they look. Pure: no thread, no clock, no widget."""

from __future__ import annotations

from html import escape

from nbactors.frontend.sink import Progress
from nbactors.util import bar_text

SHOWN = 30
"""More bars than these are not readable: of those that are done, the oldest are counted instead of shown."""

_BLUE, _GREEN, _RED = (
    "var(--jp-brand-color1, #2196f3)",
    "var(--jp-success-color1, #388e3c)",
    "var(--jp-error-color1, #d32f2f)",
)

_ROW = "display:flex;flex-wrap:wrap;align-items:center;column-gap:10px;min-height:22px"
_TITLE = "flex:0 1 13em;min-width:5em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_TRACK = "flex:1 1 8em;min-width:5em;max-width:36em;height:10px;border-radius:5px;overflow:hidden"
_NUMBERS = "flex:1 1 24em;min-width:0;font-variant-numeric:tabular-nums;white-space:pre-wrap"
_BLOCK = "font-family:var(--jp-ui-font-family, sans-serif);font-size:var(--jp-ui-font-size1, 13px);line-height:1.4"


class Bars:
    """All bars of a cell."""

    def __init__(self) -> None:
        # Bars of one source stay together, sources in the order in which they have come.
        self._sources: dict[str, dict[str, Progress]] = {}
        self._hidden = 0

    def apply(self, progress: Progress) -> None:
        """Take in the new state of a bar. What comes for one that has ended begins it anew."""
        bars = self._sources.setdefault(progress.source, {})
        if progress.closed and not (progress.leave or progress.failed):
            bars.pop(progress.bar, None)
        else:
            bars[progress.bar] = progress
        self._make_room()

    def end(self, why: str) -> None:
        """Close what is open: nobody will tell any more."""
        for bars in self._sources.values():
            for name, progress in bars.items():
                if not progress.closed:
                    bars[name] = progress._replace(closed=True, failed=why)

    @property
    def is_open(self) -> bool:
        """Whether one goes on."""
        return any(not progress.closed for progress in self.rows())

    def rows(self) -> list[Progress]:
        """Return the bars in the order in which they are shown."""
        return [progress for bars in self._sources.values() for progress in bars.values()]

    def text(self) -> str:
        """Return a line for each bar."""
        return "\n".join([*map(_marked, self.rows()), *self._rest()])

    def html(self) -> str:
        """Return a row for each bar."""
        rows = [_row(progress) for progress in self.rows()]
        rows += [f'<div style="opacity:.7">{escape(text)}</div>' for text in self._rest()]
        return f'<div style="{_BLOCK}">{"".join(rows)}</div>' if rows else ""

    def _rest(self) -> list[str]:
        return [f"… and {self._hidden} more that have ended"] if self._hidden else []

    def _make_room(self) -> None:
        surplus = sum(map(len, self._sources.values())) - SHOWN
        for bars in list(self._sources.values()):
            for name in [name for name, progress in bars.items() if progress.closed]:
                if surplus <= 0:
                    return
                del bars[name]
                surplus -= 1
                self._hidden += 1


def _marked(progress: Progress) -> str:
    """Return a bar as text, saying whose it is."""
    mark = f"({progress.label} pid={progress.pid}) " if progress.label else ""
    return mark + bar_text.line(progress if progress.description else progress._replace(label=""))


def _row(progress: Progress) -> str:
    title, done = bar_text.title(progress), bar_text.fraction(progress)
    whose = f"{progress.label} pid={progress.pid}" if progress.label else title
    colour = _RED if bar_text.is_unfinished(progress) else _GREEN if progress.closed else _BLUE
    head = f'<span style="{_TITLE}" title="{escape(whose)}">{escape(title)}</span>' if title else ""
    track = ""
    if done is not None:
        fill = f'<div style="width:{done:.1%};height:100%;background:{colour}"></div>'
        track = f'<div style="{_TRACK};background:rgba(128,128,128,.25)">{fill}</div>'
    # Padded by spaces as wide as digits, so that the numbers do not jump.
    percent = f"{int(done * 100):3}% ".replace(" ", "\u2007") if done is not None else ""
    ink = f";color:{colour}" if progress.failed else ""
    numbers = f'<span style="{_NUMBERS}{ink}">{percent}{escape(bar_text.numbers(progress))}</span>'
    return f'<div style="{_ROW}">{head}{track}{numbers}</div>'
