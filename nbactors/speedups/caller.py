"""The functions that make a call in its caller, and end it there; None without the compiled part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.speedups.form import compiled

__all__ = ["begin", "go_out", "know", "know_tasks", "send_tasks", "settle", "split_one", "submit", "submit_task"]

if TYPE_CHECKING or compiled is not None:
    from nbactors.speedups._compiled import (
        begin,
        go_out,
        know,
        know_tasks,
        send_tasks,
        settle,
        split_one,
        submit,
        submit_task,
    )
else:
    begin = go_out = know = know_tasks = send_tasks = settle = split_one = submit = submit_task = None
