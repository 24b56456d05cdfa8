"""Runs cells in a real IPython shell: reads a JSON list of cells from stdin, writes a JSON list of outcomes to stdout.

In a process of its own, since a shell takes over `__main__`, `sys.displayhook` and more. An outcome has `ok`, `output`
(what the cell printed and showed, stderr included) and `error` (the exception's repr, or "").
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


def main() -> None:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    shell = InteractiveShell.instance(config=config)
    shell.run_cell("%load_ext nbactors")
    outcomes = [_run(shell, cell) for cell in json.load(sys.stdin)]
    shell.run_cell("import nbactors; nbactors.shutdown()")
    json.dump(outcomes, sys.stdout)


def _run(shell: InteractiveShell, cell: str) -> dict[str, Any]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        result = shell.run_cell(cell, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    return {"ok": result.success, "output": output.getvalue(), "error": repr(error) if error else ""}


if __name__ == "__main__":
    main()
