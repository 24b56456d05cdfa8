"""Runs the code below a cell magic like a plain cell: with its line numbers, source and tracebacks."""

from __future__ import annotations

import ast
import sys
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell


class CellFailed(Exception):
    """The cell's code has raised. Its traceback was shown, and the execution is marked as failed."""


def cell_number(shell: InteractiveShell) -> int:
    """Return the number of the running cell, as in ``In[12]``. On the main thread.

    `shell.execution_count` is this number or the next one: newer releases of IPython count before the cell runs.
    """
    number: int = shell.displayhook.prompt_count
    return number


def parse(shell: InteractiveShell, body: str) -> tuple[ast.Module, str]:
    """Parse the body of a cell magic; return the tree and the file name of its code. On the main thread.

    Tracebacks and `inspect.getsource` find the source by that file name. Its lines are numbered as in the cell, whose
    first line is the magic's own.

    Raises:
        CellFailed: The code has a syntax error, which was shown.
    """
    lines = body.splitlines()
    # IPython's transformation drops blank lines at the beginning.
    blank = next((number for number, line in enumerate(lines) if line.strip()), 0)
    source = "\n" * (1 + blank) + shell.transform_cell(body)
    filename = shell.compile.cache(source, cell_number(shell), raw_code=source)
    try:
        return shell.transform_ast(shell.compile.ast_parse(source, filename=filename)), filename
    except SyntaxError as error:
        shell.showsyntaxerror()
        note_failure(shell, error, before_execution=True)
        raise CellFailed from error


def execute(shell: InteractiveShell, tree: ast.Module, filename: str) -> None:
    """Run parsed code in the user's namespace. On the main thread.

    Raises:
        CellFailed: The code has raised. Its traceback was shown, from the user's first frame on.
    """
    try:
        exec(shell.compile(tree, filename, "exec"), shell.user_global_ns, shell.user_ns)
    except (Exception, KeyboardInterrupt) as error:
        # Without this function's frame. The frames of the magic's callers are not in the traceback yet.
        own = error.__traceback__
        frames: TracebackType | None = own.tb_next if own is not None else None
        shell.showtraceback((type(error), error, frames), tb_offset=0, running_compiled_code=True)
        note_failure(shell, error, before_execution=False)
        raise CellFailed from error


def note_failure(shell: InteractiveShell, error: BaseException, before_execution: bool) -> None:
    """Mark the present execution as failed, so that "run all" and nbclient stop at it.

    An exception that leaves the magic does so, too, but is shown a second time, with IPython's own frames.
    """
    result: Any = shell.displayhook.exec_result
    if result is None:
        return
    if before_execution:
        result.error_before_exec = error
    else:
        result.error_in_exec = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
