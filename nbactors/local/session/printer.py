"""What the node tells the user of a session: workers' output and warnings."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from nbactors.frontend.sink import Lines, Sink
from nbactors.frontend.text_stream import is_terminal, write_now
from nbactors.local.wire import messages


class Printer:
    """Prints the output of workers, each line with a prefix that tells where it comes from, or has the sink show it.

    Runs on the leader's thread: the main thread while that waits, else the background thread.

    Args:
        is_marked: Whether lines get the prefix.

    Attributes:
        sink: What a front end shows output with; None to print it.
    """

    def __init__(self, is_marked: bool) -> None:
        self.sink: Sink | None = None
        self._is_marked = is_marked
        self._closed = False

    def show(self, message: Any) -> None:
        """Show an `Output` or a `Warn`; ignore other messages."""
        if type(message) is messages.Output:
            cell = message.origin & 0xFFFF_FFFF
            lines = Lines(
                cell, message.label, message.pid, message.stream, message.text, message.actor_id, self._is_marked
            )
            if self.sink is not None:
                self.sink.lines(lines)
                return
            stream = sys.stdout if message.stream == 1 else sys.stderr
            write_now(stream, lines.shown(is_terminal(stream)))
        elif type(message) is messages.Warn:
            try:
                warnings.warn(message.text, UserWarning, stacklevel=2)
            except UserWarning:
                # Warnings are errors here, but this is no call of the user's that could fail.
                write_now(sys.stderr, f"nbactors: {message.text}\n")

    def node_lost(self, why: str) -> None:
        """Tell that the node is gone."""
        if not self._closed:
            write_now(sys.stderr, f"nbactors: {why}\n")

    def open(self) -> None:
        """The session is open: from now on it is news if the node ends."""
        self._closed = False

    def close(self) -> None:
        """The session ends on purpose, or has not begun: the node's end is no news."""
        self._closed = True
