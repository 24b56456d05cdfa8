"""Reads the arguments on the line of a magic, and the variables that they may name."""

from __future__ import annotations

import argparse
import difflib
import keyword
import re
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic_arguments import parse_argstring

_LONGEST = 100
"""Characters of what a message tells to write. The options of a longer one are not named."""


def parsed(magic: Callable[..., Any], line: str) -> argparse.Namespace:
    """Return the arguments of a magic that is declared with `@magic_arguments()`.

    Raises:
        UsageError: The arguments are wrong. The message says what to write.
    """
    try:
        arguments: argparse.Namespace = parse_argstring(magic, line)
    except ValueError as error:
        raise UsageError(f"{_name(magic)}: {line!r}: {error}") from None
    except UsageError as error:
        raise UsageError(f"{_name(magic)}: {error}; {_advice(magic, str(error))}") from None
    return arguments


def _name(magic: Any) -> str:
    """Return the name of a magic as its user writes it."""
    name: str = magic.__name__
    return f"%%{name}" if name in magic.__self__.magics["cell"] else f"%{name}"


def _advice(magic: Any, error: str) -> str:
    """Return what to write instead of a line that is wrong."""
    name, parser = _name(magic), magic.parser
    known = {option.strip("-"): option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        known.update({value: f"{action.option_strings[-1]} {value}" for value in action.choices or ()})
    unknown = error.partition("unrecognized arguments: ")[2].split()
    words = [word.partition("=")[0].strip("-") for word in unknown]
    near = [known[match] for word in words for match in difflib.get_close_matches(word, known, n=1)]
    if near:
        return f"did you mean {' '.join(near)}? {name}? lists the options"
    usage = " ".join([name, *parser.format_usage().split()[2:]])
    if len(usage) > _LONGEST:
        usage = re.sub(r"( \[-[^]]*\])+", " [options]", usage)
    return f"write {usage}; {name}? tells more"


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
