"""The hooks that a session sets in IPython when it starts, also if the extension is not loaded."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter.cell_output import sink
from nbactors.jupyter.failures import hints, post_mortem, waiting_breakpoints
from nbactors.jupyter.help import completion, inspection
from nbactors.jupyter.kernel import history, stop_button


def watch(shell: InteractiveShell) -> None:
    """Set the hooks for history, errors, completion, help and output. On the thread that starts a session."""
    for part in (history, hints, completion, inspection, sink, stop_button, post_mortem, waiting_breakpoints):
        part.watch(shell)
