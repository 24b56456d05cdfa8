"""The node's record of a client's connection. Data without rules."""

from __future__ import annotations

import socket
from collections import deque

from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, FrameBuffer


class Connection:
    """The connection of one client.

    Attributes:
        inbox: Messages that are not handled yet; while there are any, no more are read.
        outbox: Messages of this turn of the loop, sent as one frame at its end.
        unsent: Bytes that the socket has not accepted yet.
        sources: Workers whose output goes to this client.
        descriptors: Received descriptors that do not belong to a handled message yet.
        closing: Whether to close the connection when everything is sent.
    """

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.frames = FrameBuffer(MAX_CONTROL_FRAME)
        self.has_spoken = False
        self.inbox: deque[messages.Control] = deque()
        self.outbox: list[messages.Control] = []
        self.unsent = bytearray()
        self.sources: set[bytes] = set()
        self.descriptors: deque[int] = deque()
        self.is_congested = False
        self.closing = False
