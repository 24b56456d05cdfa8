"""The connections between this process and other sessions and workers. See this room's `__init__`."""

from __future__ import annotations

import itertools
import os
import selectors
import socket
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.local import sockets
from nbactors.local.connections.connection import Connection
from nbactors.local.connections.peer_connection import GIVEN_UP, PeerConnection
from nbactors.local.connections.peer_state import PeerState
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameError, PeerCodec
from nbactors.version import __version__

if TYPE_CHECKING:
    from nbactors.local.connections.this_process import ThisProcess


HELLO_WITHIN_S = 10.0
"""What a process that has connected may take to say which one it is."""

BREATHER_S = 0.1
"""How long no connection is accepted after that has failed for want of descriptors."""

CONNECT_S = 2.0
RECONNECT_S = 0.05
"""How long a socket is waited for while the other side's queue of connections is full; the second is for the leader."""

FIRST_DELAY_S = 0.01
LAST_DELAY_S = 0.5
"""The time between two tries to make a socket anew grows from the first to the second."""

READ_OUT_S = 2.0
"""How long what a process has sent before it ended is read: a child of its own may keep the socket open."""

REMEMBERED = 1000
"""Most processes that are known to have ended; of the others the node is asked again."""


_ONCE = frozenset(
    {messages.Call, messages.Run, messages.Construct, messages.AskNext, messages.ReleaseBorrow, messages.PutBack}
)
"""Messages that must not be handled twice, see `Connection.begin_once`."""


