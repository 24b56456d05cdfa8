"""Help on remote calls: `counter.add?`, `counter.add.remote?` and Shift-Tab show the user's signature and docstring.

All actor methods share one plain method `.remote`, since it is on the path of each call. Its help is made on request.
"""

from __future__ import annotations

import inspect
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter.help import remote_call

_OF_THE_WRAPPER = ("call_def", "call_docstring", "class_docstring", "init_docstring", "string_form", "file", "source")


def watch(shell: InteractiveShell) -> None:
    """Make the shell's inspector know remote calls. Calling it again does nothing. On the main thread."""
    inspector = getattr(shell, "inspector", None)
    if inspector is None or getattr(inspector, "knows_remote_calls", False):
        return
    kind: type = _knowing(type(inspector))
    # IPython before 9 makes a new inspector when its colours change.
    shell.inspector_class = kind
    inspector.__class__ = kind


def unwatch(shell: InteractiveShell) -> None:
    """Undo `watch`. On the main thread."""
    inspector = getattr(shell, "inspector", None)
    if getattr(inspector, "knows_remote_calls", False):
        plain = type(inspector).__mro__[1]
        shell.inspector_class = inspector.__class__ = plain


def _knowing(base: Any) -> type:
    """Return a subclass of an inspector's class that knows remote calls."""

    class Inspector(base):
        """IPython's inspector, which also knows remote calls."""

        knows_remote_calls = True

        def info(self, obj: Any, oname: str = "", info: Any = None, detail_level: int = 0) -> Any:
            """See IPython's `info`. On the main thread, or a subshell's."""
            found = super().info(obj, oname=oname, info=info, detail_level=detail_level)
            call = remote_call.of(obj)
            return found if call is None else _put_right(found, call, oname, detail_level)

    return Inspector


def _put_right(found: Any, call: remote_call.RemoteCall, name: str, detail_level: int) -> Any:
    """Replace the facts that IPython has found about our wrapper by those of the user's code."""
    found.update(dict.fromkeys(_OF_THE_WRAPPER))
    label = name if name.endswith(".remote") else f"{name}.remote"
    found["definition"] = f"{label}{call.signature}"
    found["docstring"] = call.doc or "<no docstring>"
    if call.code is not None:
        try:
            found["file"] = inspect.getfile(call.code)
            found["source"] = inspect.getsource(call.code).rstrip() if detail_level else None
        except (OSError, TypeError):  # it has no source
            pass
    return found
