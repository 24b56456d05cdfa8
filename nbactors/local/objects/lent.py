"""`Lent`: the objects of this process that the process at the other end of a connection uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Listener
    from nbactors.local.objects.home import Source


class Lent:
    """The lent segments and the answers due on one connection. `Connection.lent` holds the record.

    Attributes:
        segments: The numbers of the holds on segments that the other process has.
        listeners: The listeners that will answer the other process, each with the entry or stream it waits for.
    """

    __slots__ = ("listeners", "segments")

    def __init__(self) -> None:
        self.segments: set[int] = set()
        self.listeners: dict[Listener, Source] = {}

    def forget_listeners(self) -> None:
        """Drop the answers to the other process, whose connection is closed. The leader's thread."""
        for listener, source in list(self.listeners.items()):
            source.remove_waiter(listener)
        self.listeners.clear()
