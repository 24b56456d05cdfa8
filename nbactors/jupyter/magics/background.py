"""A cell that runs in the background, and the line under it that shows its state."""

from __future__ import annotations

import re
import sys
import threading
from time import localtime, strftime, time
from typing import Any

import nbactors
from nbactors import exceptions
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.failures import post_mortem
from nbactors.jupyter.magics.remote_in_worker import TOKEN_PREFIX
from nbactors.jupyter.panels.source import Answer
from nbactors.views import line
from nbactors.views.bar import clock

_MARKS = {
    "queued": "queued",
    "running": "busy",
    "cancelling": "waiting",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""The states of a cell, with their marks. The last three are final."""

_FINAL = frozenset({"done", "failed", "cancelled"})

WAIT_S = 60.0
"""Seconds for which a cell of a batch waits for its task at its end."""

_runs: dict[str, BackgroundCell] = {}
"""The cells that are queued, by token."""

_in_batch: dict[BackgroundCell, None] = {}
"""The cells whose tasks a batch client has to wait for, until they have been shown."""


def begun(token: str, pid: int) -> bool:
    """Take a worker's report that a cell has begun, maybe after its end. Any thread. Returns False for other tokens."""
    run = _runs.pop(token, None)
    if run is not None:
        run.begin(pid)
    return token.startswith(TOKEN_PREFIX)


def wait(cell: int) -> None:
    """Wait for the tasks of a cell of a batch, which ends now. An interrupt ends the wait. On the cell's thread."""
    try:
        for run in [run for run in _in_batch if run.cell == cell]:
            run.wait()
    except KeyboardInterrupt:
        pass


class BackgroundCell:
    """One run of a cell.

    Args:
        name: The user's name for the run.
        token: The name of the run in the worker's report that it has begun.
        cell: The number of the cell that shows the run, 0 in a terminal.
        value: A reference to the value of the cell.
        shown: A reference to the MIME bundle of that value; see `remote_in_worker.mimebundle`.
        wait: Seconds for which `wait` waits.
    """

    table: str | None = None

    def __init__(self, *, name: str, token: str, cell: int, value: Any, shown: Any, wait: float = WAIT_S) -> None:
        self._name = name
        self._token = token
        self.cell = cell
        self._value = value
        self._live = Live(cell, self)
        self._lock = threading.RLock()
        self._phase = "queued"
        self._since = self._ended = time()
        self._pid = 0
        self._outcome: Any = None
        self._wait = wait
        self._note = ""
        self._is_shown = threading.Event()
        if cells.is_batch(cell):
            _in_batch[self] = None
        if cell:
            _runs[token] = self
            painter.touch(self)
        else:
            print(f"{name} runs in the background")
        shown.future().add_done_callback(self._finish)

    @property
    def phase(self) -> str:
        """The state of the run: a key of `_MARKS`."""
        return self._phase

    def state(self) -> dict[str, Any]:
        """See `Source`."""
        with self._lock:
            phase = self._phase
            is_final = phase in _FINAL
            return {
                "view": "line",
                "now": time(),
                "name": self._name,
                "mark": _MARKS[phase],
                "word": _word(phase),
                "since": self._since,
                "took": _time(phase, self._ended - self._since) if is_final else "",
                "note": self._notes(),
                "tip": "It does not stop: end its process" if phase == "cancelling" else "Cancel this cell's task",
                "button": "" if is_final else "Kill" if phase == "cancelling" else "Cancel",
            }

    def do(self, command: dict[str, Any]) -> Answer:
        """See `Source`."""
        self.cancel()
        return Answer(True)

    def begin(self, pid: int) -> None:
        """Show the cell as running in the process `pid`. Any thread."""
        with self._lock:
            if self._phase != "queued":
                return
            self._phase, self._pid, self._since = "running", pid, time()
            self._live.renew()
        painter.touch(self)

    def wait(self) -> None:
        """Wait until the end of the task is shown, for so long as the user allows. Any thread."""
        self._annotate(f"its cell waits for it, at most {self._wait:g} s")
        if not self._is_shown.wait(self._wait):
            self._annotate("its cell has ended; what comes now shows under later cells")
            painter.settle()

    def _annotate(self, note: str) -> None:
        self._note = note
        painter.touch(self)

    def cancel(self) -> None:
        """Cancel the cell; a second call ends its process. Any thread, also while the user's cell runs."""
        with self._lock:
            if self._phase in _FINAL:
                return
            force = self._phase == "cancelling"
            self._phase = "cancelling"
            self._live.renew()
        nbactors.cancel(self._value, force=force)
        painter.touch(self)

    def _finish(self, future: Any) -> None:
        """Take the value or the error of the cell. On a thread of the runtime."""
        error = future.exception()
        with self._lock:
            _runs.pop(self._token, None)
            self._ended = time()
            self._outcome = error if error is not None else future.result()
            asked = self._phase == "cancelling"
            cancelled = isinstance(error, exceptions.TaskCancelledError) or (
                asked and isinstance(error, exceptions.WorkerCrashedError)
            )
            self._phase = "cancelled" if cancelled else "failed" if error is not None else "done"
            self._value = None
        if self.cell:
            painter.touch(self)
        else:
            self._print()

    def paint(self, now: float) -> float | None:
        """Show the state. On the painter's thread."""
        if self._phase not in _FINAL:
            self._live.open()
        with self._lock:
            phase = self._phase
            elapsed = (self._ended if phase in _FINAL else time()) - self._since
            # The panel has a clock. Its static form is stored as it is, so it tells the time of the beginning.
            has_clock = self._live.is_widget and phase not in _FINAL
            when = strftime("since %H:%M:%S", localtime(self._since)) if has_clock else _time(phase, elapsed)
            shown = (_MARKS[phase], self._name, _word(phase), when, self._notes())
        if phase not in _FINAL:
            self._live.show(line.text(*shown), line.html(*shown))
            # Whole seconds after the last change of state, so that the clock skips none.
            return self._live.refresh_at if self._live.is_widget else now + 1.0 - elapsed % 1.0
        self._live.end(line.text(*shown), line.html(*shown))
        self._show_outcome()
        _in_batch.pop(self, None)
        self._is_shown.set()
        return None

    def _notes(self) -> str:
        """Return what the line tells beside the state."""
        note = self._note if self._phase not in _FINAL else ""
        return "  ".join(part for part in (f"pid {self._pid}" if self._pid else "", note) if part)

    def _show_outcome(self) -> None:
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, BaseException):
            if self._phase == "failed":
                text = self._traceback(outcome)
                content = {"ename": type(outcome).__name__, "evalue": text, "traceback": text.split("\n")}
                cells.publish(self.cell, "error", content)
                post_mortem.offer(outcome)
        elif outcome:
            cells.publish(self.cell, "display_data", {**outcome, "transient": {}})

    def _traceback(self, error: BaseException) -> str:
        """Return an error's text, in which the name stands for the cell's function."""
        return re.sub(r"^ray::.*?\(\)(?= \(pid=)", lambda _: self._name, str(error), count=1)

    def _print(self) -> None:
        """Print the last state and the outcome, in a terminal."""
        outcome = self._outcome
        phase, elapsed = self._phase, self._ended - self._since
        print(line.text(_MARKS[phase], self._name, _word(phase), _time(phase, elapsed), self._notes()))
        if isinstance(outcome, BaseException):
            print(self._traceback(outcome), file=sys.stderr)
        elif outcome:
            print(outcome["data"]["text/plain"])


def _word(phase: str) -> str:
    return f"{phase} …" if phase == "cancelling" else phase


def _time(phase: str, elapsed: float) -> str:
    """Return a clock while a cell runs, and at its end how long it took."""
    return line.took(elapsed) if phase in _FINAL else clock(elapsed)
