"""`WaitingCall`: a call that waits for its user, and the port at which its process waits for the session."""

from __future__ import annotations

import hmac
import socket
from time import monotonic
from typing import NamedTuple

TOKEN_SIZE = 32
"""Bytes of a token."""

CONNECT_S = 5.0
"""Seconds in which the call's process accepts the connection."""

PROOF_S = 1.0
"""Seconds in which the other side has to prove itself."""

_PROOF_SIZE = 32
_ALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
"""When TCP asks whether the other machine is there, in seconds, and how often it does so in vain."""


class WaitingCall(NamedTuple):
    """What a call tells the session. For `where` and `asks` see `nbactors.frontend.sink.Paused`.

    Attributes:
        cell: The number of the cell that has made the call.
        place: The address and the port at which the call's process listens.
        token: A secret of the call's process and the session: anybody may connect, or listen there later.
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
        if trusts(connection, self.token, b"session", b"call"):
            return connection
        connection.close()
        return None


def trusts(connection: socket.socket, token: bytes, own: bytes, other: bytes) -> bool:
    """Prove to the other side that this one has a token, and return whether the other one has proved it, too. Blocks.

    If so, the connection has no limit of time any more, but ends when the other machine is gone.

    Args:
        connection: A new connection.
        token: The token, which does not travel.
        own: The name of this side.
        other: The name of the other side.
    """
    ends = monotonic() + PROOF_S
    received = b""
    try:
        connection.settimeout(PROOF_S)
        connection.sendall(hmac.digest(token, own, "sha256"))
        while len(received) < _PROOF_SIZE:
            connection.settimeout(max(ends - monotonic(), 0.001))
            part = connection.recv(_PROOF_SIZE - len(received))
            if not part:
                return False
            received += part
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ALIVE:
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError:
        return False
    return hmac.compare_digest(received, hmac.digest(token, other, "sha256"))
