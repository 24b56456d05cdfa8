"""`Claims`: what the process at the other end of a connection has, or is to get, of this process's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Listener
    from nbactors.local.objects.home import Source


class Claims:
    """The segments that a peer holds, and the answers that are due to it. `Connection.claims` holds the record.

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
