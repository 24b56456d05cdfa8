"""The connections between this process and other sessions and workers.

Each process connects to whom it has something to ask or tell, and keeps that connection for good: its requests to
one peer all travel on it, in order, and the answers come back on it. So two processes may have two connections, one
of each direction.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.local import sockets
from nbactors.local.client.connection import Connection
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameError, peer_codec
from nbactors.version import __version__

if TYPE_CHECKING:
    from nbactors.local.client.process import Process


HELLO_WITHIN_S = 10.0
"""What a process that has connected may take to say which one it is."""

BREATHER_S = 0.1
"""How long no connection is accepted after that has failed for want of descriptors."""


class PeerState:
    """What a process keeps with a connection to a peer.

    Attributes:
        calls: Calls in flight on it, by number.
        answering: The call whose answer is being handled now, until all of it is done.
        answered: Whose calls were answered by what is being handled now.
        insisted: Until when to signal the peer for a call, by number, see `PendingCall.insist`.
        insisting: Whether the next signal is due.
        granted: Numbers of the segment holds that the peer has.
        functions: Keys of the functions that the peer knows.
        on_close: Called with (connection, why) when it has closed.
        outgoing: Whether this process made the connection.
        pid: The peer's process id, 0 where it is not known.
        waiting: In a worker: the peer's calls that have not begun, by number. Whoever takes one out decides what
            becomes of it: the thread that runs it, or the one that cancels it or gives it back.
        running: In a worker: the peer's calls that run.
    """

    __slots__ = (
        "answered",
        "answering",
        "calls",
        "functions",
        "granted",
        "insisted",
        "insisting",
        "on_close",
        "outgoing",
        "pid",
        "running",
        "waiting",
    )

    def __init__(self, outgoing: bool) -> None:
        self.calls: dict[int, Any] = {}
        self.answered: Any = None
        self.answering: Any = None
        self.insisted: dict[int, float] = {}
        self.insisting = False
        self.granted: set[int] = set()
        self.functions: set[bytes] = set()
        self.on_close: Callable[[Connection, str], None] | None = None
        self.outgoing = outgoing
        self.pid = 0
        self.waiting: dict[int, Any] = {}
        self.running: dict[int, Any] = {}


class Peers:
    """The peer connections of one process, and the socket that it listens on."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lock = threading.Lock()
        self._outgoing: dict[bytes, Connection] = {}
        self._incoming: set[Connection] = set()
        self._listener: socket.socket | None = None
        self.on_caller_gone: Callable[[Connection], None] | None = None
        """Set in a worker: called when a process that has called it has gone."""
        self._path = sockets.process_socket_path(process.directory, process.process_id)
        self.handlers: dict[type, Callable[[Connection, Any], None]] = {
            messages.Fetch: lambda c, m: process.references.answer(c, m.object_id),
            messages.Fetched: lambda c, m: process.references.fetched(c, m.object_id, m.value),
            messages.AddBorrow: lambda c, m: process.references.add_tokens(m.object_id, m.process_id, m.tokens),
            messages.ReleaseBorrow: lambda c, m: process.references.add_tokens(m.object_id, c.peer_id, -m.tokens),
            messages.ReleaseSegment: self._on_release_segment,
        }

    # ---------------------------------------------------------------------------------------------------- listening

    def listen(self) -> None:
        """Open the socket that others connect to."""
        self._listener = sockets.listen(self._path)
        self._listener.setblocking(False)
        self._accept_on()

    def _accept_on(self) -> None:
        if self._listener is not None:
            self._process.reactor.register(self._listener.fileno(), selectors.EVENT_READ, self._on_connect)

    def _on_connect(self, mask: int) -> None:
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
                self._process.reactor.unregister(self._listener.fileno())
                self._process.reactor.call_later(BREATHER_S, self._accept_on)
                return
            try:
                sockets.check_peer(sock)
            except OSError:  # another user's, or gone already
                sock.close()
                continue
            connection = Connection(
                self._process.reactor, sock, peer_codec(), self._on_first_message, self._on_incoming_closed
            )
            connection.state = PeerState(outgoing=False)
            with self._lock:
                self._incoming.add(connection)
            connection.start()
            self._process.reactor.call_later(HELLO_WITHIN_S, _dismissal(connection))

    def _on_first_message(self, connection: Connection, message: Any) -> None:
        if connection.peer_id:  # what came in one batch with the Hello
            self.dispatch(connection, message)
            return
        if type(message) is not messages.Hello or message.version != messages.PROTOCOL_VERSION:
            raise FrameError("the peer did not say Hello in this protocol's version")
        connection.peer_id = message.process_id
        connection.hand_to(self.dispatch)

    # --------------------------------------------------------------------------------------------------- connecting

    def connect(self, process_id: bytes) -> Connection | None:
        """Return the connection to a process, made now if there is none; None if the process is gone. Any thread."""
        with self._lock:
            connection = self._outgoing.get(process_id)
            if connection is not None and not connection.closed:
                return connection
            try:
                sock = sockets.connect(sockets.process_socket_path(self._process.directory, process_id), 2.0)
                sockets.check_peer(sock)
            except (OSError, PermissionError):
                return None
            connection = Connection(self._process.reactor, sock, peer_codec(), self.dispatch, self._on_outgoing_closed)
            connection.peer_id = process_id
            connection.state = PeerState(outgoing=True)
            connection.after_batch = self._process.replies.after_batch
            self._outgoing[process_id] = connection
            hello = messages.Hello(
                messages.PROTOCOL_VERSION, self._process.process_id, os.getpid(), "peer", __version__
            )
            connection.send(hello)
        connection.start()
        return connection

    # ------------------------------------------------------------------------------------------------------- events

    def dispatch(self, connection: Connection, message: Any) -> None:
        """Hand a message to whom it is for. The leader's thread."""
        handler = self.handlers.get(type(message))
        if handler is None:
            raise FrameError(f"unexpected message {type(message).__name__}")
        handler(connection, message)

    def _on_release_segment(self, connection: Connection, message: messages.ReleaseSegment) -> None:
        if message.segment_id in connection.state.granted:
            connection.state.granted.discard(message.segment_id)
            self._process.store.released(message.segment_id)

    def _on_incoming_closed(self, connection: Connection, why: str) -> None:
        with self._lock:
            self._incoming.discard(connection)
        self._on_closed(connection, why)
        if self.on_caller_gone is not None:
            self.on_caller_gone(connection)
        if connection.peer_id:
            self._process.references.process_gone(connection.peer_id)

    def _on_outgoing_closed(self, connection: Connection, why: str) -> None:
        with self._lock:
            if self._outgoing.get(connection.peer_id) is connection:
                del self._outgoing[connection.peer_id]
        self._on_closed(connection, why)
        self._process.references.process_gone(connection.peer_id)

    def _on_closed(self, connection: Connection, why: str) -> None:
        for number in list(connection.state.granted):
            self._process.store.lost(number)
        if connection.state.on_close is not None:
            connection.state.on_close(connection, why)

    def calls(self) -> list[Any]:
        """Return the calls in flight."""
        with self._lock:
            everyone = list(self._outgoing.values())
        return [call for connection in everyone for call in list(connection.state.calls.values())]

    def states(self) -> list[PeerState]:
        """Return what is kept with the connections that others have made."""
        with self._lock:
            return [connection.state for connection in self._incoming]

    def unsent(self) -> list[Connection]:
        """Return the connections that still have something to send."""
        with self._lock:
            everyone = [*self._outgoing.values(), *self._incoming]
        return [connection for connection in everyone if connection.unsent]

    def forget(self) -> None:
        """In a forked child: close the copies of the sockets. Takes no lock: a thread that is not here may hold it."""
        for connection in [*self._outgoing.values(), *self._incoming]:
            connection.sock.close()
        if self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """Close everything. Called when the process leaves; no callback of an actor or task fires for it."""
        with self._lock:
            everyone = [*self._outgoing.values(), *self._incoming]
            listener, self._listener = self._listener, None
        if listener is not None:
            self._process.reactor.unregister(listener.fileno())
            listener.close()
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
        for connection in everyone:
            connection.close("this process leaves")


def _dismissal(connection: Connection) -> Callable[[], None]:
    """Return what closes a connection that has not said Hello by then. It does not keep one that has gone."""
    there = weakref.ref(connection)

    def dismiss() -> None:
        found = there()
        if found is not None and not found.peer_id:
            found.close(f"the process at the other end has not said within {HELLO_WITHIN_S:g} s which one it is")

    return dismiss
