"""Where calls come from: the cell of a notebook whose output area is to show what they print.

A front end numbers its cells and says which one runs; a number is good for one session. 0 stands for none, as in a
script. Calls take the number of the cell that made them along, and hand it on to what they call.
"""

from __future__ import annotations

from contextvars import ContextVar

_cell: ContextVar[int] = ContextVar("nbactors_cell", default=0)
_latest = 0


def enter(number: int) -> None:
    """Say that a cell runs, from now on and in this context: asyncio tasks that it starts are its own for good.

    Threads, which begin in a context of their own, are taken for the latest cell's. Called before each cell, on the
    thread that runs it.
    """
    global _latest
    _latest = number
    _cell.set(number)


def current() -> int:
    """Return the number of the cell that the calling code belongs to, 0 for none. Any thread."""
    return _cell.get() or _latest
