"""A cell's code that runs on behalf of a magic and still behaves as a cell: line numbers, source, tracebacks."""

from __future__ import annotations

import ast
import sys
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell


class CellFailed(Exception):
    """The cell's code raised; its traceback has been shown and the execution is marked as failed."""


def parse(shell: InteractiveShell, body: str) -> tuple[ast.Module, str]:
    """Parse what stands below a cell magic's line, and return it with the file name that its code gets.

    The code is kept where tracebacks and `inspect.getsource` look for it, and its lines are numbered as in the cell,
    the magic's own line being the first. Called on the main thread.

    Raises:
        CellFailed: The code has a syntax error, which has been shown.
    """
    lines = body.splitlines()
    # IPython's transformation drops these.
    blank = next((number for number, line in enumerate(lines) if line.strip()), 0)
    source = "\n" * (1 + blank) + shell.transform_cell(body)
    filename = shell.compile.cache(source, shell.execution_count, raw_code=source)
    try:
        return shell.transform_ast(shell.compile.ast_parse(source, filename=filename)), filename
    except SyntaxError as error:
        shell.showsyntaxerror()
        note_failure(shell, error, before_execution=True)
        raise CellFailed from error


def execute(shell: InteractiveShell, tree: ast.Module, filename: str) -> None:
    """Run parsed code in the user's namespace. Called on the main thread.

    Raises:
        CellFailed: The code raised. Its traceback has been shown, from the user's first frame on.
    """
    try:
        exec(shell.compile(tree, filename, "exec"), shell.user_global_ns, shell.user_ns)
    except (Exception, KeyboardInterrupt) as error:
        # Without the frame of this function, and before those of the magic's callers would be added.
        own = error.__traceback__
        frames: TracebackType | None = own.tb_next if own is not None else None
        shell.showtraceback((type(error), error, frames), tb_offset=0, running_compiled_code=True)
        note_failure(shell, error, before_execution=False)
        raise CellFailed from error


def note_failure(shell: InteractiveShell, error: BaseException, before_execution: bool) -> None:
    """Mark the execution that is under way as failed, so that "run all" and nbclient stop at it.

    An exception that left the magic would do so too, but be shown a second time, with IPython's own frames.
    """
    result: Any = shell.displayhook.exec_result
    if result is None:
        return
    if before_execution:
        result.error_before_exec = error
    else:
        result.error_in_exec = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
