"""The stop button: ipykernel sets a handler of SIGINT for each cell, in front of which the session's must come."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.frontend.interrupts import INTERRUPTS


def _pre_run_cell(info: Any = None) -> None:
    """Install the session's handler: a cell begins. On the main thread; does nothing on a subshell's."""
    if nbactors.is_initialized():
        INTERRUPTS.install()


def watch(shell: InteractiveShell) -> None:
    """Install the handler at the beginning of each cell. Calling it again does nothing. On the main thread."""
    shell.events.register("pre_run_cell", _pre_run_cell)  # IPython keeps a function once
