"""The registry of the magics, loaded by `%load_ext nbactors`. Each group of magics has a file of its own."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.jupyter.failures import tracebacks
from nbactors.jupyter.help import completion, inspection
from nbactors.jupyter.kernel import history
from nbactors.jupyter.magics import trace
from nbactors.jupyter.magics.actor import ActorMagics
from nbactors.jupyter.magics.actor_control import ControlMagics
from nbactors.jupyter.magics.debugger import DebugMagics
from nbactors.jupyter.magics.inbox import InboxMagics
from nbactors.jupyter.magics.logs import LogMagics
from nbactors.jupyter.magics.on import OnMagics
from nbactors.jupyter.magics.remote import RemoteMagics
from nbactors.jupyter.magics.trace import TraceMagics

GROUPS = (ActorMagics, ControlMagics, DebugMagics, InboxMagics, LogMagics, OnMagics, RemoteMagics, TraceMagics)


def load(shell: InteractiveShell) -> None:
    """Register the magics with IPython. Called by `%load_ext nbactors`, on the main thread."""
    for group in GROUPS:
        shell.register_magics(group)
    completion.complete_magics(shell, [name for group in GROUPS for name in _names(group)])
    trace.watch(shell)
    history.watch(shell)
    completion.watch(shell)
    inspection.watch(shell)
    tracebacks.watch(shell)


def unload(shell: InteractiveShell) -> None:
    """Remove the magics, and the hooks that no session needs. Called by `%unload_ext`, on the main thread.

    A session that runs keeps its hooks, which it has set itself where the extension was not loaded.
    """
    trace.unwatch(shell)
    names = [name for group in GROUPS for name in _names(group)]
    completion.forget_magics(shell, names)
    for name in names:
        shell.magics_manager.magics["cell" if name.startswith("%%") else "line"].pop(name.lstrip("%"), None)
    for group in GROUPS:
        shell.magics_manager.registry.pop(group.__name__, None)
    if not nbactors.is_initialized():
        for part in (history, completion, inspection):
            part.unwatch(shell)


def _names(group: type) -> list[str]:
    """Return the names of a group's magics, with their percent signs."""
    magics = group.magics  # type: ignore[attr-defined] # put there by @magics_class
    return [f"{'%%' if kind == 'cell' else '%'}{name}" for kind in ("line", "cell") for name in magics[kind]]
