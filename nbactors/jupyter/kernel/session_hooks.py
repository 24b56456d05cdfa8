"""The hooks that a session sets in IPython when it starts, also if the extension is not loaded."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter.cell_output import sink
from nbactors.jupyter.failures import hints, post_mortem, tracebacks, unmade_actors, waiting_breakpoints
from nbactors.jupyter.help import completion, inspection
from nbactors.jupyter.kernel import history, shutdown, stop_button
from nbactors.jupyter.panels import display


def watch(shell: InteractiveShell) -> None:
    """Set the hooks for history, errors, completion, help, output and endings. On the thread that starts a session."""
    parts = (
        history,
        hints,
        completion,
        inspection,
        sink,
        stop_button,
        shutdown,
        post_mortem,
        tracebacks,
        unmade_actors,
        waiting_breakpoints,
        display,
    )
    for part in parts:
        part.watch(shell)
