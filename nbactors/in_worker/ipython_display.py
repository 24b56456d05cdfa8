"""IPython in workers, for the calls of a notebook: `display`, figures and `get_ipython()` work in them.

IPython takes long to import, so a worker imports it only for user code that uses it. `display` and `get_ipython`, which
code in notebooks has without an import, are builtins that import IPython when they are called. Where user code imports
IPython itself, the worker makes a shell when IPython first looks for one. Displays go to the calling cell.

In scripts there is no shell, so that IPython's own `display` prints.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any, Protocol

from nbactors.in_worker.import_hook import after_import

MAX_CONTENT = 12 << 20
"""Bytes of a display as JSON. A larger one would be too much for the page as well."""

_SHELL = "IPython.core.interactiveshell"
_WIDGETS = "ipywidgets.widgets.widget"


def install(sender: Sender) -> None:
    """Take IPython over as soon as it is imported. Called once, on the main thread, before any user code runs."""
    after_import(_SHELL, lambda module: _make_on_demand(module, sender))
    after_import(_WIDGETS, _show_as_text)


def add_builtins() -> None:
    """Make `display` and `get_ipython` builtins, as in a notebook. Called before the first call of a cell."""
    for name, module in (("display", "IPython.display"), ("get_ipython", "IPython")):
        if not hasattr(builtins, name):
            setattr(builtins, name, _lazy(module, name))


def shell_of_process() -> Any:
    """Return the shell of this process. Called by pickle for the shell of a notebook, whose code names it.

    A worker of Ray unpickles code before a call begins, when it has no shell yet. It gets a stand-in.
    """
    found = importlib.import_module("IPython").get_ipython()
    return _LaterShell() if found is None else found


class _LaterShell:
    """Stands for a shell that is made when it is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # pickle and copy ask for these
            raise AttributeError(name)
        shell = importlib.import_module("IPython").get_ipython()
        if shell is None:
            raise AttributeError(f"{name}: there is no IPython shell here, since no call of a notebook runs")
        return getattr(shell, name)


def end_of_cell() -> None:
    """Show the figures that a cell has left unshown, as a notebook does. On the thread that has run the cell."""
    found = sys.modules.get(_SHELL)
    if found is not None and found.InteractiveShell._instance is not None and "matplotlib.pyplot" in sys.modules:
        found.InteractiveShell._instance.events.trigger("post_execute")


def _lazy(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`{module}.{name}`, which is imported when this is called."
    return call


class Sender(Protocol):
    """Sends displays to the calling cell. Any thread."""

    @property
    def is_called_by_notebook(self) -> bool:
        """Whether the calling code runs in a call of a cell."""

    def show(self, data: Any, metadata: Any, transient: Any, update: bool) -> None:
        """Show a MIME bundle; with `update`, in place of the display with the same display_id."""

    def clear(self, wait: bool) -> None:
        """Clear the cell's output: at once, or with `wait` when the next display comes."""


def too_large(size: int) -> dict[str, Any]:
    """Return what shows in place of a display of `size` bytes, which are more than `MAX_CONTENT`."""
    return {
        "text/plain": f"<output of {size >> 20} MiB, more than the {MAX_CONTENT >> 20} MiB that a notebook is sent at "
        "once; return it, or write it to a file>"
    }


def _make_on_demand(module: types.ModuleType, sender: Sender) -> None:
    """Make the worker's shell when IPython or user code asks whether there is a shell."""
    base: Any = module.__dict__["InteractiveShell"]
    initialized = base.initialized
    is_making = False

    def initialized_now(cls: Any) -> bool:
        nonlocal is_making
        if base._instance is None and not is_making and sender.is_called_by_notebook:
            is_making = True
            try:
                from nbactors.in_worker.ipython_shell import make  # noqa: PLC0415 - imports IPython

                make(sender)
            finally:
                is_making = False
        return bool(initialized.__func__(cls))

    base.initialized = classmethod(initialized_now)


def _show_as_text(module: types.ModuleType) -> None:
    """Make widgets show as text: their models live in this process, where no front end finds them."""
    module.__dict__["Widget"]._repr_mimebundle_ = lambda widget, **_: {"text/plain": repr(widget)}
