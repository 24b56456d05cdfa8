"""Messages on their way out of a connection, as pieces that a signal's handler may find in any state.

A connection sends in three steps: messages are gathered in an `Outbox`, that becomes `Part`s of encoded bytes, and each
part is sent. What a step has done shows in one store. So whoever interrupts the sending thread, and sends by itself,
finds either nothing done or all of it, and goes on from there.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Any

MAX_FDS = 64
"""Descriptors that go with one send. The kernel never joins those of two sends in one receive, which has room for as
many; more in one send would be cut off there."""


class Parcel:
    """A message with descriptors. They are closed with it."""

    __slots__ = ("fds", "message")

    def __init__(self, message: Any, fds: Sequence[int]) -> None:
        self.message = message
        self.fds: list[int] = []
        for fd in fds:
            self.fds.append(os.dup(fd))

    def __del__(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Outbox:
    """Messages that are gathered.

    Attributes:
        messages: Messages and parcels, in order.
        fds: How many descriptors go with them.
    """

    __slots__ = ("fds", "messages")

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.fds = 0


class Part:
    """Bytes that one send is to take, with up to `MAX_FDS` descriptors.

    Attributes:
        following: The part after this one.
        sent: How many bytes the one send has taken; empty before it.
    """

    __slots__ = ("_fds", "_parcels", "_view", "following", "sent")

    def __init__(self, view: memoryview, fds: Sequence[int], parcels: Sequence[Parcel], following: Part | None) -> None:
        self._view = view
        self._fds = fds
        self._parcels = parcels
        self.following = following
        self.sent: list[int] = []

    def attempt(self, sock: socket.socket) -> Iterator[int]:
        """Return an iterator that sends what it can and yields how much that was."""
        if not self._fds:
            return map(sock.send, (self._view,))
        descriptors = memoryview(b"".join(fd.to_bytes(4, sys.byteorder) for fd in self._fds))
        return starmap(sock.sendmsg, (([self._view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]),))

    def rest(self) -> Part | None:
        """Return what comes after the bytes that were sent."""
        count = self.sent[0]
        if count >= len(self._view):
            return self.following
        return Part(self._view[count:], (), (), self.following)


def parts(frame: bytes, messages: list[Any]) -> Part:
    """Return the parts of an encoded batch.

    A frame is complete with its last byte, so what goes ahead of that is there when it is read: each part but the last
    takes one byte along. There are enough, since each descriptor is announced in the frame.
    """
    parcels = [message for message in messages if type(message) is Parcel]
    fds = [fd for parcel in parcels for fd in parcel.fds]
    view = memoryview(frame)
    ahead = max(len(fds) - 1, 0) // MAX_FDS
    part = Part(view[ahead:], fds[ahead * MAX_FDS :], parcels, None)
    for index in range(ahead - 1, -1, -1):
        part = Part(view[index : index + 1], fds[index * MAX_FDS : (index + 1) * MAX_FDS], parcels, part)
    return part
