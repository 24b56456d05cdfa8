"""Progress bars under the calling cell: one display for all bars of a cell."""

from __future__ import annotations

import math
import threading
from collections import Counter
from time import monotonic, time
from typing import Any

from nbactors.frontend.bar import BarState
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.panels import commands
from nbactors.jupyter.panels.source import Answer
from nbactors.views import bar

FOLDED = 8
"""The most bars of a cell that are shown one by one. More are shown as one bar of their number, and the slowest one."""

KEPT = 200
"""The most bars of a cell that are kept. The oldest of those that have ended are only counted."""

WIDGET_S, PLAIN_S = 0.25, 0.3
"""Seconds between two changes of a panel, whose bars glide, and of a display without one, which is replaced."""

STEADY_S = 0.3
"""Seconds by which a bar's beginning may seem to change, as its states take their time to arrive."""

CLOSE_S = 0.5
"""Seconds that a display stays live when all its bars have ended: often the next one begins."""


class Bars:
    """The bars of one cell: which there are, and in what order. Pure: no thread, no clock, no widget."""

    def __init__(self) -> None:
        # The bars of one source stay together; the sources are in the order of their first bars.
        self._sources: dict[str, dict[str, BarState]] = {}
        self._began: dict[tuple[str, str], float] = {}
        self._ended = 0
        self._unfinished = 0
        """The bars that are only counted, and how many of these have ended before their total."""

    def apply(self, state: BarState, now: float = 0.0) -> None:
        """Take in the state of a bar at a time, in seconds since 1970. A bar that has ended begins anew with it."""
        bars = self._sources.setdefault(state.source, {})
        key, began = (state.source, state.bar), now - state.elapsed
        if state.is_removed:
            bars.pop(state.bar, None)
            self._began.pop(key, None)
        else:
            bars[state.bar] = state
            if abs(self._began.get(key, 0.0) - began) > STEADY_S:
                self._began[key] = began
        self._make_room()

    @property
    def is_open(self) -> bool:
        """Whether a bar goes on."""
        return any(not state.closed for state in self.states())

    def states(self) -> list[BarState]:
        """Return the states in the order in which they are shown."""
        return [state for bars in self._sources.values() for state in bars.values()]

    def text(self) -> str:
        """Return a line for each bar, or for all and the slowest one."""
        return "\n".join(map(bar.line, self.shown()))

    def html(self) -> str:
        """Return a row for each bar, or for all and the slowest one."""
        shown = self.shown()
        return (
            bar.block([bar.row(state, title) for state, title in zip(shown, _titles(shown), strict=True)])
            if shown
            else ""
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the bars as a panel shows them, by id. Only the first bar of a call has a button."""
        shown, result, with_button = self.shown(), {}, set[str]()
        for state, title in zip(shown, _titles(shown), strict=True):
            units, took, rest, facts = bar.figures(state)
            calls = self.calls(_id(state))
            result[_id(state)] = {
                "title": title,
                "tip": f"{state.label} pid={state.pid}" if state.label else title,
                "mark": "failed" if state.is_unfinished else "done" if state.closed else "busy",
                "share": None if state.fraction is None else round(state.fraction, 4),
                "units": units,
                "since": self._began.get((state.source, state.bar)) or min(self._began.values(), default=0.0),
                "took": took if state.closed else "",
                "rest": rest,
                "note": ", ".join(facts),
                "button": not calls <= with_button,
            }
            with_button |= calls
        return result

    def calls(self, row: str) -> set[str]:
        """Return the ids of the calls in which the bars of a row go on."""
        return {
            state.call for state in self.states() if state.call and not state.closed and row in (_WHOLE, _id(state))
        }

    def shown(self) -> list[BarState]:
        """Return the states of the bars as they are shown: all, or the one that stands for all and the slowest one."""
        states = self.states()
        if len(states) + self._ended <= FOLDED:
            return states
        going = [state for state in states if not state.closed]
        unfinished = sum(state.is_unfinished for state in states) + self._unfinished
        count = len(states) + self._ended
        whole = BarState(
            states[0].cell,
            "",
            "",
            description=f"{count} bars",
            n=count - len(going),
            total=count,
            unit="bar",
            elapsed=max(state.elapsed for state in states),
            closed=not going,
            failed=f"{unfinished} unfinished" if unfinished else "",
        )
        if not going:
            return [whole, *[state for state in states if state.is_unfinished][: FOLDED - 1]]
        slowest = min(going, key=lambda state: state.fraction or 0.0)
        return [whole, slowest._replace(description=f"slowest: {slowest.description}".rstrip(": "))]

    def _make_room(self) -> None:
        surplus = sum(map(len, self._sources.values())) - KEPT
        for source, bars in list(self._sources.items()):
            for name in [name for name, state in bars.items() if state.closed]:
                if surplus <= 0:
                    return
                self._unfinished += bars.pop(name).is_unfinished
                self._began.pop((source, name), None)
                self._ended += 1
                surplus -= 1


_WHOLE = ":"
"""The id of the bar that stands for all."""


def _id(state: BarState) -> str:
    """Return the id of a bar's row."""
    return f"{state.source}:{state.bar}"


def _titles(states: list[BarState]) -> list[str]:
    """Return the titles of bars. Those of one description are told apart by their processes, or else by numbers."""
    result: list[str] = []
    alike = Counter(state.description or state.label for state in states)
    for state in states:
        title = state.description or state.label
        if alike[title] > 1 and state.pid:
            title = f"{title} · {state.pid}"
        same = sum(known == title or known.startswith(f"{title} #") for known in result)
        result.append(f"{title} #{same + 1}" if same and title else title)
    return result


class CellBars:
    """The display of one cell's bars."""

    table: str | None = "rows"

    def __init__(self, cell: int) -> None:
        self._bars = Bars()
        self._live = Live(cell, self)
        self._lock = threading.RLock()
        self._changed_at = 0.0
        self._painted_at = 0.0
        self._changed = False
        self._ended = False

    def apply(self, state: BarState) -> None:
        """Take in the new state of a bar. Any thread."""
        with self._lock:
            self._bars.apply(state, time())
            if self._live.is_new and self._bars.states():
                # Before the next line of output: the painter may take long for the first widget.
                self._live.reserve(self._bars.text(), self._bars.html())
            self._changed = True
            self._ended = False
            self._changed_at = monotonic()
        painter.touch(self, self._painted_at + (WIDGET_S if self._live.is_widget else PLAIN_S))

    def state(self) -> dict[str, Any]:
        """See `Source`."""
        with self._lock:
            rows = self._bars.rows()
        return {"view": "bars", "now": time(), "rows": rows, "order": list(rows)}

    def do(self, command: dict[str, Any]) -> Answer:
        """Cancel the calls in which a bar goes on. See `Source`."""
        with self._lock:
            calls = self._bars.calls(command["row"])
        return commands.cancel(sorted(calls))

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
        elif is_open and now >= (self._live.refresh_at or math.inf):
            self._live.show(text, html)
        if self._ended:
            return None
        return self._live.refresh_at if is_open else max(ends_at, now)

    @property
    def is_open(self) -> bool:
        """Whether a bar goes on. Any thread."""
        with self._lock:  # the leader's thread may add a bar meanwhile
            return self._bars.is_open

    def flush(self) -> None:
        """Show the present state soon, if it is not shown yet. Any thread."""
        if self._changed:
            painter.touch(self)

    def settle(self) -> None:
        """Show the last states at once if all bars have ended: the cell has. On the thread that ran the cell."""
        with self._lock:
            if self._bars.is_open or self._ended:
                return
            self._changed_at = -CLOSE_S
        painter.touch(self)


_lock = threading.RLock()
_changed = threading.Condition(_lock)
_cells: dict[int, CellBars] = {}


def show(state: BarState) -> None:
    """Show the state of a bar, unless its cell is not known. Any thread."""
    if not cells.is_known(state.cell):
        return
    with _lock:
        bars = _cells.get(state.cell)
        if bars is None:
            bars = _cells[state.cell] = CellBars(state.cell)
            while len(_cells) > cells.KEPT:
                del _cells[next(iter(_cells))]
    bars.apply(state)
    with _changed:
        _changed.notify_all()


def settle(cell: int) -> None:
    """Wait a moment for the last states of the bars of a cell that has ended. On the thread that ran the cell.

    Programs that run notebooks keep no output that comes later.
    """
    bars = _cells.get(cell)
    if bars is not None:
        bars.settle()
        painter.settle()


def flush() -> None:
    """Wait a moment until the bars of all cells are shown in their last state. On the thread that ran the last cell.

    For a batch client: a bar of an earlier cell, too, may change before the next cell begins, or there is none. The
    last state of a bar may come after the result of its call, so bars that are open are waited for.
    """
    with _changed:
        _changed.wait_for(lambda: not any(bars.is_open for bars in _cells.values()), CLOSE_S)
    for bars in list(_cells.values()):
        bars.flush()
    painter.settle()
