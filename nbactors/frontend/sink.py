"""What workers have to show in the notebook that called them, as a front end takes it.

An engine hands these to the sink that a front end has set (`Engine.set_sink`); without one it shows what it can itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from nbactors.frontend.bar import BarState

_COLOURS = (36, 35, 32, 33, 34)
"""Cyan, magenta, green, yellow and blue, which front ends choose to be readable on their background; red is for errors.
Processes that start one after the other get different ones."""


def prefix(label: str, pid: int, in_colour: bool) -> str:
    """Return what stands before a worker's line, in a colour that is always the same for one process."""
    if in_colour and not os.environ.get("NO_COLOR"):
        return f"\x1b[{_COLOURS[pid % len(_COLOURS)]}m({label} pid={pid})\x1b[0m "
    return f"({label} pid={pid}) "


class Output(NamedTuple):
    """Text that a worker wrote to stdout or stderr.

    Attributes:
        cell: Number of the cell that made the call, 0 for none; see `nbactors.frontend.calling_cell`.
        label: The actor's class name, or name, or the task's function name.
        stream: 1 for stdout, 2 for stderr.
        text: Whole lines, or an unfinished one at the end of its call.
        has_prefix: Whether each line on display begins with the `prefix` of its worker.
    """

    cell: int
    label: str
    pid: int
    stream: int
    text: str
    has_prefix: bool = True

    def lines(self, in_colour: bool) -> str:
        """Return the text as whole lines, with the prefix where they have it."""
        text = self.text.removesuffix("\n")
        if not self.has_prefix:
            return f"{text}\n"
        head = prefix(self.label, self.pid, in_colour)
        return f"{head}{text}\n" if "\n" not in text else "".join(f"{head}{line}\n" for line in text.split("\n"))


class Display(NamedTuple):
    """Rich output, as IPython's `display` gives it.

    Attributes:
        update: Whether it replaces what was shown with the same `transient["display_id"]`.
        clear: Not empty if what the cell shows is cleared instead: "now", or "later", by what comes next.
    """

    cell: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    transient: dict[str, Any]
    update: bool
    clear: str = ""


class Paused(NamedTuple):
    """A call that has come to a `breakpoint()` and waits for a debugger.

    Attributes:
        where: File, line and function.
        connection: To the debugger there. It sends JSON, one object a line: `text` to show, and in `prompt` what to ask
            with, None if nothing is asked; answers are lines of text. Closing it lets the call go on.
    """

    cell: int
    label: str
    pid: int
    where: str
    connection: Any


class Sink(Protocol):
    """What a front end does with it. Called on the leader's thread, which must not be held up."""

    def output(self, output: Output) -> None:
        """Show text."""

    def display(self, display: Display) -> None:
        """Show rich output."""

    def bar(self, state: BarState) -> None:
        """Show how far a bar is."""

    def paused(self, paused: Paused) -> None:
        """Debug it, at some time; close the connection in any case."""
