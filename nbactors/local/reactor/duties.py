"""The interfaces between the reactor and the objects that it works for or with."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Protocol

from nbactors.frontend.interrupts import Sleeper


class Flushable(Protocol):
    """An object with buffered output, such as a connection."""

    def serve(self) -> bool:
        """Send the buffered output, unless another thread is sending it. Return False in that case."""

    def flush(self) -> None:
        """Send the buffered output."""


class Reading(Protocol):
    """An object that reads and handles messages, such as a connection."""

    def go_on(self) -> None:
        """Handle the messages that were read and not handled yet. On the leader's thread."""


class Standby(Protocol):
    """The guard that watches the reactor while an event loop hosts it."""

    def nudge(self) -> None:
        """Note that there is output to send or an action to run. Any thread, also in finalizers; takes no lock."""

    def left(self) -> None:
        """Note that the leader has left. Any thread."""

    def run(self) -> None:
        """Stand guard until the reactor is closed. On the background thread."""


class Shelter(Protocol):
    """A handler of SIGINT that tears no wait: it notes the signal, and ends the wait. On the main thread.

    Attributes:
        handler: The handler, always the same object.
        due: Whether a signal has come that was not raised yet.
        sleeper: The main thread's wait, None outside of a wait.
    """

    handler: Callable[[int, FrameType | None], None]
    due: bool
    sleeper: Sleeper | None

    def raise_due(self) -> None:
        """Do what the signal that is due demands. Called by the wait, right after its end.

        Raises:
            KeyboardInterrupt: Or another error, unless the wait is to go on.
        """


class Rousable(Protocol):
    """An object, such as the reactor, whose leader may be sleeping."""

    def wake(self) -> None:
        """Make the next sleep of the leader end at once. Any thread, also in signal handlers; takes no lock."""

    def end_sleep(self) -> bool:
        """End the leader's sleep. Return whether it was asleep. Any thread; takes no lock."""
