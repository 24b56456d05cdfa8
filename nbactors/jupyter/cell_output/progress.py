"""Progress bars under the cells that they belong to: one display for all bars of a cell."""

from __future__ import annotations

import threading
from time import monotonic

from nbactors.frontend.sink import Progress
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.bars import Bars
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter

WIDGET_S, PLAIN_S = 0.1, 0.3
"""How often a display changes at most: one that is replaced as a whole, less often."""

CLOSE_S = 0.5
"""How long a display stays live when all its bars have ended: often the next one begins."""


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

    def apply(self, progress: Progress) -> None:
        """Take in the new state of a bar. Any thread."""
        with self._lock:
            self._bars.apply(progress)
            self._changed = True
            self._ended = False
            self._changed_at = monotonic()
        painter.touch(self, self._painted_at + (WIDGET_S if self._live.is_widget else PLAIN_S))

    def paint(self, now: float) -> float | None:
        """Show how far they are. The painter's thread."""
        with self._lock:
            changed, self._changed = self._changed, False
            text, html, is_open = self._bars.text(), self._bars.html(), self._bars.is_open
            ends_at = self._changed_at + CLOSE_S
            # Without widgets each state is one to keep; with them there is a last one to write down.
            last = not is_open and now >= ends_at and not self._ended
            self._ended = self._ended or last
        if last and (self._live.is_widget or changed):
            self._live.end(text, html)
        elif changed:
            self._painted_at = now
            self._live.show(text, html)
        return None if is_open or self._ended else max(ends_at, now)

    def settle(self) -> None:
        """The cell has ended: if all bars have, show them as they are to stay. On the thread that ran the cell."""
        with self._lock:
            if self._bars.is_open or self._ended:
                return
            self._changed_at = -CLOSE_S
        painter.touch(self)


_lock = threading.RLock()
_cells: dict[int, CellBars] = {}


def show(progress: Progress) -> None:
    """Show the state of a bar. Any thread; what belongs to no known cell is not shown."""
    if cells.header(progress.cell) is None:
        return
    with _lock:
        bars = _cells.get(progress.cell)
        if bars is None:
            bars = _cells[progress.cell] = CellBars(progress.cell)
            while len(_cells) > cells.KEPT:
                del _cells[next(iter(_cells))]
    bars.apply(progress)


def settle(cell: int) -> None:
    """Wait a moment for the last state of a cell's bars, which has ended. On the thread that ran it.

    Programs that run notebooks keep nothing of what comes later.
    """
    bars = _cells.get(cell)
    if bars is not None:
        bars.settle()
        painter.settle()
