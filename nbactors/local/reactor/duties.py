"""What the reactor has others do: each protocol is one thing that it asks for."""

from __future__ import annotations

from typing import Protocol


class Flushable(Protocol):
    """Something with buffered output, such as a connection."""

    def serve(self) -> bool:
        """Send what is buffered, unless another thread is at it; return False if one is."""

    def flush(self) -> None:
        """Send what is buffered."""


class Reading(Protocol):
    """Something that reads and handles messages, such as a connection."""

    def go_on(self) -> None:
        """Handle what was read and not handled yet. The leader."""
