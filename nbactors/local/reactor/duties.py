"""What the reactor asks of others, and others of it: each protocol is one thing."""

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


class Standby(Protocol):
    """Something that looks after the reactor while an event loop hosts it."""

    def nudge(self) -> None:
        """There is something to send or to do. Any thread, also in finalizers; takes no lock."""

    def left(self) -> None:
        """Whoever led has left. Any thread."""

    def run(self) -> None:
        """Stand guard until the reactor is closed. The background thread."""


class Rousable(Protocol):
    """Something whose leader may sleep."""

    def wake(self) -> None:
        """Make the next sleep end at once. Any thread, also in signal handlers; takes no lock."""

    def end_sleep(self) -> bool:
        """End the leader's sleep; return whether it slept. Any thread; takes no lock."""
