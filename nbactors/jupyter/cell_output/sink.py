"""The sink of a kernel: output, displays and bars of workers go under the cell that made the call."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.frontend import calling_cell
from nbactors.frontend.bar import BarState
from nbactors.frontend.sink import Display, Output, Paused
from nbactors.jupyter.cell_output import bars, cells
from nbactors.jupyter.cell_output.output import CellOutput
from nbactors.jupyter.failures import waiting_breakpoints
from nbactors.jupyter.magics import background


class CellSink:
    """Implements `nbactors.frontend.sink.Sink`, which describes the methods."""

    def __init__(self) -> None:
        self._output = CellOutput()

    def output(self, output: Output) -> None:
        self._output.show(output)

    def display(self, display: Display) -> None:
        if display.clear:
            cells.publish(display.cell, "clear_output", {"wait": display.clear == "later"})
            return
        kind = "update_display_data" if display.update else "display_data"
        content = {"data": display.data, "metadata": display.metadata, "transient": display.transient}
        cells.publish(display.cell, kind, content)

    def bar(self, state: BarState) -> None:
        if not background.begun(state.bar, state.pid):
            bars.show(state)

    def paused(self, paused: Paused) -> None:
        waiting_breakpoints.take(paused)


_sink = CellSink()


def watch(shell: InteractiveShell) -> None:
    """Make this kernel show the output of the session. Called when a session starts; does nothing in a terminal."""
    cells.watch(shell)
    # The notebook's shell is pickled as a call of `get_ipython`, so that code finds the shell of its own process.
    copyreg.pickle(type(shell), _reduce_shell)
    if not getattr(shell, "_nbactors_settles", False):
        shell._nbactors_settles = True
        shell.events.register("post_run_cell", lambda _result: bars.settle(calling_cell.current()))
    engine = nbactors.engine.running()
    if engine is not None and getattr(shell, "kernel", None) is not None:
        engine.set_sink(_sink)


def _reduce_shell(shell: InteractiveShell) -> tuple[Callable[[], Any], tuple[()]]:
    return get_ipython, ()
