"""The node's listening socket, to which sessions, workers and the command line connect."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable

from nbactors.local import sockets
from nbactors.local.node.shell.journal import note
from nbactors.local.node.shell.loop import READ, Loop

_PAUSE_S = 0.1
"""For how long, in seconds, no connection is accepted after `accept` has failed for lack of descriptors."""


class Door:
    """The socket on which the node listens.

    Args:
        loop: Watches the socket.
        path: The socket's path.
        admit: Called with each new connection, which is from a process of this user.

    Attributes:
        due: When `tend` must be called, on the monotonic clock; None if it need not be.
    """

    def __init__(self, loop: Loop, path: str, admit: Callable[[socket.socket], None]) -> None:
        self.due: float | None = None
        self._loop = loop
        self._path = path
        self._admit = admit
        self._open()
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _open(self) -> None:
        self._listener = sockets.listen(self._path)
        self._listener.setblocking(False)
        # The inode number identifies the socket: a bound socket keeps its inode even after the file was removed.
        self._file = sockets.identity(self._path)
        self._loop.watch(self._listener.fileno(), READ, self._on_connection)

    def tend(self) -> None:
        """Accept connections again when the pause after a failure is over."""
        if self.due is not None and self.due <= time.monotonic():
            self.due = None
            self._loop.watch(self._listener.fileno(), READ, self._on_connection)

    def is_there(self) -> bool:
        """Return whether the path still leads to this socket."""
        return sockets.identity(self._path) == self._file

    def renew(self) -> None:
        """Listen at the path again. Connections that wait on the old socket are accepted first.

        Raises:
            OSError: That is not possible; the old socket stays in use.
        """
        self._accept()
        old = self._listener
        self._open()
        self._shut(old)

    def shut_unless_connecting(self) -> bool:
        """Remove the socket file, unless a process is connecting; return whether it is removed.

        A process that connects after this finds no socket and starts a new node, which waits for this node's lock.
        """
        self._take_away()
        if not self._accept():
            return True
        old = self._listener
        self._open()
        self._shut(old)
        return False

    def shut(self) -> None:
        """Remove the socket file and close the socket."""
        self._take_away()
        self._shut(self._listener)

    def _take_away(self) -> None:
        if self.is_there():  # the file may be that of a new node by now
            sockets.remove(self._path)

    def _shut(self, listener: socket.socket) -> None:
        self._loop.unwatch(listener.fileno())
        listener.close()

    def _on_connection(self, _: int) -> None:
        self._accept()

    def _accept(self) -> int:
        """Accept all connections that wait; return how many."""
        count = 0
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return count
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._refuse_one():
                    # A socket that stays ready would keep waking the loop.
                    note(f"a connection cannot be accepted: {error}")
                    self._loop.unwatch(self._listener.fileno())
                    self.due = time.monotonic() + _PAUSE_S
                    return count
                continue
            try:
                sockets.check_peer(sock)
            except OSError as error:
                note(f"a connection was refused: {error}")
                sock.close()
                continue
            self._admit(sock)
            count += 1

    def _refuse_one(self) -> bool:
        """Accept and close a connection for which there is no descriptor: it would keep the loop from sleeping."""
        note("a connection was refused: too many open files; raise the limit (ulimit -n)")
        if self._spare >= 0:
            os.close(self._spare)
        try:
            sock, _ = self._listener.accept()
            sock.close()
        except OSError:
            return False
        finally:
            try:
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # the whole system has no free descriptor
                self._spare = -1
        return True
