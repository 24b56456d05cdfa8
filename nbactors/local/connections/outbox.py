"""Outgoing messages of a connection, in a form that is consistent whenever a signal handler interrupts the sender.

A connection gathers messages in an `Outbox`, encodes the outbox into `Part`s, and sends one part after the other. One
store publishes the result of each of these actions. So a signal handler that interrupts the sender, and sends on the
same connection, finds each action either undone or complete, and continues from there.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Any

MAX_FDS = 64
"""The most descriptors that go with one send. A receive has room for as many, and the kernel never joins the
descriptors of two sends in one receive. The kernel would drop the rest of a larger send."""


class Parcel:
    """A message with descriptors.

    Args:
        owns: Whether to duplicate `fds` here; the duplicates are closed when the parcel is freed.
    """

    __slots__ = ("_owned", "fds", "message")

    def __init__(self, message: Any, fds: Sequence[int], owns: bool) -> None:
        self._owned: list[int] = []
        self.message = message
        if owns:
            for fd in fds:
                self._owned.append(os.dup(fd))
            fds = self._owned
        self.fds = fds

    def __del__(self) -> None:
        try:
            for fd in self._owned:
                os.close(fd)
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            pass


class Outbox:
    """Messages that wait to be encoded together.

    Attributes:
        messages: Messages and parcels, in the order of sending.
        fds: The number of descriptors in the parcels.
    """

    __slots__ = ("fds", "messages")

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.fds = 0


Rest = tuple[bytes, int]
"""A frame, and how many of its bytes the socket has taken."""


class Part:
    """Bytes that go out with one send, with up to `MAX_FDS` descriptors.

    Attributes:
        view: The bytes.
        size: The number of bytes.
        fds: The descriptors.
        following: The part to send after this one.
        sent: Holds the number of bytes that the send has taken; empty before the send.
    """

    __slots__ = ("_parcels", "fds", "following", "sent", "size", "view")

    def __init__(
        self, view: bytes | memoryview, fds: Sequence[int], parcels: Sequence[Parcel], following: Part | None
    ) -> None:
        self.view = view
        self.size = len(view)
        self.fds = fds
        self._parcels = parcels
        self.following = following
        self.sent: list[int] = []

    def attempt(self, sock: socket.socket) -> Iterator[int]:
        """Return an iterator: its one step sends, with the descriptors, and yields the number of bytes taken."""
        descriptors = memoryview(b"".join(fd.to_bytes(4, sys.byteorder) for fd in self.fds))
        return starmap(sock.sendmsg, (([self.view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]),))

    def rest(self) -> Part:
        """Return a part with the bytes that the send has not taken; the descriptors have gone with the first byte."""
        return Part(memoryview(self.view)[self.sent[0] :], (), (), self.following)


def parts(frame: bytes, fds: Sequence[int], parcels: Sequence[Parcel], following: Part | None = None) -> Part:
    """Return the parts of a frame, with `following` behind the last one.

    The receiver takes a frame as complete when it has the last byte, so all descriptors must arrive before that byte:
    each part but the last carries one byte. A frame has enough bytes, since it announces each of its descriptors.
    """
    if not fds:
        return Part(frame, (), (), following)
    view = memoryview(frame)
    ahead = max(len(fds) - 1, 0) // MAX_FDS
    part = Part(view[ahead:], fds[ahead * MAX_FDS :], parcels, following)
    for index in range(ahead - 1, -1, -1):
        part = Part(view[index : index + 1], fds[index * MAX_FDS : (index + 1) * MAX_FDS], parcels, part)
    return part