class Peers:
    """The peer connections of one process, and the socket that it listens on."""

    def __init__(self, process: ThisProcess) -> None:
        self._process = process
        self._outgoing: dict[bytes, PeerConnection] = {}
        self._incoming: set[PeerConnection] = set()
        self._links: dict[tuple[bytes, int], PeerConnection] = {}
        self._callers: dict[bytes, set[PeerConnection]] = {}
        """Those of `_incoming` that have said whose they are."""
        self._given_up: dict[bytes, set[int]] = {}
        self._numbers = itertools.count(1)
        self._gone: dict[bytes, str] = {}
        self._listener: socket.socket | None = None
        self._file: tuple[int, int] | None = None
        """Tells the socket's file from others at that path."""
        self.on_caller_gone: Callable[[Connection], None] | None = None
        """Set in a worker: called when a process that has called it has gone."""
        self._path = sockets.process_socket_path(process.directory, process.process_id)
        self.handlers: dict[type, Callable[[Connection, Any], None]] = {
            messages.Fetch: lambda c, m: process.references.answer(c, m.object_id),
            messages.Fetched: lambda c, m: process.references.fetched(c, m.object_id, m.value),
            messages.AddBorrow: lambda c, m: process.references.add_tokens(m.object_id, m.process_id, m.tokens),
            messages.ReleaseBorrow: lambda c, m: process.references.add_tokens(m.object_id, c.peer_id, -m.tokens),
            messages.ReleaseSegment: self._on_release_segment,
            messages.Attach: self._on_attach,
        }

    # ---------------------------------------------------------------------------------------------------- listening

    def listen(self) -> None:
        """Open the socket that others connect to."""
        listener = sockets.listen(self._path)
        listener.setblocking(False)
        self._listener = listener
        self._accept_on()
        # Last: until then `listen_again` begins anew.
        self._file = sockets.identity(self._path)

    def listen_again(self) -> None:
        """The file of the socket was removed, as the node tells: make it anew. The leader's thread.

        If that fails the node tells again. An exception from outside may tear it; then it is called again.
        """
        old = self._listener
        if old is None or sockets.identity(self._path) == self._file:
            return
        self._on_connect(selectors.EVENT_READ)  # who waits at the old one
        try:
            self._process.reactor.unregister(old.fileno())
            self.listen()
        except OSError:
            return
        old.close()

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
            connection = PeerConnection(
                self._process.reactor, sock, self._on_first_message, self._on_incoming_closed, self._on_incoming_broken
            )
            connection.state = PeerState(outgoing=False)
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
        assert isinstance(connection, PeerConnection)
        self._callers.setdefault(connection.peer_id, set()).add(connection)
        connection.hand_to(self.dispatch)

    def _on_attach(self, connection: Connection, message: messages.Attach) -> None:
        """A process has connected, for the first time or again. The leader's thread."""
        assert isinstance(connection, PeerConnection)
        key = (connection.peer_id, message.link)
        known = self._links.get(key)
        if known is not None:
            self._forget_caller(connection)
            if not message.resume:
                # The first socket, which has broken, is read after the one that was made in its place. What it holds
                # was sent again on that one: read here too, its calls would run twice.
                connection.close("another socket has taken its place")
                return
        elif message.link not in self._given_up.get(connection.peer_id, ()):
            self._links[key] = connection
            connection.link = message.link
        if known is not None:
            known.adopt(connection, message.received)
        elif message.resume:
            connection.confirm(0 if connection.link else GIVEN_UP)

    # --------------------------------------------------------------------------------------------------- connecting

    def connect(self, process_id: bytes) -> Connection | None:
        """Return the connection to a process, made now if there is none. Any thread.

        Returns:
            None if the process has ended, as the node has told, or cannot be reached and there is no node to ask.
            Else the connection may still be without a socket; what is sent on it goes out when it has one.
        """
        while True:
            known = self._outgoing.get(process_id)
            if known is not None and not known.closed:
                return known
            if process_id in self._gone:
                return None
            connection = PeerConnection(
                self._process.reactor, None, self.dispatch, self._on_outgoing_closed, self._on_outgoing_broken
            )
            connection.link = next(self._numbers)
            connection.peer_id = process_id
            connection.state = PeerState(outgoing=True)
            connection.after_batch = self._process.replies.after_batch
            if known is None:
                if self._outgoing.setdefault(process_id, connection) is connection:
                    break
            elif self._outgoing.get(process_id) is known:
                self._outgoing[process_id] = connection
                break
        # It is there for all threads before it has a socket: what they send meanwhile goes out when it has one.
        try:
            sock = self._reach(process_id, messages.Attach(connection.link, False, 0), CONNECT_S)
        except BaseException:
            self._process.reactor.call_later(0, partial(self._reconnect, connection))
            raise
        if sock is not None:
            connection.begin(sock)
        elif self._process.node.lost:
            connection.close("it could not be reached")
            return None
        else:
            self._on_outgoing_broken(connection, "it could not be reached")
        return connection

    def _reach(self, process_id: bytes, attach: messages.Attach, timeout: float) -> socket.socket | None:
        """Connect to a process and say which connection the socket is for; None if that fails."""
        hello = messages.Hello(messages.PROTOCOL_VERSION, self._process.process_id, os.getpid(), "peer", __version__)
        try:
            sock = sockets.connect(sockets.process_socket_path(self._process.directory, process_id), timeout)
        except OSError:
            return None
        try:
            sock.sendall(PeerCodec().encode([hello, attach]))
        except OSError:
            sock.close()
            return None
        return sock

    def _on_outgoing_broken(self, connection: PeerConnection, why: str) -> None:
        """Make the socket anew, unless the other process is known to have ended."""
        if self.is_final(connection.peer_id):
            connection.close(why)
            return
        self._process.node.send_now(messages.Watch(connection.peer_id))
        delay = min(FIRST_DELAY_S * 2**connection.tries, LAST_DELAY_S) if connection.tries else 0.0
        self._process.reactor.call_later(delay, lambda: self._reconnect(connection))

    def _reconnect(self, connection: PeerConnection) -> None:
        if connection.closed:
            return
        attach = messages.Attach(connection.link, True, connection.received)
        sock = self._reach(connection.peer_id, attach, RECONNECT_S)
        if sock is not None:
            connection.offer(sock)
        else:
            connection.lose("it could not be reached")

    def _on_incoming_broken(self, connection: PeerConnection, why: str) -> None:
        """Wait for the other process to connect again, or for word of its end."""
        if not connection.link or self.is_final(connection.peer_id):
            connection.close(why)
        else:
            self._process.node.send_now(messages.Watch(connection.peer_id))

    def is_final(self, process_id: bytes) -> bool:
        """Return whether no connection to a process will be had any more: it has ended, or this one or the node."""
        return process_id in self._gone or self._process.closed or bool(self._process.node.lost)

    # ------------------------------------------------------------------------------------------------------- events

    def dispatch(self, connection: Connection, message: Any) -> None:
        """Hand a message to whom it is for. The leader's thread."""
        handler = self.handlers.get(type(message))
        if handler is None:
            raise FrameError(f"unexpected message {type(message).__name__}")
        if type(message) in _ONCE and not connection.begin_once(message):
            return
        handler(connection, message)

    def _on_release_segment(self, connection: Connection, message: messages.ReleaseSegment) -> None:
        if message.segment_id in connection.state.granted:
            connection.state.granted.discard(message.segment_id)
            self._process.store.released(message.segment_id)

    def on_process_gone(self, message: messages.ProcessGone) -> None:
        """The node says that a process has ended. The leader's thread.

        Answers that it sent before may still be in the socket: that is read to its end.
        """
        process_id, text = message.process_id, message.text
        if len(self._gone) >= REMEMBERED:
            del self._gone[next(iter(self._gone))]
        self._gone[process_id] = text
        self._given_up.pop(process_id, None)
        theirs = list(self._callers.get(process_id, ()))
        outgoing = self._outgoing.get(process_id)
        if outgoing is not None:
            theirs.insert(0, outgoing)
        if not theirs:
            self._process.references.process_gone(process_id)
        for connection in theirs:
            if connection.broken:
                connection.close(text)
            else:
                self._process.reactor.call_later(READ_OUT_S, partial(connection.close, text))

    def node_lost(self, why: str) -> None:
        """Nobody can tell any more whether a process lives that cannot be reached. The leader's thread."""
        for connection in self._everyone():
            if connection.broken:
                connection.close(why)

    def _forget_caller(self, connection: PeerConnection) -> None:
        self._incoming.discard(connection)
        callers = self._callers.get(connection.peer_id)
        if callers is not None:
            callers.discard(connection)
            if not callers:
                self._callers.pop(connection.peer_id, None)

    def _on_incoming_closed(self, connection: Connection, why: str) -> None:
        assert isinstance(connection, PeerConnection)
        self._forget_caller(connection)
        key = (connection.peer_id, connection.link)
        if self._links.pop(key, None) is not None and not self.is_final(connection.peer_id):
            self._given_up.setdefault(connection.peer_id, set()).add(connection.link)
        self._on_closed(connection, why)
        if self.on_caller_gone is not None:
            self.on_caller_gone(connection)
        if self.is_final(connection.peer_id):
            self._process.references.process_gone(connection.peer_id)

    def _on_outgoing_closed(self, connection: Connection, why: str) -> None:
        if self._outgoing.get(connection.peer_id) is connection:
            self._outgoing.pop(connection.peer_id, None)
        self._on_closed(connection, why)
        if self.is_final(connection.peer_id):
            self._process.references.process_gone(connection.peer_id)
        else:
            self._process.references.ask_again(connection.peer_id)

    def _on_closed(self, connection: Connection, why: str) -> None:
        for number in list(connection.state.granted):
            self._process.store.lost(number)
        listeners = connection.state.listeners
        for listener, source in list(listeners.items()):
            source.remove_waiter(listener)
        listeners.clear()
        if connection.state.on_close is not None:
            connection.state.on_close(connection, why)

    def undefine(self, key: bytes) -> None:
        """A function is no more: its key will not be used again. The leader's thread."""
        for connection in list(self._outgoing.values()):
            functions = connection.state.functions
            if key in functions:
                connection.send(messages.Undefine(key))
                functions.discard(key)

    def calls(self) -> list[Any]:
        """Return the calls in flight."""
        return [call for connection in list(self._outgoing.values()) for call in list(connection.state.calls.values())]

    def states(self) -> list[PeerState]:
        """Return what is kept with the connections that others have made."""
        return [connection.state for connection in list(self._incoming)]

    def unsent(self) -> list[Connection]:
        """Return the connections that still have something to send."""
        return [connection for connection in self._everyone() if connection.unsent]

    def _everyone(self) -> list[PeerConnection]:
        return [*self._outgoing.values(), *self._incoming]

    def forget(self) -> None:
        """In a forked child: close the copies of the sockets. Takes no lock: a thread that is not here may hold it."""
        for connection in self._everyone():
            if connection.sock is not None:
                connection.sock.close()
        if self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """Close everything. Called when the process leaves; no callback of an actor or task fires for it."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._process.reactor.unregister(listener.fileno())
            listener.close()
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
        for connection in self._everyone():
            connection.close("this process leaves")


def _dismissal(connection: Connection) -> Callable[[], None]:
    """Return what closes a connection that has not said Hello by then. It does not keep one that has gone."""
    there = weakref.ref(connection)

    def dismiss() -> None:
        found = there()
        if found is not None and not found.peer_id:
            found.close(f"the process at the other end has not said within {HELLO_WITHIN_S:g} s which one it is")

    return dismiss
