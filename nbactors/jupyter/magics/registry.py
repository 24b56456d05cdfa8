"""The registry of the magics, loaded by `%load_ext nbactors`. Each group of magics has a file of its own."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter.help import completion, inspection
from nbactors.jupyter.kernel import history
from nbactors.jupyter.magics.actor import ActorMagics
from nbactors.jupyter.magics.actor_control import ControlMagics
from nbactors.jupyter.magics.debugger import DebugMagics
from nbactors.jupyter.magics.logs import LogMagics
from nbactors.jupyter.magics.on import OnMagics
from nbactors.jupyter.magics.remote import RemoteMagics

GROUPS = (ActorMagics, ControlMagics, DebugMagics, LogMagics, OnMagics, RemoteMagics)


def load(shell: InteractiveShell) -> None:
    """Register the magics with IPython. Called by `%load_ext nbactors`, on the main thread."""
    for group in GROUPS:
        shell.register_magics(group)
    completion.complete_magics(shell, [name for group in GROUPS for name in _names(group)])
    history.watch(shell)
    completion.watch(shell)
    inspection.watch(shell)


def _names(group: type) -> list[str]:
    """Return the names of a group's magics, with their percent signs."""
    magics = group.magics  # type: ignore[attr-defined] # put there by @magics_class
    return [f"{'%%' if kind == 'cell' else '%'}{name}" for kind in ("line", "cell") for name in magics[kind]]
