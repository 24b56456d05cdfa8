"""`counter.add?`, `counter.add.remote?` and Shift-Tab show the user's own signature and docstring.

`.remote` is one plain method of every actor method, since it is on the path of each call; what is particular to one is
put in when somebody asks.
"""

from __future__ import annotations

import inspect
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter.help import remote_call

_OF_THE_WRAPPER = ("call_def", "call_docstring", "class_docstring", "init_docstring", "string_form", "file", "source")


def watch(shell: InteractiveShell) -> None:
    """Have the shell's inspector know remote calls. Calling it again does nothing. On the main thread."""
    inspector = getattr(shell, "inspector", None)
    if inspector is None or getattr(inspector, "knows_remote_calls", False):
        return
    kind: type = _knowing(type(inspector))
    # IPython before 9 makes a new inspector when its colours change.
    shell.inspector_class = kind
    inspector.__class__ = kind


def _knowing(base: Any) -> type:
    """Return the inspector's class, with remote calls put right."""

    class Inspector(base):
        """IPython's, which also knows remote calls."""

        knows_remote_calls = True

        def info(self, obj: Any, oname: str = "", info: Any = None, detail_level: int = 0) -> Any:
            """Return what is known of an object, as IPython's `info`. On the main thread, or a subshell's."""
            found = super().info(obj, oname=oname, info=info, detail_level=detail_level)
            call = remote_call.of(obj)
            return found if call is None else _put_right(found, call, oname, detail_level)

    return Inspector


def _put_right(found: Any, call: remote_call.RemoteCall, name: str, detail_level: int) -> Any:
    """Replace what IPython has found out about our wrapper by what is the user's."""
    found.update(dict.fromkeys(_OF_THE_WRAPPER))
    label = name if name.endswith(".remote") else f"{name}.remote"
    found["definition"] = f"{label}{call.signature}"
    found["docstring"] = call.doc or "<no docstring>"
    if call.code is not None:
        try:
            found["file"] = inspect.getfile(call.code)
            found["source"] = inspect.getsource(call.code).rstrip() if detail_level else None
        except (OSError, TypeError):  # its source is nowhere
            pass
    return found
