"""What a session that starts in IPython looks after, also without the extension loaded."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from nbactors.jupyter import completion, debugging, hints, history, inspection, output, post_mortem, stopping


def watch(shell: InteractiveShell) -> None:
    """Look after the shell's history, errors, completion, help and output. On the thread that starts a session."""
    for part in (history, hints, completion, inspection, output, stopping, post_mortem, debugging):
        part.watch(shell)
