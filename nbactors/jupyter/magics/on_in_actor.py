"""What `%%on` runs in an actor's process."""

from __future__ import annotations

import asyncio
import inspect
import linecache
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from types import CodeType
from typing import Any

import nbactors
from nbactors.frontend.user_code import lets_through
from nbactors.jupyter.magics.remote_in_worker import VALUE, mimebundle, shell_of
from nbactors.local.worker.printing.ipython_display import end_of_cell

_space: dict[str, Any] = {}
"""The names that cells have assigned in this process, which is one actor's."""


class NotSendable(TypeError):
    """The value of a cell's last expression cannot be sent to the notebook."""


@dataclass(frozen=True)
class OnCell:
    """A cell on its way to an actor.

    Attributes:
        code: Its compiled code.
        filename, source: Where its lines are looked up for tracebacks.
        names: What it is given of the notebook.
        keeps: Whether its value is wanted, not only how it looks.
        shows: Whether it is wanted how its value looks.
        on_loop: Whether it runs on the actor's event loop.
    """

    code: CodeType
    filename: str
    source: str
    names: dict[str, Any]
    keeps: bool
    shows: bool
    on_loop: bool


@lets_through
def run(instance: Any, cell: OnCell) -> Any:
    """Run a cell; return a reference to its value, None if that is not wanted, and how the value looks.

    On the thread that runs the actor's calls, or one of its own. On an event loop a coroutine of it if it awaits.
    """
    lines = cell.source.splitlines(keepends=True)
    linecache.cache[cell.filename] = (len(cell.source), None, lines, cell.filename)
    space = _space
    space.setdefault("__name__", "__main__")
    space.update(cell.names)
    space["self"] = instance
    space.pop(VALUE, None)
    if "get_ipython" in cell.code.co_names:
        space.setdefault("get_ipython", lambda: shell_of(space))
    outcome = eval(cell.code, space)
    if inspect.iscoroutine(outcome):
        if cell.on_loop:
            return _await(outcome, space, cell)
        asyncio.run(outcome)
    return _result(space, cell)


async def _await(outcome: Coroutine[Any, Any, Any], space: dict[str, Any], cell: OnCell) -> Any:
    await outcome
    return _result(space, cell)


@lets_through
def _result(space: dict[str, Any], cell: OnCell) -> tuple[Any, dict[str, Any]]:
    """Return what `run` returns. What it looks like is asked now: it may change as soon as the next call runs."""
    value = space.pop(VALUE, None)
    end_of_cell()
    shown = _looks(value) if cell.shows and value is not None else {}
    if not cell.keeps:
        return None, shown
    try:
        return nbactors.put(value), shown
    except Exception as error:  # noqa: BLE001 - whatever pickling it raises
        raise NotSendable(f"the value, a {type(value).__name__}, cannot be sent to the notebook: {error}") from None


def _looks(value: Any) -> dict[str, Any]:
    """Return how a value looks: by IPython's formatters where user code has made it use them, for instance figures."""
    found = sys.modules.get("IPython.core.interactiveshell")
    if found is None or found.InteractiveShell._instance is None:
        return mimebundle(value)
    data, metadata = found.InteractiveShell._instance.display_formatter.format(value)
    return {"data": data, "metadata": metadata} if data else {}
