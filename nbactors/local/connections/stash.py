"""`Stash`: stands in for the control connection while there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors.local.connections.connection import Once
from nbactors.local.connections.outbox import Parcel

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection


class Stash:
    """Keeps messages until a connection to the node is there. Any thread; takes no lock.

    Args:
        tag: The tag of the node that will count the tokens of these messages, see `NodeLink.tag`.
    """

    unsent = False

    def __init__(self, tag: bytes) -> None:
        self.tag = tag
        self._kept: deque[tuple[Parcel, Once]] = deque()
        self._successor: Connection | None = None

    def send(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Keep a message, with duplicates of its descriptors."""
        self._kept.append((Parcel(message, fds, owns=True), Once()))
        if self._successor is not None:  # this thread had looked up the stash before the connection replaced it
            self.hand_to(self._successor)

    send_now = send

    def hand_to(self, connection: Connection) -> None:
        """Send what was kept, and what will still be kept, on a connection. Run again if an exception aborts it."""
        self._successor = connection
        kept = self._kept
        while True:
            if not kept:
                break
            first = kept[0]
            parcel, once = first
            connection.send(parcel.message, parcel.fds, once)
            if kept and kept[0] is first:  # else another thread or a handler has taken it out
                kept.popleft()

    def of_kinds(self, kinds: frozenset[type]) -> list[Any]:
        """Return the messages of some kinds."""
        return [parcel.message for parcel, _ in list(self._kept) if type(parcel.message) in kinds]

    def close(self, why: str) -> None:
        """Drop everything."""
        self._kept.clear()
