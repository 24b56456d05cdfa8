"""A spare: a child that a forkserver has forked already, and that becomes the next worker.

It has begun as each worker does, has joined the node, and waits for its order at the other end of a socket. The node
gives the id of the spare to the worker that it orders next. When the forkserver ends, however it ends, the socket
closes, and the spare exits.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, Codec, FrameBuffer, fork_codec

MAX_FRAME = 1 << 15
"""The most bytes of an order that a spare gets. So much fits into a socket's buffer: the forkserver never waits."""

PIPES = 4
"""How many descriptors come with an order."""


class Spare:
    """The forkserver's end.

    Args:
        live: Called in the child with the id of the worker and the socket for `receive`.

    Attributes:
        process_id: The id of the worker, 16 random bytes.
        pid: The number of the process.

    Raises:
        OSError: There is no process, or no descriptor, left.
    """

    def __init__(self, live: Callable[[bytes, socket.socket], NoReturn]) -> None:
        self.process_id = os.urandom(16)
        self._sock, theirs = socket.socketpair()
        try:
            self.pid = os.fork()
            if not self.pid:
                self._sock.close()
                live(self.process_id, theirs)
        except OSError:
            self._sock.close()
            raise
        finally:
            theirs.close()

    def give(self, order: messages.Fork, descriptors: list[int]) -> bool:
        """Have it become a worker. Return False if that is not possible; then it has ended, or ends."""
        frame = fork_codec().encode([order])
        with self._sock:
            if len(frame) > MAX_FRAME:
                return False
            try:
                return socket.send_fds(self._sock, [frame], descriptors) == len(frame)
            except OSError:  # something has killed it
                return False

    def fileno(self) -> int:
        """Return the descriptor of this end; its close lets the spare exit."""
        return self._sock.fileno()

    def close(self) -> None:
        """Let it exit, without a wait for that."""
        self._sock.close()

    def end(self) -> None:
        """End it. It must not have been reaped."""
        self._sock.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def receive(sock: socket.socket, codec: Codec[messages.ForkMessage]) -> tuple[messages.Fork, list[int]]:
    """Wait for the order, in the child. Exits if none comes any more."""
    frames = FrameBuffer(MAX_CONTROL_FRAME)
    pipes: list[int] = []
    with sock:
        while True:
            data, ancillary, _, _ = sock.recvmsg(1 << 16, socket.CMSG_SPACE(4 * PIPES))
            for _, _, descriptors in ancillary:
                pipes += memoryview(descriptors).cast("i")
            if not data:
                os._exit(0)
            for body in frames.feed(data):
                (order,) = codec.decode(body)
                assert isinstance(order, messages.Fork)
                return order, pipes
