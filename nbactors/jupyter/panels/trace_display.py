"""Shows the trace of a cell: live under the cell, or its static form, which waits for the end of the calls."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from time import monotonic
from typing import Any

from nbactors.frontend import calling_cell
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.panels import display

WAIT_S = 60.0
"""Seconds for which a cell of a batch, or of a terminal, waits for the end of its calls."""

STATIC_S = 1.0
"""Seconds between two states of a static form, where no live panel shows the trace."""

_begun: list[Trace] = []
"""The traces whose cells run."""


def end(cell: int) -> None:
    """Note that a cell ends. In a batch and in a terminal, wait for its calls. On the cell's thread."""
    for trace in [trace for trace in _begun if trace.cell == cell]:
        _begun.remove(trace)
        trace.end_cell()


class Trace:
    """The trace of the running cell, from now on. On the cell's thread, unless a method says otherwise.

    Args:
        prompt: What the user calls the cell, such as "In[3]".
        number: Its number for the user.
        save: A file to write at the end; None for none.
        wait: Seconds for which `end_cell` waits in a batch or a terminal.
    """

    def __init__(self, prompt: str, number: int, save: Path | None, wait: float) -> None:
        # Only a trace needs the feed, which takes time to import.
        from nbactors.jupyter.panels.trace_panel import TraceSource  # noqa: PLC0415

        self.cell = calling_cell.current() if cells.is_known(calling_cell.current()) else 0
        self._save = save
        self._wait = wait
        self._has_ended = threading.Event()
        self._refreshed_at = monotonic()
        feed = display.shared_feed()
        feed.look()  # what was counted before is not of this cell
        path = _directory() / f"trace-{number}.json"
        self._source = TraceSource(feed, self.cell, prompt, path, self._changed)
        self._panel: Any = None
        if display.can_show():
            from nbactors.jupyter.panels.panel import Panel  # noqa: PLC0415 - needs anywidget

            self._panel = Panel(self._source, feed.touch)
            feed.add(self._panel)
        self._display = display.PanelDisplay(self._panel, self._source.static())
        if self.cell:
            self._display.show()
        _begun.append(self)
        feed.read(self._source)

    def end_cell(self) -> None:
        """Note the end of the cell. Wait for its calls where nothing shows them later, until an interrupt."""
        self._source.end_cell()
        if self.cell and not cells.is_batch(self.cell):
            return
        try:
            self._has_ended.wait(self._wait)
        except KeyboardInterrupt:
            pass
        if not self.cell:
            print(self._source.static()["text/plain"])
        elif not self._has_ended.is_set():
            self._display.replace(self._source.static())

    def _changed(self, is_over: bool) -> None:
        """Show a state where no panel does. The feed's thread."""
        if is_over:
            # The file is written on a thread of its own: other panels go on meanwhile.
            threading.Thread(target=self._finish, name="nbactors-trace-end", daemon=True).start()
        elif self.cell and not self._display.is_live and monotonic() - self._refreshed_at >= STATIC_S:
            self._refreshed_at = monotonic()
            self._display.replace(self._source.static())

    def _finish(self) -> None:
        """Show the last state, which the notebook keeps."""
        if self._save is not None:
            try:
                self._source.note = self._source.save(self._save)
            except (OSError, RuntimeError) as error:
                self._source.note = f"The calls were not saved: {error}"
        if self._panel is not None:
            self._panel.refresh()
        if self.cell:
            self._display.replace(self._source.static())
        self._has_ended.set()


def _directory() -> Path:
    """Return the directory of the notebook, or the current one."""
    notebook = Path(os.environ.get("JPY_SESSION_NAME", ""))
    return notebook.parent if notebook.is_absolute() and notebook.parent.is_dir() else Path.cwd()
