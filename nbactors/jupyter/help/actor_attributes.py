"""Completion of `self.` in cells of `%%on`: the attributes that the instance has in the actor's process."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.actor import ActorHandle
from nbactors.jupyter.magics import on_in_actor
from nbactors.jupyter.magics.magic_line import unquoted
from nbactors.util import inside

ANSWER_S = 0.5
"""Seconds to wait for the actor's process. If it does not answer, the methods of the class are completed."""

_LINE = re.compile(r"\s*%%on\s+(?P<actor>[^-].*?)(?:\s+-.*)?$")
_SELF = re.compile(r"\bself(?P<path>(?:\.\w+)*)\.\w*$")


def completions(shell: InteractiveShell, cell: str, before: str) -> list[str]:
    """Return the attributes that may follow the last dot before the cursor; none outside of `self.` in a `%%on` cell.

    Args:
        shell: The notebook's.
        cell: The text of the cell.
        before: The cursor's line up to the cursor.
    """
    line, found = _LINE.match(cell.lstrip().partition("\n")[0]), _SELF.search(before)
    handle = _handle(shell, line["actor"]) if line is not None and found is not None else None
    if handle is None or found is None:
        return []
    path = found["path"].split(".")[1:]
    try:
        ref = inside.run_inside(handle, on_in_actor.attributes, path, now=True, name="completion")
        names: list[str] = nbactors.get(ref, timeout=ANSWER_S)
    except Exception:  # noqa: BLE001 - a completion never fails
        return [] if path else sorted(handle._meta.methods)
    return names


def _handle(shell: InteractiveShell, text: str) -> ActorHandle[Any] | None:
    """Return the actor that a line of `%%on` means, of a list the first one. It runs no code of the user's."""
    value = shell.user_ns.get(text.strip("[]() ").partition(",")[0].strip())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)) and value:
        value = value[0]
    if isinstance(value, ActorHandle):
        return value
    try:
        return nbactors.get_actor(unquoted(text)) if nbactors.is_initialized() else None
    except Exception:  # noqa: BLE001 - a completion never fails
        return None
