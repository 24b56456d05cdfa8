"""The socket that other processes connect to, and the way to theirs."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable

from nbactors.local import sockets
from nbactors.local.reactor.reactor import Reactor

BREATHER_S = 0.1
"""How long no connection is accepted after that has failed for want of descriptors."""


class Door:
    """The listening socket of one process. Methods run on the leader's thread, `reach` on any.

    Args:
        reactor: Tells when a process connects.
        directory: The node's folder, in which the sockets of all its processes lie.
        process_id: This process's.

    Attributes:
        admit: Called with each new socket; set before `open`.
    """

    admit: Callable[[socket.socket], None]

    def __init__(self, reactor: Reactor, directory: str, process_id: bytes) -> None:
        self._reactor = reactor
        self._directory = directory
        self._path = sockets.process_socket_path(directory, process_id)
        self._listener: socket.socket | None = None
        self._file: tuple[int, int] | None = None
        """Tells the socket's file from others at that path."""

    def open(self) -> None:
        """Listen.

        Raises:
            OSError: The socket cannot be made.
        """
        listener = sockets.listen(self._path)
        listener.setblocking(False)
        self._listener = listener
        self._accept_on()
        # Last: until then `open_again` begins anew.
        self._file = sockets.identity(self._path)

    def open_again(self) -> None:
        """Make the socket's file anew: the node tells that it was removed.

        If that fails the node tells again. An exception from outside may tear this; then it is called again.
        """
        old = self._listener
        if old is None or sockets.identity(self._path) == self._file:
            return
        self._on_ready(selectors.EVENT_READ)  # processes that wait at the old file
        try:
            self._reactor.unregister(old.fileno())
            self.open()
        except OSError:
            return
        old.close()

    def reach(self, process_id: bytes, timeout: float) -> socket.socket:
        """Connect to another process. Any thread.

        Raises:
            OSError: The process does not listen, or its queue of connections stays full for `timeout` seconds.
        """
        return sockets.connect(sockets.process_socket_path(self._directory, process_id), timeout)

    def _accept_on(self) -> None:
        if self._listener is not None:
            self._reactor.register(self._listener.fileno(), selectors.EVENT_READ, self._on_ready)

    def _on_ready(self, mask: int) -> None:
        assert self._listener is not None
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError:
                # No descriptor is left. The listener stays ready, and would wake this process without end.
                self._reactor.unregister(self._listener.fileno())
                self._reactor.call_later(BREATHER_S, self._accept_on)
                return
            try:
                sockets.check_peer(sock)
            except OSError:  # another user's, or gone already
                sock.close()
                continue
            self.admit(sock)

    def forget(self) -> None:
        """In a forked child: close the copy of the socket, and leave its file to the parent."""
        if self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """Listen no more, and remove the file."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._reactor.unregister(listener.fileno())
            listener.close()
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
