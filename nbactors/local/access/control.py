"""A small blocking client of the node, for the command line and for tests."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections import deque
from typing import TypeVar

from nbactors.exceptions import NodeMissingError
from nbactors.local.access import discovery
from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, FrameBuffer, FrameError, control_codec
from nbactors.version import __version__

M = TypeVar("M", bound=messages.Message)


class ControlClient:
    """One connection to the node, used by one thread, as a context manager.

    Messages that do not match the current request are kept for later calls.

    Args:
        sock: A socket connected to the node; owned by this object.
        role: As in `Hello`.
        process_id: As in `Hello`.
        timeout_s: The default limit, in seconds, for a reply.
    """

    def __init__(
        self, sock: socket.socket, role: str = "cli", process_id: bytes = b"", timeout_s: float = 10.0
    ) -> None:
        self._sock = sock
        self._timeout_s = timeout_s
        self._codec = control_codec()
        self._frames = FrameBuffer(MAX_CONTROL_FRAME)
        self._inbox: deque[messages.Control] = deque()
        self._rids = itertools.count(1)
        try:
            self.send(messages.Hello(messages.PROTOCOL_VERSION, process_id, os.getpid(), role, __version__))
            answer = self.receive(messages.Welcome, messages.Refused)
            if isinstance(answer, messages.Refused):
                raise ConnectionError(answer.text)
        except BaseException:
            sock.close()
            raise
        self.welcome = answer

    @classmethod
    def find(cls, timeout_s: float = 10.0) -> ControlClient:
        """Connect to the node as the command line does. Does not start a node.

        Raises:
            NodeMissingError: No node runs.
            ConnectionError: The node refuses the connection, for example because it speaks another protocol.
        """
        sock = discovery.find_node(timeout_s)
        if sock is None:
            raise NodeMissingError("no node runs: a session starts one, with nbactors.init()")
        return cls(sock, timeout_s=timeout_s)

    def next_rid(self) -> int:
        """Return an unused request id."""
        return next(self._rids)

    def send(self, *batch: messages.Control) -> None:
        """Send messages in one frame.

        Raises:
            NodeMissingError: The node has left.
        """
        try:
            self._sock.sendall(self._codec.encode(list(batch)))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _left() from error

    def request(self, message: messages.Control, timeout_s: float | None = None) -> messages.Control:
        """Send a request (a message with a `rid`) and return its reply.

        Raises:
            TimeoutError: There was no reply in time.
            NodeMissingError: The node has left.
        """
        self.send(message)
        rid = getattr(message, "rid")  # noqa: B009 - not all messages of the union have one
        return self._wait(lambda answer: getattr(answer, "rid", None) == rid, timeout_s, f"an answer to {message!r}")

    def receive(self, *kinds: type[M], timeout_s: float | None = None) -> M:
        """Return the next message of one of these types, in the order of arrival.

        Raises:
            TimeoutError: There was no such message in time.
            NodeMissingError: The node has left.
        """
        names = " or ".join(kind.__name__ for kind in kinds)
        return self._wait(lambda message: isinstance(message, kinds), timeout_s, names)  # type: ignore[return-value]

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def __enter__(self) -> ControlClient:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, is_wanted: object, timeout_s: float | None, what: str) -> messages.Control:
        assert callable(is_wanted)
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        looked_at = 0
        while True:
            while looked_at < len(self._inbox):
                message = self._inbox[looked_at]
                if is_wanted(message):
                    del self._inbox[looked_at]
                    return message
                looked_at += 1
            self._sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._sock.recv(1 << 16)
            except TimeoutError:
                raise TimeoutError(
                    f"the node has not sent {what} in time: it is busy, stopped by a signal, or hangs. "
                    "`nbactors status` tells which, and `nbactors stop` ends it"
                ) from None
            except ConnectionResetError as error:
                # A client of this kind does not keep an idle node: it may leave between Welcome and the reply.
                raise _left() from error
            if not data:
                raise _left()
            try:
                for body in self._frames.feed(data):
                    self._inbox.extend(self._codec.decode(body))
            except FrameError as error:
                raise ConnectionError(
                    f"what listens where the node should does not speak as a node of this version does ({error})"
                ) from error


def _left() -> NodeMissingError:
    return NodeMissingError("the node has just left: by itself because nothing ran on it, or by `nbactors stop`")
