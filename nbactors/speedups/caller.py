"""The functions that make a call in its caller, end it there, and load its value; None without the compiled part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.speedups.form import compiled

__all__ = [
    "begin",
    "go_out",
    "know",
    "know_tasks",
    "load_atom",
    "load_atoms",
    "send_tasks",
    "settle",
    "split_one",
    "submit",
    "submit_task",
    "tell_answered",
]

if TYPE_CHECKING or compiled is not None:
    from nbactors.speedups._compiled import (
        begin,
        go_out,
        know,
        know_tasks,
        load_atom,
        load_atoms,
        send_tasks,
        settle,
        split_one,
        submit,
        submit_task,
        tell_answered,
    )
else:
    begin = go_out = know = know_tasks = load_atom = load_atoms = None
    send_tasks = settle = split_one = submit = submit_task = tell_answered = None
