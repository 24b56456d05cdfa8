"""The listening socket of a process, and connecting to the listening sockets of other processes."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable

from nbactors.local import sockets
from nbactors.local.membership import Membership
from nbactors.local.reactor.reactor import Reactor

BREATHER_S = 0.1
"""Seconds for which no connection is accepted after an accept has failed because no descriptor was left."""


class Door:
    """The listening socket of one process. The methods run on the leader's thread, `reach` on any thread.

    Args:
        reactor: Watches the listening socket.
        membership: Knows this process's id, and the node's folder, in which the sockets of all its processes lie.

    Attributes:
        admit: Called with the socket of each process that has connected; set before `open`.
    """

    admit: Callable[[socket.socket], None]

    def __init__(self, reactor: Reactor, membership: Membership) -> None:
        self._reactor = reactor
        self._membership = membership
        self._path = ""
        self._listener: socket.socket | None = None
        self._file: tuple[int, int] | None = None
        """Identifies the file that this listener has made, as opposed to another file at the same path."""

    def open(self, is_spare: bool = False) -> None:
        """Listen.

        Args:
            is_spare: Whether the process is a spare. The node moves the socket's file when the spare becomes a worker.

        Raises:
            OSError: The socket cannot be made.
        """
        place = self._membership.directory, self._membership.process_id
        self._path = sockets.process_socket_path(*place)
        path = sockets.spare_socket_path(*place) if is_spare else self._path
        listener = sockets.listen(path)
        listener.setblocking(False)
        self._listener = listener
        self._accept_on()
        # This store comes last: where an asynchronous exception aborts `open`, `open_again` still opens.
        self._file = sockets.identity(path)

    def open_again(self) -> None:
        """Make the socket's file anew, after the node has told that the file was removed.

        If this fails, the node tells it again. If an asynchronous exception aborts this, the reactor calls it again.
        """
        old = self._listener
        if old is None or sockets.identity(self._path) == self._file:
            return
        self._on_ready(selectors.EVENT_READ)  # admits processes that have connected by the old file
        try:
            self._reactor.unregister(old.fileno())
            self.open()
        except OSError:
            return
        old.close()

    def reach(self, process_id: bytes, timeout: float) -> socket.socket:
        """Connect to the process with this id. Any thread.

        Raises:
            OSError: The process does not listen, or its queue of connections stays full for `timeout` seconds.
        """
        return sockets.connect(sockets.process_socket_path(self._membership.directory, process_id), timeout)

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
                # No descriptor is left. The listener stays ready, so watching it on would wake the leader without end.
                self._reactor.unregister(self._listener.fileno())
                self._reactor.call_later(BREATHER_S, self._accept_on)
                return
            try:
                sockets.check_peer(sock)
            except OSError:  # the peer is another user's process, or has gone already
                sock.close()
                continue
            self.admit(sock)

    def forget(self) -> None:
        """In a forked child: close the child's copy of the socket, and leave the socket's file to the parent."""
        if self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """Stop listening, and remove the socket's file."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._reactor.unregister(listener.fileno())
            listener.close()
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
