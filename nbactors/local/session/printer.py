"""The output of workers and the node's warnings, as the user of a session sees them."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from nbactors.frontend.sink import Output, Sink
from nbactors.frontend.text_stream import is_terminal, write_now
from nbactors.local.wire import ids, messages


class Printer:
    """Hands the output of workers to the sink, or prints it where no front end has set one.

    Runs on the leader's thread: the main thread while that waits, else the background thread.

    Args:
        has_prefix: Whether each line begins with the prefix of its worker.

    Attributes:
        sink: The front end's; None to print the output.
    """

    def __init__(self, has_prefix: bool) -> None:
        self.sink: Sink | None = None
        self._has_prefix = has_prefix
        self._closed = False

    def show(self, message: Any) -> None:
        """Show an `Output` or a `Warn`; ignore other messages."""
        if type(message) is messages.Output:
            cell = ids.cell_of(message.origin)
            output = Output(cell, message.label, message.pid, message.stream, message.text, self._has_prefix)
            if self.sink is not None:
                self.sink.output(output)
                return
            stream = sys.stdout if message.stream == 1 else sys.stderr
            write_now(stream, output.lines(is_terminal(stream)))
        elif type(message) is messages.Warn:
            try:
                # No line of the user's has caused it. A line of the runtime's would tell the user nothing.
                warnings.warn_explicit(message.text, UserWarning, "nbactors", 0)
            except UserWarning:
                # The user has made warnings errors, but no call of the user's runs here that could raise it.
                write_now(sys.stderr, f"nbactors: {message.text}\n")

    def node_lost(self, why: str) -> None:
        """Print why the node is gone, unless the session is closed."""
        if not self._closed:
            write_now(sys.stderr, f"nbactors: {why}\n")

    def open(self) -> None:
        """Report the end of the node from now on: the session is open."""
        self._closed = False

    def close(self) -> None:
        """Stay silent about the end of the node: the session ends on purpose, or is not open yet."""
        self._closed = True
