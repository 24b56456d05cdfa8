"""`WaitingCall`: a call that waits for its user, and the port at which its process waits for the session."""

from __future__ import annotations

import socket
from typing import NamedTuple

TOKEN_SIZE = 32
"""Bytes of a token."""

CONNECT_S = 5.0
"""Seconds in which the call's process accepts the connection."""


class WaitingCall(NamedTuple):
    """What a call tells the session. For `where` and `asks` see `nbactors.frontend.sink.Paused`.

    Attributes:
        cell: The number of the cell that has made the call.
        place: The address and the port at which the call's process listens.
        token: What the session sends first, since anybody in the network may connect.
    """

    cell: int
    where: str
    asks: bool
    place: tuple[str, int]
    token: bytes

    def connection(self) -> socket.socket | None:
        """Return a connection to the call, None if it waits no more or cannot be reached. Blocks."""
        try:
            connection = socket.create_connection(self.place, CONNECT_S)
        except OSError:
            return None
        try:
            connection.sendall(self.token)
            connection.settimeout(None)
        except OSError:
            connection.close()
            return None
        return connection
