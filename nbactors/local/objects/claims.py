"""`Claims`: what the process at the other end of a connection has, or is to get, of this process's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Listener
    from nbactors.local.objects.home import Source
    from nbactors.local.reactor.waiter import Waiter
    from nbactors.local.store.arena import Arena


class Claims:
    """The blocks that a peer holds, and the answers that are due to it. `Connection.claims` holds the record.

    Attributes:
        segments: The numbers of the holds on blocks that the other process has.
        sent: The arenas whose descriptors the other process has, by this process's numbers.
        received: The arenas that the other process has sent, by its numbers.
        asked: What waits for the descriptors of such arenas, where they were lost on the way.
        listeners: The listeners that will answer the other process, each with the entry or stream it waits for.
    """

    __slots__ = ("asked", "listeners", "received", "segments", "sent")

    def __init__(self) -> None:
        self.segments: set[int] = set()
        self.sent: dict[int, Arena] = {}
        self.received: dict[int, Arena] = {}
        self.asked: dict[int, list[Waiter]] = {}
        self.listeners: dict[Listener, Source] = {}

    def forget_listeners(self) -> None:
        """Drop the answers to the other process, whose connection is closed. The leader's thread."""
        for listener, source in list(self.listeners.items()):
            source.remove_waiter(listener)
        self.listeners.clear()
