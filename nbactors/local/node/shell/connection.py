"""A client's connection, as the node keeps it. Data without rules."""

from __future__ import annotations

import socket
from collections import deque

from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, FrameBuffer


class Connection:
    """One client's connection.

    Attributes:
        inbox: Messages that were not handled yet; while there are any, nothing more is read.
        outbox: Messages of this turn, sent as one frame at its end.
        unsent: Bytes that the socket did not take.
        sources: Workers whose output goes here.
        descriptors: Received ones that no message has been given yet.
        closing: To be closed when everything is sent.
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
