"""Explanations under a cell's traceback."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.exceptions import read_only


def _post_run_cell(result: Any) -> None:
    """Say why an array is read-only, under the traceback of the cell that wrote to it. On the main thread."""
    error = getattr(result, "error_in_exec", None)
    if error is not None and read_only.applies(error):
        print(f"nbactors: {read_only.TEXT}", file=sys.stderr)


def watch(shell: InteractiveShell) -> None:
    """Explain errors of this shell's cells. Calling it again does nothing. On the main thread."""
    if not getattr(shell, "_nbactors_hints", False):
        shell.events.register("post_run_cell", _post_run_cell)
        shell._nbactors_hints = True
