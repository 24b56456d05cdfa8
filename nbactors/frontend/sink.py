"""The sink of a front end: it gets the output, displays, progress bars and breakpoints of workers.

A front end sets it by `Engine.set_sink`. Without a sink the engine prints the output itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from nbactors.frontend.bar import BarState

_COLOURS = (36, 35, 32, 33, 34)
"""Cyan, magenta, green, yellow and blue, in shades that a front end chooses for its background; red is for errors.
Processes that start one after the other get different colours."""


def prefix(label: str, pid: int, in_colour: bool) -> str:
    """Return the text in front of each line of a worker's output. One process always has the same colour."""
    if in_colour and not os.environ.get("NO_COLOR"):
        return f"\x1b[{_COLOURS[pid % len(_COLOURS)]}m({label} pid={pid})\x1b[0m "
    return f"({label} pid={pid}) "


class Output(NamedTuple):
    """Text that a worker wrote to stdout or stderr.

    Attributes:
        cell: The number of the calling cell, 0 for none; see `nbactors.frontend.calling_cell`.
        label: The name of the actor's class, of the actor, or of the task's function.
        stream: 1 for stdout, 2 for stderr.
        text: Whole lines, or an unfinished line at the end of its call.
        has_prefix: Whether each line on display begins with the `prefix` of its worker.
    """

    cell: int
    label: str
    pid: int
    stream: int
    text: str
    has_prefix: bool = True

    def lines(self, in_colour: bool) -> str:
        """Return the text as whole lines, each with its prefix if `has_prefix`."""
        text = self.text.removesuffix("\n")
        if not self.has_prefix:
            return f"{text}\n"
        head = prefix(self.label, self.pid, in_colour)
        return f"{head}{text}\n" if "\n" not in text else "".join(f"{head}{line}\n" for line in text.split("\n"))


class Display(NamedTuple):
    """A display: a MIME bundle, as IPython's `display` sends it.

    Attributes:
        update: Whether it replaces the display with the same `transient["display_id"]`.
        clear: "now" or "later" to clear the cell's output instead, at once or with the next display; else empty.
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
        connection: The socket of the worker's debugger. It sends JSON, one object a line: `text` to show, and `prompt`
            to ask for a command with, None where it asks for none. A command is a line of text. Closing the socket lets
            the call go on.
    """

    cell: int
    label: str
    pid: int
    where: str
    connection: Any


class Sink(Protocol):
    """The methods of a front end. Called on the leader's thread, which must not be held up."""

    def output(self, output: Output) -> None:
        """Show output."""

    def display(self, display: Display) -> None:
        """Show a display."""

    def bar(self, state: BarState) -> None:
        """Show the state of a bar."""

    def paused(self, paused: Paused) -> None:
        """Debug a call, now or later; close the connection in any case."""
