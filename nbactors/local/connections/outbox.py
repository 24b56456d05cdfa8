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
    """A message with descriptors.

    Args:
        owns: Whether they are duplicates, which are closed with the parcel.
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
        except AttributeError:  # an exception from outside came before it had any
            pass


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
        view: The bytes.
        size: How many they are.
        fds: The descriptors.
        following: The part after this one.
        sent: How many bytes the one send has taken; empty before it.
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
        """Return an iterator that sends what it can, with the descriptors, and yields how much that was."""
        descriptors = memoryview(b"".join(fd.to_bytes(4, sys.byteorder) for fd in self.fds))
        return starmap(sock.sendmsg, (([self.view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]),))

    def rest(self) -> Part:
        """Return what comes after the bytes that were sent, if they were not all."""
        return Part(memoryview(self.view)[self.sent[0] :], (), (), self.following)


def parts(frame: bytes, fds: Sequence[int], parcels: Sequence[Parcel], following: Part | None = None) -> Part:
    """Return the parts of a frame, before those of the next one.

    A frame is complete with its last byte, so what goes ahead of that is there when it is read: each part but the last
    takes one byte along. There are enough, since each descriptor is announced in the frame.
    """
    if not fds:
        return Part(frame, (), (), following)
    view = memoryview(frame)
    ahead = max(len(fds) - 1, 0) // MAX_FDS
    part = Part(view[ahead:], fds[ahead * MAX_FDS :], parcels, following)
    for index in range(ahead - 1, -1, -1):
        part = Part(view[index : index + 1], fds[index * MAX_FDS : (index + 1) * MAX_FDS], parcels, part)
    return part
