"""A connection of two peers in one process. The test breaks the socket and makes the socket anew."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from stepped_reactor import SteppedReactor

from nbactors.local.connections.connection import Connection
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_PEER_FRAME, FrameBuffer, peer_codec


class Side:
    """One side of a connection.

    Attributes:
        connection: The connection itself.
        arrived: The handled messages.
        broken: The reasons of `on_break`.
        closed: The reasons of `on_close`.
    """

    def __init__(self, reactor: SteppedReactor, sock: socket.socket | None) -> None:
        self.arrived: list[Any] = []
        self.broken: list[str] = []
        self.closed: list[str] = []
        self.connection = PeerConnection(reactor, sock, self._take, self._note_close, self._note_break)

    def _take(self, connection: Connection, message: Any) -> None:
        self.arrived.append(message)

    def _note_close(self, connection: Connection, why: str) -> None:
        self.closed.append(why)

    def _note_break(self, connection: PeerConnection, why: str) -> None:
        self.broken.append(why)

    def limit_frames(self, size: int) -> None:
        """Have the connection send no longer frames, in bytes."""
        self.connection._peer_codec.limit = size
        self.connection._limit_of_frame = size

    @property
    def numbers(self) -> list[int]:
        """The numbers of the calls or answers that have arrived."""
        return [message.number for message in self.arrived]


class Line:
    """A connection that `caller` has made to `worker`."""

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        self._opened: list[socket.socket] = []
        ours, theirs = self._sockets()
        self.caller = Side(reactor, None)
        self.caller.connection.is_outgoing = True
        self.worker = Side(reactor, theirs)
        self.worker.connection.start()
        self.caller.connection.begin(ours)
        reactor.settle()

    def _sockets(self) -> tuple[socket.socket, socket.socket]:
        made = socket.socketpair()
        made[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self._opened += made
        return made

    def cut(self) -> None:
        """Break the socket for both sides; bytes that were sent and not read are lost."""
        for side in (self.caller, self.worker):
            side.connection.lose("the network is lost")

    def mend(self) -> None:
        """Make the socket anew, as `Peers` does with an `Attach`."""
        ours, theirs = self._sockets()
        received = self.caller.connection.received
        attached = Side(self.reactor, theirs).connection
        attached.start()
        self.caller.connection.offer(ours)
        self.worker.connection.adopt(attached, received)
        self.reactor.settle()

    def close(self) -> None:
        self.caller.connection.close()
        self.worker.connection.close()
        for sock in self._opened:
            sock.close()


class FarEnd:
    """The other end of a socket: the test writes and reads frames there."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._codec = peer_codec()
        self._frames = FrameBuffer(MAX_PEER_FRAME)

    def write(self, *batch: Any, received: int = 0) -> None:
        """Send one frame with a received count."""
        self._sock.sendall(self._codec.encode(list(batch), received))

    def read(self) -> list[tuple[int, list[Any]]]:
        """Return the arrived frames: the received count and the messages of each frame."""
        found: list[tuple[int, list[Any]]] = []
        self._sock.setblocking(False)
        try:
            while data := self._sock.recv(1 << 16):
                bodies = self._frames.feed(data)
                found += [(int.from_bytes(body[:8], "big"), self._codec.decode(body)) for body in bodies]
        except BlockingIOError:
            pass
        self._sock.setblocking(True)
        return found


def call(number: int, data: bytes = b"") -> messages.Call:
    """Return a call, a message of the connecting side."""
    return messages.Call(number, "method", data)


def reply(number: int, data: bytes = b"") -> messages.Reply:
    """Return an answer, a message of the other side."""
    return messages.Reply(number, data)


def arenas(connection: Connection, files: Files, *sizes: int) -> None:
    """Send the descriptors of files with these sizes, each beside its message."""
    for size, fd in zip(sizes, files.of_sizes(*sizes), strict=True):
        connection.send(messages.Arena(size, size), (fd,))
    connection.flush()


def size_of(connection: Connection, message: messages.Arena) -> int:
    """Take the file of a message for good; return its size, `MISSING` for a file that did not come."""
    fd = connection.take_fd(message)
    connection.forget_fd(message)
    if fd < 0:
        return fd
    size = os.fstat(fd).st_size
    os.close(fd)
    return size


class Files:
    """Temporary files with different sizes, so that a test can tell the files apart."""

    def __init__(self) -> None:
        self._opened: list[int] = []

    def of_sizes(self, *sizes: int) -> list[int]:
        """Return descriptors of files with these sizes, in bytes."""
        made = []
        for size in sizes:
            with tempfile.TemporaryFile() as file:
                file.truncate(size)
                made.append(os.dup(file.fileno()))
        self._opened += made
        return made

    def close(self) -> None:
        for fd in self._opened:
            os.close(fd)
