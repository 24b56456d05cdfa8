"""The hints of `nbactors.exceptions.hints` under a cell's traceback."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.exceptions.hints import print_hint


def _post_run_cell(result: Any) -> None:
    error = getattr(result, "error_in_exec", None)
    if error is not None:
        print_hint(error)


def watch(shell: InteractiveShell) -> None:
    """Print hints for the errors of this shell's cells. Calling it again does nothing. On the main thread."""
    shell.events.register("post_run_cell", _post_run_cell)  # IPython keeps a function once
