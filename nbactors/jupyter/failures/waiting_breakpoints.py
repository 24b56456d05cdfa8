"""Calls that have stopped at a `breakpoint()`. If a cell waits for calls just then, the debugger opens under it."""

from __future__ import annotations

import json
import threading
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.frontend.sink import Paused
from nbactors.jupyter.cell_output import cells

_HELP = "c goes on, n steps, q ends the call with an error; the stop button leaves the debugger, and the call goes on."

_lock = threading.RLock()
_waiting: list[Paused] = []
_told: set[int] = set()


def take(paused: Paused) -> None:
    """Take a call that has stopped: debug it in the present wait, else tell of it. On the leader's thread."""
    with _lock:
        _waiting.append(paused)
    engine = nbactors.engine.running()
    if engine is not None and engine.call_in_wait(lambda: _attach_if_waiting(paused)):
        return
    _tell(paused)


def _tell(paused: Paused) -> None:
    _told.add(id(paused))
    text = (
        f"nbactors: {_title(paused)} stopped at breakpoint(): {paused.where}. `%debugger {paused.label or paused.pid}` "
        "opens the debugger there.\n"
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


def _attach_if_waiting(paused: Paused) -> None:
    if paused in stopped():
        attach(paused)


def attach(paused: Paused) -> None:
    """Pass the debugger's text and the user's commands on until the call goes on. On the main thread."""
    print(f"nbactors: {_title(paused)} stopped at breakpoint(): {paused.where}\n{_HELP}")
    try:
        lines = paused.connection.makefile("r", encoding="utf-8")
        for line in lines:
            said: dict[str, Any] = json.loads(line)
            print(said["text"], end="")
            if said["prompt"] is None:
                break
            paused.connection.sendall(f"{input(said['prompt'])}\n".encode())
    except KeyboardInterrupt:
        print(f"\nnbactors: left the debugger; {_title(paused)} goes on.")
    except (EOFError, OSError):
        pass
    except Exception as error:
        if type(error).__name__ != "StdinNotImplementedError":
            raise
        print(f"nbactors: nobody can be asked here, so {_title(paused)} goes on.")
    finally:
        _release(paused)


def _release(paused: Paused) -> None:
    with _lock:
        if paused in _waiting:
            _waiting.remove(paused)
    _told.discard(id(paused))
    try:
        # The file object of `attach` keeps the descriptor open as long as it lives.
        paused.connection.shutdown(2)
    except OSError:
        pass
    paused.connection.close()


def _title(paused: Paused) -> str:
    return f"{paused.label} (pid {paused.pid})"
