"""Reads the arguments on the line of a magic, and the variables that they may name."""

from __future__ import annotations

import argparse
import keyword
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic_arguments import parse_argstring


def parsed(magic: Callable[..., Any], line: str) -> argparse.Namespace:
    """Return the arguments of a magic that is declared with `@magic_arguments()`.

    Raises:
        UsageError: The arguments are wrong.
    """
    try:
        arguments: argparse.Namespace = parse_argstring(magic, line)
    except ValueError as error:
        raise UsageError(f"{line!r}: {error}") from None
    return arguments


def unquoted(text: str) -> str:
    """Return an argument without the quotes around it, which IPython leaves there."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def variables(shell: InteractiveShell) -> list[tuple[str, Any]]:
    """Return the user's own variables, without IPython's history: names and values."""
    everything = list(shell.user_ns.items())
    return [(name, value) for name, value in everything if not name.startswith("_") and name not in ("In", "Out")]


def is_variable(text: str) -> bool:
    """Return whether a variable can have this name."""
    return text.isidentifier() and not keyword.iskeyword(text)
