"""Makes IPython's output history hold handles weakly, so that it keeps no actor alive.

IPython keeps every result in `Out`, `_` and `_12`. A handle that was a cell's result would keep its actor alive until
the kernel ends, whatever the user deletes. So when the next cell has run, weak references replace the handles in the
history. `Out[12].method.remote()` works as long as a variable of the user's keeps the actor.
"""

from __future__ import annotations

import weakref
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.actor import ActorHandle

_UNDERSCORES = ("_", "__", "___")


class ShownHandles:
    """Replaces a container of handles in the history: has its repr, and holds no handle."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Watch:
    """The callback, one for each shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def post_run_cell(self, _result: Any) -> None:
        """Weaken the results of all cells but the latest, which the next cell may use as `_`. On the main thread."""
        outputs = self._shell.user_ns.get("_oh", {})
        latest = self._shell.execution_count - 1
        for number in [number for number in outputs if number < latest]:
            weak = _weakened(outputs[number])
            if weak is not None:
                self._replace(number, outputs[number], weak)

    def _replace(self, number: int, value: Any, weak: Any) -> None:
        shell = self._shell
        shell.user_ns["_oh"][number] = weak
        for namespace in (shell.user_ns, shell.user_ns_hidden):
            for name in (f"_{number}", *_UNDERSCORES):
                if namespace.get(name) is value:
                    namespace[name] = weak
        for name in _UNDERSCORES:
            if getattr(shell.displayhook, name, None) is value:
                setattr(shell.displayhook, name, weak)


def watch(shell: InteractiveShell) -> None:
    """Keep the shell's history from keeping actors alive. Calling it again does nothing. On the main thread."""
    if getattr(shell, "_nbactors_history", None) is None:
        callback = _Watch(shell)
        shell.events.register("post_run_cell", callback.post_run_cell)
        shell._nbactors_history = callback


def unwatch(shell: InteractiveShell) -> None:
    """Undo `watch`. On the main thread."""
    callback = getattr(shell, "_nbactors_history", None)
    if callback is not None:
        shell.events.unregister("post_run_cell", callback.post_run_cell)
        shell._nbactors_history = None


def _weakened(value: Any) -> Any:
    """Return a replacement for `value` that holds no handle strongly, or None if `value` holds no handle.

    Containers are searched one level deep, which covers the usual `[Counter.remote() for _ in range(10)]`.
    """
    # Not isinstance: a weak proxy passes for an instance of its referent's class.
    if type(value) is ActorHandle:
        return weakref.proxy(value)
    items = value.values() if type(value) is dict else value if type(value) in (list, tuple, set, frozenset) else ()
    if any(type(item) is ActorHandle for item in items):
        return ShownHandles(repr(value))
    return None
