"""Prepares a cell for another process, for `%%on` and `%%remote`.

All functions are called on the main thread.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.jupyter.magics.cell_code import parse
from nbactors.jupyter.magics.magic_line import is_variable
from nbactors.jupyter.magics.remote_in_worker import VALUE


def check_out(magic: str, variable: str | None) -> None:
    """Check the variable that -o names.

    Raises:
        UsageError: The text is no variable name.
    """
    if variable is not None and not is_variable(variable):
        raise UsageError(f"{magic}: -o {variable!r} is no variable name; write for instance -o result")


def given(magic: str, shell: InteractiveShell, text: str | None) -> dict[str, Any]:
    """Return the variables that -i names, with their values.

    Raises:
        UsageError: A variable is missing in the notebook.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    missing = [name for name in names if name not in shell.user_ns]
    if missing:
        raise UsageError(f"{magic}: -i names {', '.join(missing)}, which the notebook does not have")
    return {name: shell.user_ns[name] for name in names}


def compiled(magic: str, shell: InteractiveShell, cell: str) -> tuple[CodeType, str]:
    """Return a cell's code, and the file name that it has in tracebacks.

    The code binds the last expression's value to `VALUE`. `await` at the top level makes it a coroutine.

    Raises:
        CellFailed: The cell has a syntax error, which was shown.
        UsageError: The code is not valid at the top level of a cell, such as a `return`.
    """
    try:
        tree, filename = parse(shell, cell)
        return _compile(tree, filename), filename
    except SyntaxError as error:
        raise UsageError(f"{magic}: {error.msg} (line {error.lineno} of the cell)") from None


def _compile(tree: ast.Module, filename: str) -> CodeType:
    body = list(tree.body)
    if body and isinstance(body[-1], ast.Expr):
        last = body[-1]
        body[-1] = ast.copy_location(ast.Assign([ast.Name(VALUE, ast.Store())], last.value), last)
    whole = ast.fix_missing_locations(ast.Module(body, []))
    code: CodeType = compile(whole, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def culprit(names: dict[str, Any]) -> tuple[str, Exception] | None:
    """Return the name of the first variable that cannot be pickled, and the error of that; None if there is none."""
    return next(((name, error) for name, value in names.items() if (error := error_of(value)) is not None), None)


def error_of(value: Any) -> Exception | None:
    """Return the error of pickling a value, None if it can be pickled."""
    try:
        nbactors.put(value)
    except Exception as error:  # noqa: BLE001 - any error of pickling
        return error
    return None
