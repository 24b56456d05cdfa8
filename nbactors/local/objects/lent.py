"""`Lent`: what a process on the other side of a connection has of our objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Listener
    from nbactors.local.objects.home import Source


class Lent:
    """The segments and the answers that are due on one connection. `Connection.lent` holds the record.

    Attributes:
        segments: Numbers of the holds on segments that the other process has.
        listeners: The listeners that will answer it, each with the entry or stream that the listener waits for.
    """

    __slots__ = ("listeners", "segments")

    def __init__(self) -> None:
        self.segments: set[int] = set()
        self.listeners: dict[Listener, Source] = {}

    def forget_listeners(self) -> None:
        """The other process gets no answer any more. The leader's thread."""
        for listener, source in list(self.listeners.items()):
            source.remove_waiter(listener)
        self.listeners.clear()
