"""Calls that have stopped at a `breakpoint()` or an `input()`: a cell that waits for calls asks its user.

A debugger opens in a cell that waits just then, in the cell that made the call once it waits, or by `%debugger`. A
question is asked by the next cell that waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from functools import partial
from time import monotonic
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.exceptions import source_lines
from nbactors.frontend.sink import Paused
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.painter import painter

_HELP = "c goes on, n steps, q ends the call with an error; the stop button leaves the debugger, and the call goes on."

RETRY_S = 0.1
"""Seconds between two looks whether a cell waits for calls, while a call waits in `input()` or for a debugger."""

TELL_S = 1.0
"""Seconds for which a stopped call expects its own cell, which runs still, to wait for calls. Then the user is told."""

_lock = threading.RLock()
_waiting: list[Paused] = []
_told: set[int] = set()
_tell_at: dict[int, float] = {}
"""The times at which the user is told of calls whose cell runs and does not wait yet, by the `id` of the call."""
_attached: list[Paused] = []
"""The call whose debugger or question the user sees now."""


def take(paused: Paused) -> None:
    """Take a call that has stopped: debug it in the present wait, else tell of it. On the leader's thread."""
    with _lock:
        _waiting.append(paused)
    engine = nbactors.engine.running()
    if engine is not None and engine.call_in_wait(lambda: _attach_if_waiting(paused)):
        # The wait may have ended just now, before it has called: then the next wait is asked.
        painter.touch(_retry, monotonic() + RETRY_S)
    elif not paused.asks and cells.is_running(paused.cell):
        # A call may stop before its cell comes from the submission to the wait. That wait is to open the debugger.
        _tell_at[id(paused)] = monotonic() + TELL_S
        painter.touch(_retry, monotonic() + RETRY_S)
    else:
        _tell(paused)


def _tell(paused: Paused) -> None:
    _told.add(id(paused))
    _tell_at.pop(id(paused), None)
    if paused.asks:
        text = f"nbactors: {_title(paused)} waits in {paused.where}: the next cell that waits for calls asks for it.\n"
        painter.touch(_retry, monotonic() + RETRY_S)
    else:
        text = (
            f"nbactors: {_title(paused)} stopped at breakpoint(): {_place(paused)}. "
            f"`%debugger {paused.label or paused.pid}` opens the debugger there.\n"
        )
    if not cells.publish(paused.cell, "stream", {"name": "stderr", "text": text}):
        _release(paused)


def _post_run_cell(result: Any) -> None:
    """Tell of calls that stopped just when the notebook's wait ended; release those of a closed session.

    On the main thread.
    """
    for paused in stopped():
        if not nbactors.is_initialized():
            _release(paused)
        elif id(paused) not in _told:
            _tell(paused)


def watch(shell: InteractiveShell) -> None:
    """Look after stopped calls at the end of each cell. Calling it again does nothing. On the main thread."""
    shell.events.register("post_run_cell", _post_run_cell)  # IPython keeps a function once


def stopped() -> list[Paused]:
    """Return the calls that wait for a debugger. Any thread."""
    with _lock:
        return list(_waiting)


class _Retry:
    """Asks cells that wait: for the questions of calls, and for debuggers that their own cells have not opened."""

    def paint(self, now: float) -> float | None:
        """Look whether a cell waits. See `painter.Picture`."""
        engine = nbactors.engine.running()
        asking = [
            paused for paused in stopped() if paused.asks or id(paused) not in _told or cells.is_running(paused.cell)
        ]
        if engine is None or not asking:
            return None
        if not _attached and not engine.call_in_wait(partial(_attach_if_waiting, asking[0])):
            for paused in asking:
                if _tell_at.get(id(paused), now + 1) <= now:
                    _tell(paused)
        return now + RETRY_S


_retry = _Retry()


def _attach_if_waiting(paused: Paused) -> None:
    if paused in stopped():
        attach(paused)


def attach(paused: Paused) -> None:
    """Pass the debugger's text and the user's commands on until the call goes on. On the main thread."""
    _attached.append(paused)
    if paused.asks:
        print(f"nbactors: {_title(paused)} asks:")
    else:
        print(f"nbactors: {_title(paused)} stopped at breakpoint(): {_place(paused)}\n{_HELP}")
    try:
        lines = paused.connection.makefile("r", encoding="utf-8")
        sources = {} if paused.asks else source_lines.of_cells()
        if not paused.asks:
            paused.connection.sendall(f"{json.dumps(sources)}\n".encode())
        for line in lines:
            said: dict[str, Any] = json.loads(line)
            print(_with_cell_names(said["text"], sources), end="")
            if said["prompt"] is None:
                break
            paused.connection.sendall(f"{input(said['prompt'])}\n".encode())
            if paused.asks:
                break
    except KeyboardInterrupt:
        print(f"\nnbactors: {'not answered' if paused.asks else 'left the debugger'}; {_title(paused)} goes on.")
    except (EOFError, OSError):
        pass
    except Exception as error:
        if type(error).__name__ != "StdinNotImplementedError":
            raise
        print(f"nbactors: nobody can be asked here, so {_title(paused)} goes on.")
    finally:
        _attached.remove(paused)
        _release(paused)


def _release(paused: Paused) -> None:
    with _lock:
        if paused in _waiting:
            _waiting.remove(paused)
    _told.discard(id(paused))
    _tell_at.pop(id(paused), None)
    try:
        # The file object of `attach` keeps the descriptor open as long as it lives.
        paused.connection.shutdown(2)
    except OSError:
        pass
    paused.connection.close()


def _with_cell_names(text: str, filenames: Iterable[str]) -> str:
    for filename in filenames:
        text = text.replace(filename, source_lines.cell_name(filename))
    return text


def _title(paused: Paused) -> str:
    return f"{paused.label} (pid {paused.pid})"


def _place(paused: Paused) -> str:
    """Return where a call has stopped, with the name of a cell in place of its file."""
    filename, _, rest = paused.where.rpartition(":")
    cell = source_lines.cell_name(filename)
    return f"{cell}, line {rest}" if cell else paused.where
