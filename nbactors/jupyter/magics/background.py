"""A cell that runs in the background, and the line under it that shows its state."""

from __future__ import annotations

import sys
import threading
from html import escape
from time import monotonic
from typing import Any

import nbactors
from nbactors import exceptions
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.failures import post_mortem
from nbactors.jupyter.magics.remote_in_worker import TOKEN_PREFIX
from nbactors.views.bar import DONE, FAILED, FONT, RUNNING, clock

_LOOKS = {
    "queued": ("var(--jp-ui-font-color2, #757575)", "○"),
    "running": (RUNNING, "●"),
    "cancelling": ("var(--jp-warn-color1, #f57c00)", "●"),
    "done": (DONE, "✓"),
    "failed": (FAILED, "✗"),
    "cancelled": ("var(--jp-warn-color1, #f57c00)", "✗"),
}
"""The states of a cell: colour and mark. The last three are final."""

_FINAL = frozenset({"done", "failed", "cancelled"})

_runs: dict[str, BackgroundCell] = {}
"""The cells that are queued, by token."""


def begun(token: str, pid: int) -> bool:
    """Take a worker's report that a cell has begun, maybe after its end. Any thread. Returns False for other tokens."""
    run = _runs.pop(token, None)
    if run is not None:
        run.begin(pid)
    return token.startswith(TOKEN_PREFIX)


class BackgroundCell:
    """One run of a cell.

    Args:
        name: The user's name for the run.
        prompt: ``In[12]``.
        filename: The file name of the cell's code in tracebacks.
        token: The name of the run in the worker's report that it has begun.
        cell: The number of the cell that shows the run, 0 in a terminal.
        value: A reference to the value of the cell.
        shown: A reference to the MIME bundle of that value; see `remote_in_worker.mimebundle`.
    """

    def __init__(self, *, name: str, prompt: str, filename: str, token: str, cell: int, value: Any, shown: Any) -> None:
        self._name = name
        self._prompt = prompt
        self._filename = filename
        self._token = token
        self._cell = cell
        self._value = value
        self._live = Live(cell)
        self._lock = threading.RLock()
        self._state = "queued"
        self._since = self._ended = monotonic()
        self._pid = 0
        self._outcome: Any = None
        self._button: Any = None
        if cell:
            _runs[token] = self
            painter.touch(self)
        else:
            print(f"{name} runs in the background")
        shown.future().add_done_callback(self._finish)

    @property
    def state(self) -> str:
        """The state: a key of `_LOOKS`."""
        return self._state

    def begin(self, pid: int) -> None:
        """Show the cell as running in the process `pid`. Any thread."""
        with self._lock:
            if self._state != "queued":
                return
            self._state, self._pid, self._since = "running", pid, monotonic()
        painter.touch(self)

    def cancel(self) -> None:
        """Cancel the cell; a second call ends its process. Any thread, also while the user's cell runs."""
        with self._lock:
            if self._state in _FINAL:
                return
            force = self._state == "cancelling"
            self._state = "cancelling"
            if self._button is not None:
                self._button.description = "Kill"
                self._button.tooltip = "It does not stop: end its process"
        nbactors.cancel(self._value, force=force)
        painter.touch(self)

    def _finish(self, future: Any) -> None:
        """Take the value or the error of the cell. On a thread of the runtime."""
        error = future.exception()
        with self._lock:
            _runs.pop(self._token, None)
            self._ended = monotonic()
            self._outcome = error if error is not None else future.result()
            asked = self._state == "cancelling"
            cancelled = isinstance(error, exceptions.TaskCancelledError) or (
                asked and isinstance(error, exceptions.WorkerCrashedError)
            )
            self._state = "cancelled" if cancelled else "failed" if error is not None else "done"
            self._value = None
        if self._cell:
            painter.touch(self)
        else:
            self._print()

    def paint(self, now: float) -> float | None:
        """Show the state. On the painter's thread."""
        with self._lock:
            state = self._state
            elapsed = (self._ended if state in _FINAL else now) - self._since
        text, html = line(self._name, state, elapsed, self._pid)
        if state not in _FINAL:
            self._live.show(text, html, self._make_button)
            # Whole seconds after the last change of state, so that the clock skips none.
            return now + 1.0 - elapsed % 1.0
        self._live.end(text, html)
        self._button = None
        self._show_outcome()
        return None

    def _make_button(self, ipywidgets: Any) -> Any:
        layout = ipywidgets.Layout(width="auto", height="24px", margin="0 8px 0 0", flex="0 0 auto")
        button = ipywidgets.Button(description="Cancel", tooltip="Cancel this cell's task", layout=layout)
        # ipykernel 7.4 hands clicks to the main shell, which may be busy, unless this returns the default.
        if hasattr(button.comm, "_reply_subshell_for"):
            button.comm._reply_subshell_for = lambda data, default: default
        button.on_click(lambda _: self.cancel())
        self._button = button
        return button

    def _show_outcome(self) -> None:
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, BaseException):
            if self._state == "failed":
                text = self._traceback(outcome)
                content = {"ename": type(outcome).__name__, "evalue": text, "traceback": text.split("\n")}
                cells.publish(self._cell, "error", content)
                post_mortem.offer(outcome)
        elif outcome:
            cells.publish(self._cell, "display_data", {**outcome, "transient": {}})

    def _traceback(self, error: BaseException) -> str:
        """Return an error's text, in which the prompt and the name stand for the cell's file and function."""
        text = str(error).replace(f'File "{self._filename}", line', f"Cell {self._prompt}, line")
        return text.replace("ray::run()", self._name, 1)

    def _print(self) -> None:
        """Print the last state and the outcome, in a terminal."""
        outcome = self._outcome
        print(line(self._name, self._state, self._ended - self._since, self._pid)[0])
        if isinstance(outcome, BaseException):
            print(self._traceback(outcome), file=sys.stderr)
        elif outcome:
            print(outcome["data"]["text/plain"])


def line(name: str, state: str, elapsed: float, pid: int) -> tuple[str, str]:
    """Return the line that shows the state of a cell, as text and as HTML."""
    colour, mark = _LOOKS[state]
    word = f"{state} …" if state == "cancelling" else state
    took = clock(elapsed) if elapsed >= 10 or state not in _FINAL else f"{elapsed:.1f} s"
    where = f"pid {pid}" if pid else ""
    text = "  ".join(part for part in (f"{mark} {name}: {word}", took, where) if part)
    html = (
        f'<div style="{FONT};line-height:24px;'
        'display:flex;flex-wrap:wrap;column-gap:10px;font-variant-numeric:tabular-nums">'
        f'<span style="color:{colour}">{mark} {escape(word)}</span><span>{escape(name)}</span><span>{took}</span>'
        f'<span style="opacity:.6">{where}</span></div>'
    )
    return text, html
