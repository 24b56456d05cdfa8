"""IPython in workers, for calls that come from a notebook: `display`, figures and `get_ipython()` work there.

IPython takes long to import, so nothing of it is here until user code uses it: `display` and `get_ipython`, which code
in notebooks has without an import, are builtins that import it when they are called, and where user code imports it
itself, a shell is made once somebody asks whether there is one. What it displays goes to the cell that made the call.

In scripts there is no shell, so that IPython's own `display` prints.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from nbactors.local.wire import messages
from nbactors.local.worker.printing.import_hook import after_import

if TYPE_CHECKING:
    from nbactors.local.member import Process

MAX_CONTENT = 12 << 20
"""Bytes of what is displayed, as JSON. What is larger would be too much for the page as well."""

_SHELL = "IPython.core.interactiveshell"


def install(process: Process, end_lines: Callable[[], None]) -> None:
    """Take IPython over as soon as it is imported. Called once, on the main thread, before any user code runs.

    Args:
        process: Sends what is displayed.
        end_lines: Ends what the calling thread has printed so far, so that it is shown before.
    """
    sender = Sender(process, end_lines)
    after_import(_SHELL, lambda module: _make_on_demand(module, sender))


def add_builtins() -> None:
    """Have code find `display` and `get_ipython` as in a notebook. Called with the first call that comes from one."""
    for name, module in (("display", "IPython.display"), ("get_ipython", "IPython")):
        if not hasattr(builtins, name):
            setattr(builtins, name, _lazy(module, name))


def end_of_cell() -> None:
    """Show the figures that a cell has made and not shown, as a notebook does. The thread that has run it."""
    found = sys.modules.get(_SHELL)
    if found is not None and found.InteractiveShell._instance is not None and "matplotlib.pyplot" in sys.modules:
        found.InteractiveShell._instance.events.trigger("post_execute")


def _lazy(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`{module}.{name}`, which is imported when this is called."
    return call


class Sender:
    """Sends what is displayed to the cell that made the call. Any thread."""

    def __init__(self, process: Process, end_lines: Callable[[], None]) -> None:
        self._process = process
        self._end_lines = end_lines

    @property
    def is_called_by_notebook(self) -> bool:
        """Whether the calling code runs for a cell."""
        return bool(self._process.origin())

    def show(self, data: Any, metadata: Any, transient: Any, update: bool) -> None:
        """Show a bundle, or replace what was shown with the same display_id."""
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        packed = msgspec.json.encode(content, enc_hook=repr)
        if len(packed) > MAX_CONTENT:
            text = (
                f"<output of {len(packed) >> 20} MiB, more than the {MAX_CONTENT >> 20} MiB that a notebook is sent at "
                "once; return it, or write it to a file>"
            )
            content.update(data={"text/plain": text}, metadata={})
            packed = msgspec.json.encode(content, enc_hook=repr)
        self._send(packed, "update" if update else "show")

    def clear(self, wait: bool) -> None:
        """Clear what the cell shows."""
        self._send(b"{}", "clear later" if wait else "clear")

    def _send(self, content: bytes, action: str) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._end_lines()
        origin = self._process.origin()
        if self._process.reactor.in_background_thread():
            # A callback of a reference, for instance: this thread itself would have to read the answer.
            self._process.node.send_now(messages.Display(0, origin, content, action))
            return
        self._process.node.request(lambda rid: messages.Display(rid, origin, content, action))


def _make_on_demand(module: types.ModuleType, sender: Sender) -> None:
    """Have IPython make our shell when it, or user code, asks whether there is one."""
    base: Any = module.__dict__["InteractiveShell"]
    initialized = base.initialized
    is_making = False

    def initialized_now(cls: Any) -> bool:
        nonlocal is_making
        if base._instance is None and not is_making and sender.is_called_by_notebook:
            is_making = True
            try:
                from nbactors.local.worker.printing.ipython_shell import make  # noqa: PLC0415 - imports IPython

                make(sender)
            finally:
                is_making = False
        return bool(initialized.__func__(cls))

    base.initialized = classmethod(initialized_now)
