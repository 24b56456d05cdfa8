"""The functions that make a call in its caller, end it there, and load its value; None without the compiled part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.speedups.form import compiled

__all__ = ["begin", "go_out", "know", "load_atom", "load_atoms", "send_task", "settle", "submit", "tell_answered"]

if TYPE_CHECKING or compiled is not None:
    from nbactors.speedups._compiled import (
        begin,
        go_out,
        know,
        load_atom,
        load_atoms,
        send_task,
        settle,
        submit,
        tell_answered,
    )
else:
    begin = go_out = know = load_atom = load_atoms = send_task = settle = submit = tell_answered = None
