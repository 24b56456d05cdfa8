"""Numbers the cells of this kernel, and sends messages that show under a given cell, whichever cell runs now."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.frontend import calling_cell

KEPT = 10_000
"""Cells that are remembered. Output, displays and bars of older cells are not shown under them."""

_numbers = itertools.count(1)
_headers: OrderedDict[int, dict[str, Any]] = OrderedDict()
_shell: Any = None


def watch(shell: InteractiveShell) -> None:
    """Number the cells that this kernel runs from now on. Calling it again does nothing. On the main thread."""
    global _shell
    if _shell is not None or getattr(shell, "kernel", None) is None:
        return
    _shell = shell
    shell.events.register("pre_run_cell", _enter)
    _enter(None)


def _enter(_info: Any) -> None:
    """Number the cell that begins. On the thread that runs it."""
    header = _shell.get_parent()
    if not header:
        return
    number = next(_numbers)
    _headers[number] = header
    if len(_headers) > KEPT:
        _headers.popitem(last=False)
    calling_cell.enter(number)


def header(number: int) -> dict[str, Any] | None:
    """Return the header of the message that started a cell, None if the cell is not known any more. Any thread."""
    return _headers.get(number)


def publish(number: int, msg_type: str, content: dict[str, Any]) -> bool:
    """Send a message that front ends show under a cell. Any thread. Returns whether that cell is known."""
    parent = header(number)
    if parent is None or _shell is None:
        return False
    kernel = _shell.kernel
    kernel.session.send(kernel.iopub_socket, msg_type, content, parent=parent, ident=msg_type.encode())
    return True
