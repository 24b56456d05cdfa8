"""The stop button: ipykernel sets a handler of SIGINT for each cell, behind which the session's own must come."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.frontend.interrupts import INTERRUPTS


def _pre_run_cell(info: Any = None) -> None:
    """A cell begins. On the main thread, or a subshell's, where nothing happens."""
    if nbactors.is_initialized():
        INTERRUPTS.install()


def watch(shell: InteractiveShell) -> None:
    """Look after the interrupts of this shell's cells. Calling it again does nothing. On the main thread."""
    if not getattr(shell, "_nbactors_stopping", False):
        shell.events.register("pre_run_cell", _pre_run_cell)
        shell._nbactors_stopping = True
