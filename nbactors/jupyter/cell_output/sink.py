"""The sink of a kernel: output, displays and bars of workers go under the cell that made the call."""

from __future__ import annotations

import atexit
import copyreg
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.frontend import calling_cell
from nbactors.frontend.bar import BarState
from nbactors.frontend.sink import Display, Output, Paused, Unmade, UnreadError
from nbactors.in_worker.ipython_display import shell_of_process
from nbactors.jupyter.cell_output import actor_card, bars, cells
from nbactors.jupyter.cell_output.output import CellOutput
from nbactors.jupyter.failures import unmade_actors, unread_errors, waiting_breakpoints
from nbactors.jupyter.magics import background
from nbactors.jupyter.panels import trace_display

CATCH_UP_S = 2.0
"""Seconds to wait at most for the output of calls that have ended, where it must not come later."""


class CellSink:
    """Implements `nbactors.frontend.sink.Sink`, which describes the methods."""

    def __init__(self) -> None:
        self.cell_output = CellOutput()

    def output(self, output: Output) -> None:
        self.cell_output.show(output)

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

    def unmade(self, unmade: Unmade) -> None:
        actor_card.note_unmade(unmade.actor_id)
        unmade_actors.take(unmade)

    def unread(self, error: UnreadError, state: str) -> None:
        unread_errors.take(error, state)

    def paused(self, paused: Paused) -> None:
        waiting_breakpoints.take(paused)


_sink = CellSink()


@contextmanager
def held_output(cell: int) -> Iterator[dict[int, str]]:
    """Keep the output of a cell's calls back; at the end the result has the text of each process, by pid."""
    texts: dict[int, str] = {}
    held = _sink.cell_output.hold(cell)
    try:
        yield texts
        engine = nbactors.engine.running()
        if engine is not None:
            engine.catch_up(CATCH_UP_S)
    finally:
        _sink.cell_output.let_go(cell)
        texts.update(held.read())


def watch(shell: InteractiveShell) -> None:
    """Make this kernel show the output of the session. Called when a session starts; does nothing in a terminal."""
    cells.watch(shell)
    # The notebook's shell is pickled as a function's call, so that code finds the shell of its own process.
    copyreg.pickle(type(shell), _reduce_shell)
    if not getattr(shell, "_nbactors_settles", False):
        shell._nbactors_settles = True
        shell.events.register("post_run_cell", _end_cell)
    engine = nbactors.engine.running()
    if engine is not None and getattr(shell, "kernel", None) is not None:
        engine.set_sink(_sink)
        atexit.unregister(_print_rest)
        atexit.register(_print_rest)  # before the session ends: that was registered earlier


def _print_rest() -> None:
    """Write what came after the last cell of a batch to the terminal. At the end of the kernel."""
    engine = nbactors.engine.running()
    if engine is not None and cells.is_batch(calling_cell.current()):
        engine.catch_up(CATCH_UP_S)
        unread_errors.flush(is_last=True)
    cells.print_rest()


def _end_cell(result: Any) -> None:
    """Show the last states under the cell that ends. On the thread that ran it."""
    cell = cells.ending() or calling_cell.current()
    engine = nbactors.engine.running()
    is_batch = cells.is_batch(cell)
    if is_batch and engine is not None:
        background.wait(cell)
        engine.catch_up(CATCH_UP_S)
    trace_display.end(cell)
    bars.settle(cell)
    if is_batch:
        actor_card.settle(cell)
        bars.flush()
        unread_errors.flush()
    cells.hint()
    cells.leave(getattr(result, "execution_count", None))
    unread_errors.end(cell)


def _reduce_shell(shell: InteractiveShell) -> tuple[Callable[[], Any], tuple[()]]:
    return shell_of_process, ()
