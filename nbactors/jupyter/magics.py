"""The registry of the magics, loaded by `%load_ext nbactors`. Each group of magics has a file of its own."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter import history
from nbactors.jupyter.actor_magics import ActorMagics


def load(shell: InteractiveShell) -> None:
    """Register the magics with IPython. Called by `%load_ext nbactors`, on the main thread."""
    shell.register_magics(ActorMagics)
    history.watch(shell)
