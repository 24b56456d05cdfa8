"""Where sessions, workers and the command line come in: the node's socket."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable

from nbactors.local import sockets
from nbactors.local.node.shell.journal import note
from nbactors.local.node.shell.loop import READ, Loop

_BREATHER_S = 0.1
"""How long no connection is accepted after that has failed for want of descriptors."""


class Door:
    """The socket that the node listens on.

    Args:
        loop: Tells when somebody knocks.
        path: Where it is.
        admit: Called with each connection, which is of this user.

    Attributes:
        due: When `tend` is to be called, on the monotonic clock; None if it need not be.
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
        # Its number cannot come to mean another file: a bound socket keeps it, also when it has been removed.
        self._file = sockets.identity(self._path)
        self._loop.watch(self._listener.fileno(), READ, self._on_knock)

    def tend(self) -> None:
        """Accept connections again after a breather."""
        if self.due is not None and self.due <= time.monotonic():
            self.due = None
            self._loop.watch(self._listener.fileno(), READ, self._on_knock)

    def is_there(self) -> bool:
        """Return whether the path still leads to this socket."""
        return sockets.identity(self._path) == self._file

    def renew(self) -> None:
        """Listen at the path again. Whoever waits at the old socket is let in first.

        Raises:
            OSError: That is not possible; the old socket is kept.
        """
        self._accept()
        old = self._listener
        self._open()
        self._shut(old)

    def shut_unless_somebody_knocks(self) -> bool:
        """Take the door away, unless somebody is standing there; return whether it is gone.

        Whoever connects after this finds no socket and starts a node of its own, which waits for this one's lock.
        """
        self._take_away()
        if not self._accept():
            return True
        old = self._listener
        self._open()
        self._shut(old)
        return False

    def shut(self) -> None:
        """Take it away."""
        self._take_away()
        self._shut(self._listener)

    def _take_away(self) -> None:
        if self.is_there():  # not that of a node which has taken this one's place
            sockets.remove(self._path)

    def _shut(self, listener: socket.socket) -> None:
        self._loop.watch(listener.fileno(), 0, _ignore)
        listener.close()

    def _on_knock(self, _: int) -> None:
        self._accept()

    def _accept(self) -> int:
        """Take all connections that wait; return how many."""
        count = 0
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return count
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._turn_one_away():
                    # A listener that stays ready would wake the loop for ever.
                    note(f"a connection cannot be accepted: {error}")
                    self._loop.watch(self._listener.fileno(), 0, _ignore)
                    self.due = time.monotonic() + _BREATHER_S
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

    def _turn_one_away(self) -> bool:
        """End a connection that there is no descriptor for: left alone it would keep the loop from ever waiting."""
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
            except OSError:  # the whole machine has none left
                self._spare = -1
        return True


def _ignore(_: int) -> None:
    """Stand for a callback that is taken away."""
