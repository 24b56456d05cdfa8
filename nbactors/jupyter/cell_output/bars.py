"""Progress bars under the calling cell: one display for all bars of a cell."""

from __future__ import annotations

import threading
from time import monotonic

from nbactors.frontend.bar import BarState
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter
from nbactors.views import bar
from nbactors.views.html import escaped

SHOWN = 30
"""Bars of a cell that are shown: more are not readable. The oldest of those that have ended are only counted."""

WIDGET_S, PLAIN_S = 0.1, 0.3
"""Seconds between two changes of a display with widgets, and of one without, which is replaced as a whole."""

CLOSE_S = 0.5
"""Seconds that a display stays live when all its bars have ended: often the next one begins."""


class Bars:
    """The bars of one cell: which there are, and in what order. Pure: no thread, no clock, no widget."""

    def __init__(self) -> None:
        # The bars of one source stay together; the sources are in the order of their first bars.
        self._sources: dict[str, dict[str, BarState]] = {}
        self._hidden = 0

    def apply(self, state: BarState) -> None:
        """Take in the new state of a bar. A bar that has ended begins anew if a state of it comes."""
        bars = self._sources.setdefault(state.source, {})
        if state.is_removed:
            bars.pop(state.bar, None)
        else:
            bars[state.bar] = state
        self._make_room()

    @property
    def is_open(self) -> bool:
        """Whether a bar goes on."""
        return any(not state.closed for state in self.states())

    def states(self) -> list[BarState]:
        """Return the states in the order in which they are shown."""
        return [state for bars in self._sources.values() for state in bars.values()]

    def text(self) -> str:
        """Return a line for each bar."""
        return "\n".join([*map(bar.line, self.states()), *self._rest()])

    def html(self) -> str:
        """Return a row for each bar."""
        rows = [
            *map(bar.row, self.states()),
            *(f'<div style="opacity:.7">{escaped(text)}</div>' for text in self._rest()),
        ]
        return bar.block(rows) if rows else ""

    def _rest(self) -> list[str]:
        return [f"… and {self._hidden} more that have ended"] if self._hidden else []

    def _make_room(self) -> None:
        surplus = sum(map(len, self._sources.values())) - SHOWN
        for bars in list(self._sources.values()):
            for name in [name for name, state in bars.items() if state.closed]:
                if surplus <= 0:
                    return
                del bars[name]
                surplus -= 1
                self._hidden += 1


class CellBars:
    """The display of one cell's bars."""

    def __init__(self, cell: int) -> None:
        self._bars = Bars()
        self._live = Live(cell)
        self._lock = threading.RLock()
        self._changed_at = 0.0
        self._painted_at = 0.0
        self._changed = False
        self._ended = False

    def apply(self, state: BarState) -> None:
        """Take in the new state of a bar. Any thread."""
        with self._lock:
            self._bars.apply(state)
            self._changed = True
            self._ended = False
            self._changed_at = monotonic()
        painter.touch(self, self._painted_at + (WIDGET_S if self._live.is_widget else PLAIN_S))

    def paint(self, now: float) -> float | None:
        """Show the bars. On the painter's thread."""
        with self._lock:
            changed, self._changed = self._changed, False
            text, html, is_open = self._bars.text(), self._bars.html(), self._bars.is_open
            ends_at = self._changed_at + CLOSE_S
            # The last state replaces the widget; without widgets every state is in the saved notebook already.
            last = not is_open and now >= ends_at and not self._ended
            self._ended = self._ended or last
        if last and (self._live.is_widget or changed):
            self._live.end(text, html)
        elif changed:
            self._painted_at = now
            self._live.show(text, html)
        return None if is_open or self._ended else max(ends_at, now)

    def settle(self) -> None:
        """Show the last states at once if all bars have ended: the cell has. On the thread that ran the cell."""
        with self._lock:
            if self._bars.is_open or self._ended:
                return
            self._changed_at = -CLOSE_S
        painter.touch(self)


_lock = threading.RLock()
_cells: dict[int, CellBars] = {}


def show(state: BarState) -> None:
    """Show the state of a bar, unless its cell is not known. Any thread."""
    if cells.header(state.cell) is None:
        return
    with _lock:
        bars = _cells.get(state.cell)
        if bars is None:
            bars = _cells[state.cell] = CellBars(state.cell)
            while len(_cells) > cells.KEPT:
                del _cells[next(iter(_cells))]
    bars.apply(state)


def settle(cell: int) -> None:
    """Wait a moment for the last states of the bars of a cell that has ended. On the thread that ran the cell.

    Programs that run notebooks keep no output that comes later.
    """
    bars = _cells.get(cell)
    if bars is not None:
        bars.settle()
        painter.settle()
