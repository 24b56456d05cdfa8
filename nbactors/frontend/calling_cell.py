"""The calling cell: the notebook cell that has made a call, and shows its output.

A front end numbers its cells and says which one runs. A number is valid in one session; 0 stands for no cell, as in a
script. Each call carries the number of its cell, and so do the calls that it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_cell: ContextVar[int] = ContextVar("nbactors_cell", default=0)
_latest = 0

id_of: Callable[[int], str] | None = None
"""Set by the front end. Returns its id of a cell by the cell's number, empty if it has none. Any thread."""


def enter(number: int) -> None:
    """Make a cell the calling one, in this context: asyncio tasks that the cell starts inherit the context and keep it.

    A thread begins in an empty context, so its calls count for the latest cell. Called before each cell, on the thread
    that runs it.
    """
    global _latest
    _latest = number
    _cell.set(number)


def current() -> int:
    """Return the number of the cell that the calling code belongs to, 0 for none. Any thread."""
    return _cell.get() or _latest
