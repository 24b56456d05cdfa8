"""The sink of a kernel: what workers have to show goes under the cell that made the call."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.jupyter import background, cells, debugging, progress
from nbactors.jupyter.printing import Printing
from nbactors.output import Display, Lines, Paused, Progress


class CellSink:
    """Shows what comes. See `nbactors.output.Sink`."""

    def __init__(self) -> None:
        self._printing = Printing()

    def lines(self, lines: Lines) -> None:
        """See the protocol."""
        self._printing.show(lines)

    def display(self, display: Display) -> None:
        """See the protocol."""

    def progress(self, progress_: Progress) -> None:
        """See the protocol."""
        if not background.begun(progress_.bar, progress_.pid):
            progress.show(progress_)

    def paused(self, paused: Paused) -> None:
        """See the protocol."""
        debugging.take(paused)


_sink = CellSink()


def watch(shell: InteractiveShell) -> None:
    """Have the session's output shown in this kernel. Called when a session starts; does nothing in a terminal."""
    cells.watch(shell)
    engine = nbactors.engine.running()
    if engine is not None and getattr(shell, "kernel", None) is not None:
        engine.set_sink(_sink)
