"""IPython's output history without the actors: a handle that a cell showed does not live for ever because of it.

IPython keeps every result in `Out`, `_` and `_12`. A handle that was a cell's result would keep its actor alive until
the kernel ends, whatever the user deletes. So when the next cell has run, the history's strong references to handles
become weak ones; `Out[12].method.remote()` works as long as the user's own variables keep the actor.
"""

from __future__ import annotations

import weakref
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.actor import ActorHandle

_UNDERSCORES = ("_", "__", "___")


class ShownHandles:
    """Stands in the history for a container of handles: shows what was shown, and holds nothing."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Watch:
    """The callback, one for each shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def post_run_cell(self, _result: Any) -> None:
        """Weaken what earlier cells showed; this cell's own result stays for the next. On the main thread."""
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


def _weakened(value: Any) -> Any:
    """Return what holds no handle strongly and stands for `value`, or None if `value` holds none.

    Containers are looked into one level deep: `[Counter.remote() for _ in range(10)]` is what people write.
    """
    # A weak proxy says it is an instance of what it stands for.
    if type(value) is ActorHandle:
        return weakref.proxy(value)
    items = value.values() if type(value) is dict else value if type(value) in (list, tuple, set, frozenset) else ()
    if any(type(item) is ActorHandle for item in items):
        return ShownHandles(repr(value))
    return None
