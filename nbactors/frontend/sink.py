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
    """A call that has come to a `breakpoint()` and waits for a debugger, or to an `input()` and waits for an answer.

    Attributes:
        where: File, line and function; or the call of `input`.
        connection: A socket of the worker. A debugger first reads a line of JSON: an object with the code of the
            notebook's cells by their file names. The worker sends JSON, one object a line: `text` to show, and `prompt`
            to ask for a command with, None where it asks for none. A command is a line of text. Closing the socket lets
            the call go on.
        asks: Whether it has come to an `input()`, which asks once. Without an answer it raises EOFError.
    """

    cell: int
    label: str
    pid: int
    where: str
    connection: Any
    asks: bool = False


class Unmade(NamedTuple):
    """An actor that is dead, since its constructor has raised or its process could not be prepared.

    Attributes:
        actor_id: In hexadecimal digits.
        text: Why; of a constructor that raised, the name of the call and the traceback.
    """

    cell: int
    actor_id: str
    class_name: str
    text: str


HELD, READ, DROPPED = "held", "read", "dropped"
"""What becomes of an unread error. READ and DROPPED follow HELD, and are final."""


class UnreadError(NamedTuple):
    """The error of a failed call that no code has read.

    Attributes:
        call: The name of the called method or function, such as `Counter.increment`.
        kind: The type of the exception.
        error: The exception, in one line.
        text: The traceback in the other process; for an error of the runtime its text.
        pid: The process that raised it; 0 for an error of the runtime.
    """

    cell: int
    call: str
    kind: str
    error: str
    text: str
    pid: int = 0


class Sink(Protocol):
    """The methods of a front end. Called on the leader's thread, which must not be held up."""

    def output(self, output: Output) -> None:
        """Show output."""

    def display(self, display: Display) -> None:
        """Show a display."""

    def bar(self, state: BarState) -> None:
        """Show the state of a bar."""

    def unmade(self, unmade: Unmade) -> None:
        """Show the failure of an actor's constructor."""

    def unread(self, error: UnreadError, state: str) -> None:
        """Show a failed call: HELD while a reference to its result is left, then READ or DROPPED."""

    def paused(self, paused: Paused) -> None:
        """Debug a call, now or later; close the connection in any case."""
