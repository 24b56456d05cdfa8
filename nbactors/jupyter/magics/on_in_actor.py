"""Runs the cell of `%%on` in an actor's process."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Coroutine
from typing import Any

import nbactors
from nbactors.frontend.user_code import lets_through
from nbactors.in_worker.ipython_display import end_of_cell
from nbactors.jupyter.magics.remote_in_worker import VALUE, SentCell, mimebundle

_space: dict[str, Any] = {}
"""The names that cells have assigned in this process, which belongs to one actor."""


_filled: dict[str, Any] = {}
"""The globals of the actor's class that cells have not replaced, with the values that the cells see."""

_missing = object()


class NotSendable(TypeError):
    """The value of a cell's last expression cannot be sent to the notebook."""


@lets_through
def run(instance: Any, cell: SentCell, on_loop: bool) -> Any:
    """Run a cell; return a reference to its value, None if the notebook does not want it, and how to show the value.

    On the thread that runs the actor's calls, or on a thread of its own. On the event loop of an asyncio actor
    (`on_loop`) a cell that awaits becomes a coroutine, which is returned.
    """
    space = _space
    space.setdefault("__name__", "__main__")
    _fill(space, type(instance))
    space.update(cell.names)
    space["self"] = instance
    space.pop(VALUE, None)
    outcome = cell.start(space)
    if inspect.iscoroutine(outcome):
        if on_loop:
            return _await(outcome, space, cell)
        asyncio.run(outcome)
    return _result(space, cell)


def attributes(instance: Any, path: list[str]) -> list[str]:
    """Return the attributes of ``self.a.b``, for `path` ``["a", "b"]``. It runs no property of the user's."""
    value = instance
    for name in path:
        value = inspect.getattr_static(value, name)
    return dir(value)


def _fill(space: dict[str, Any], cls: type) -> None:
    """Let cells see the globals that the actor's class uses, as they are now, under names that no cell has assigned."""
    for name, value in _globals_of(cls).items():
        known = space.get(name, _missing)
        if known is _missing or (name in _filled and _filled[name] is known):
            space[name] = _filled[name] = value


def _globals_of(cls: type) -> dict[str, Any]:
    """Return the globals of a class: those of its modules, and of the methods of a class that was sent by value."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):
        # The module of a class that was sent by value is `__main__`, which is another one here.
        if base.__module__ != "__main__" and base.__module__ in sys.modules:
            found.update(vars(sys.modules[base.__module__]))
        for member in vars(base).values():
            function = inspect.unwrap(getattr(member, "__func__", None) or getattr(member, "fget", None) or member)
            found.update(getattr(function, "__globals__", {}))
    return {name: value for name, value in found.items() if not (name.startswith("__") and name.endswith("__"))}


async def _await(outcome: Coroutine[Any, Any, Any], space: dict[str, Any], cell: SentCell) -> Any:
    await outcome
    return _result(space, cell)


@lets_through
def _result(space: dict[str, Any], cell: SentCell) -> tuple[Any, dict[str, Any]]:
    """Return the result of `run`. The value is formatted now, since the next call may change it."""
    value = space.pop(VALUE, None)
    end_of_cell()
    shown = _looks(value) if cell.shows and value is not None else {}
    if not cell.keeps:
        return None, shown
    try:
        return nbactors.put(value), shown
    except Exception as error:  # noqa: BLE001 - any error of pickling
        raise NotSendable(f"the value, a {type(value).__name__}, cannot be sent to the notebook: {error}") from None


def _looks(value: Any) -> dict[str, Any]:
    """Return a value's MIME bundle: by IPython's formatters if user code has imported IPython, as for figures."""
    found = sys.modules.get("IPython.core.interactiveshell")
    if found is None or found.InteractiveShell._instance is None:
        return mimebundle(value)
    data, metadata = found.InteractiveShell._instance.display_formatter.format(value)
    return {"data": data, "metadata": metadata} if data else {}
