"""The connections between this process and other sessions and workers. See this room's `__init__`."""

from __future__ import annotations

import itertools
import os
import socket
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from nbactors.local.connections.connection import Connection
from nbactors.local.connections.node_link import NodeLink
from nbactors.local.connections.peer_connection import GIVEN_UP, PeerConnection
from nbactors.local.membership import Membership
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameError, PeerCodec
from nbactors.version import __version__

HELLO_WITHIN_S = 10.0
"""Seconds within which a process that has connected must say which process it is."""

CONNECT_S = 2.0
RECONNECT_S = 0.05
"""Seconds to wait for a connection while the other side's queue is full: of a calling thread, and of the leader."""

FIRST_DELAY_S = 0.01
LAST_DELAY_S = 0.5
"""The pause between two attempts to make a socket anew grows from the first to the second."""

READ_OUT_S = 2.0
"""Seconds for which the socket of an ended process is read on: a child of that process may keep it open for longer."""

REMEMBERED = 1000
"""The most ended processes that are remembered. A connection to a forgotten one asks the node again."""

_ONCE = frozenset(
    {messages.Call, messages.Run, messages.Construct, messages.AskNext, messages.ReleaseBorrow, messages.PutBack}
)
"""Messages whose effect must not come twice, see `Connection.begin_once`."""


class Reaching(Protocol):
    """Makes sockets to other processes, see `Door`."""

    def reach(self, process_id: bytes, timeout: float) -> socket.socket:
        """Connect to a process within `timeout` seconds; raise OSError if that fails."""


class Owner(Protocol):
    """The part of the process that `Peers` tells of connections. Called on the leader's thread, but for `equip`."""

    def equip(self, connection: PeerConnection) -> None:
        """Give a fresh connection the records that other rooms keep with it. Any thread."""

    def after_batch(self, connection: Connection) -> None:
        """All messages that had arrived on an outgoing connection were handled."""

    def on_closed(self, connection: PeerConnection, why: str) -> None:
        """A connection is closed for good."""

    def on_process_gone(self, process_id: bytes) -> None:
        """A process has ended, and all its messages were read."""

    def on_lost(self, process_id: bytes) -> None:
        """A connection to a living process is closed: open requests to that process will not be answered on it."""


class Peers:
    """The peer connections of one process.

    Args:
        membership: Knows this process's id, and whether it has left the node.
        reactor: Watches the sockets.
        node: Tells which process has ended.
        door: Makes the sockets.
        owner: Is told of connections and processes.

    Attributes:
        handlers: The function that handles a message, by the message's type. Called on the leader's thread.
    """

    def __init__(self, membership: Membership, reactor: Reactor, node: NodeLink, door: Reaching, owner: Owner) -> None:
        self._membership = membership
        self._reactor = reactor
        self._node = node
        self._door = door
        self._owner = owner
        self._outgoing: dict[bytes, PeerConnection] = {}
        self._incoming: set[PeerConnection] = set()
        self._links: dict[tuple[bytes, int], PeerConnection] = {}
        self._callers: dict[bytes, set[PeerConnection]] = {}
        """The connections of `_incoming` whose process has said Hello, by its process id."""
        self._given_up: dict[bytes, set[int]] = {}
        self._numbers = itertools.count(1)
        self._gone: dict[bytes, str] = {}
        self.handlers: dict[type, Callable[[Any, Any], None]] = {messages.Attach: self._on_attach}
        self.handlers[messages.Hello] = self._on_hello

    # ---------------------------------------------------------------------------------------------------- accepting

    def admit(self, sock: socket.socket) -> None:
        """Take the socket of a process that has connected. The leader's thread."""
        connection = PeerConnection(
            self._reactor, sock, self._on_hello, self._on_incoming_closed, self._on_incoming_broken
        )
        self._owner.equip(connection)
        self._incoming.add(connection)
        connection.start()
        self._reactor.call_later(HELLO_WITHIN_S, _dismissal(connection))

    def _on_hello(self, connection: Connection, message: Any) -> None:
        """Handle a connection's first message, more than once where that is interrupted."""
        if type(message) is not messages.Hello or message.version != messages.PROTOCOL_VERSION:
            raise FrameError("the peer did not say Hello in this protocol's version")
        if connection.peer_id not in (b"", message.process_id):
            raise FrameError("the peer said Hello for another process")
        connection.peer_id = message.process_id
        assert isinstance(connection, PeerConnection)
        self._callers.setdefault(connection.peer_id, set()).add(connection)
        connection.hand_to(self.dispatch)
        connection.route(self.handlers, _ONCE)

    def _on_attach(self, connection: Connection, message: messages.Attach) -> None:
        """Tie a socket to its connection, a new one or one whose socket has broken. The leader's thread."""
        assert isinstance(connection, PeerConnection)
        key = (connection.peer_id, message.link)
        known = self._links.get(key)
        if known is not None:
            self._forget_caller(connection)
            if not message.resume:
                # This is the connection's first socket, read after the socket that has replaced it. The peer has sent
                # its frames again on the replacement. Were they also read here, their calls would run twice.
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
        """Return the connection to a process; make it if there is none. Any thread.

        Returns:
            The connection, which may not have a socket yet: messages sent on it go out when it has one. None if the
            node has told that the process has ended, or if the process cannot be reached and the node is gone.
        """
        while True:
            known = self._outgoing.get(process_id)
            if known is not None and not known.closed:
                if known.attempt is not None:
                    # The code that makes the socket may be interrupted by this very code, which may wait for an answer.
                    self._reactor.call_later(FIRST_DELAY_S, partial(self._make_again, known, known.attempt))
                return known
            if process_id in self._gone:
                return None
            connection = PeerConnection(
                self._reactor, None, self.dispatch, self._on_outgoing_closed, self._on_outgoing_broken
            )
            connection.link = next(self._numbers)
            connection.peer_id = process_id
            connection.is_outgoing = True
            connection.attempt = object()
            connection.route(self.handlers, _ONCE)
            connection.after_batch = self._owner.after_batch
            self._owner.equip(connection)
            try:
                if self._add(process_id, connection, known):
                    made = self._connect(connection)
                    connection.attempt = None
                    return made
            except BaseException:
                # Others may wait for what they have sent on it: the leader makes the socket, or goes on with it.
                if self._outgoing.get(process_id) is connection:
                    self._reactor.call_later(0, partial(self._reconnect, connection))
                raise

    def _add(self, process_id: bytes, connection: PeerConnection, known: PeerConnection | None) -> bool:
        """Have all threads find a connection in place of a closed one; return False if another thread was faster."""
        if known is None:
            return self._outgoing.setdefault(process_id, connection) is connection
        if self._outgoing.get(process_id) is known:
            self._outgoing[process_id] = connection
            return True
        return False

    def _connect(self, connection: PeerConnection) -> PeerConnection | None:
        """Make the first socket of a connection; what other threads send meanwhile goes out with `begin`."""
        sock = self._reach(connection.peer_id, messages.Attach(connection.link, False, 0), CONNECT_S)
        if sock is not None:
            connection.begin(sock)
        elif self._node.lost:
            self._reactor.discard(partial(connection.close, "it could not be reached"))
            return None
        else:
            self._on_outgoing_broken(connection, "it could not be reached")
        return connection

    def _reach(self, process_id: bytes, attach: messages.Attach, timeout: float) -> socket.socket | None:
        """Connect to a process and tell it which connection the socket is for; return None if that fails."""
        hello = messages.Hello(messages.PROTOCOL_VERSION, self._membership.process_id, os.getpid(), "peer", __version__)
        try:
            sock = self._door.reach(process_id, timeout)
        except OSError:
            return None
        try:
            sock.sendall(PeerCodec().encode([hello, attach]))
        except OSError:
            sock.close()
            return None
        return sock

    def _on_outgoing_broken(self, connection: PeerConnection, why: str) -> None:
        """Make the socket anew, unless the other process is known to have ended. The leader's thread."""
        if self.is_final(connection.peer_id):
            connection.close(why)
            return
        self._node.send_now(messages.Watch(connection.peer_id))
        delay = min(FIRST_DELAY_S * 2**connection.tries, LAST_DELAY_S) if connection.tries else 0.0
        self._reactor.call_later(delay, lambda: self._reconnect(connection))

    def _make_again(self, connection: PeerConnection, attempt: object) -> None:
        """Make the socket of a connection, unless the code that has begun to do so has come to its end."""
        if connection.attempt is attempt:
            self._reconnect(connection)

    def _reconnect(self, connection: PeerConnection) -> None:
        """Make a socket that goes on with a connection. The leader's thread."""
        if connection.closed:
            return
        attempt = connection.attempt = object()
        # A handler that interrupts this, and waits for an answer on the connection, makes the socket first.
        self._reactor.discard(partial(self._make_again, connection, attempt))
        if connection.sock is not None:  # an exception or a handler came between taking the socket and using it
            connection.set_out()
        else:
            attach = messages.Attach(connection.link, True, connection.received)
            sock = self._reach(connection.peer_id, attach, RECONNECT_S)
            if sock is not None:
                connection.offer(sock)
            else:
                connection.lose("it could not be reached")
        connection.attempt = None

    def _on_incoming_broken(self, connection: PeerConnection, why: str) -> None:
        """Wait until the other process connects again, or the node says that it has ended. The leader's thread."""
        if not connection.link or self.is_final(connection.peer_id):
            connection.close(why)
        else:
            self._node.send_now(messages.Watch(connection.peer_id))

    def is_final(self, process_id: bytes) -> bool:
        """Return whether a process cannot be reached any more: it or the node has ended, or this process has left."""
        return process_id in self._gone or self._membership.has_left or bool(self._node.lost)

    # ------------------------------------------------------------------------------------------------------- events

    def dispatch(self, connection: Connection, message: Any) -> None:
        """Call the handler of a message. The leader's thread."""
        handler = self.handlers.get(type(message))
        if handler is None:
            raise FrameError(f"unexpected message {type(message).__name__}")
        if type(message) not in _ONCE or connection.begin_once(message):
            handler(connection, message)

    def on_process_gone(self, message: messages.ProcessGone) -> None:
        """Handle the node's word that a process has ended. The leader's thread.

        The sockets are still read to their ends, since they may hold answers that the process has sent before: also a
        socket on which a send has failed.
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
            self._owner.on_process_gone(process_id)
        for connection in theirs:
            if connection.sock is None:
                connection.close(text)
            else:
                self._reactor.call_later(READ_OUT_S, partial(connection.close, text))

    def watched(self) -> set[bytes]:
        """Return the processes whose connections are broken: the node tells whether they have ended. Any thread."""
        return {connection.peer_id for connection in self._everyone() if connection.broken and connection.peer_id}

    def node_lost(self, why: str) -> None:
        """Close connections without a socket: without the node they would wait for ever. The leader's thread."""
        for connection in self._everyone():
            if connection.sock is None:
                connection.close(why)

    def _forget_caller(self, connection: PeerConnection) -> None:
        self._incoming.discard(connection)
        callers = self._callers.get(connection.peer_id, set())
        callers.discard(connection)
        if not callers:
            self._callers.pop(connection.peer_id, None)

    def _on_incoming_closed(self, connection: Connection, why: str) -> None:
        assert isinstance(connection, PeerConnection)
        self._forget_caller(connection)
        key = (connection.peer_id, connection.link)
        if self._links.pop(key, None) is not None and not self.is_final(connection.peer_id):
            self._given_up.setdefault(connection.peer_id, set()).add(connection.link)
        self._owner.on_closed(connection, why)
        if self.is_final(connection.peer_id):
            self._owner.on_process_gone(connection.peer_id)

    def _on_outgoing_closed(self, connection: Connection, why: str) -> None:
        assert isinstance(connection, PeerConnection)
        if self._outgoing.get(connection.peer_id) is connection:
            self._outgoing.pop(connection.peer_id, None)
        self._owner.on_closed(connection, why)
        if self.is_final(connection.peer_id):
            self._owner.on_process_gone(connection.peer_id)
        else:
            self._owner.on_lost(connection.peer_id)

    def outgoing(self) -> list[PeerConnection]:
        """Return the connections that this process has made. Any thread."""
        return list(self._outgoing.values())

    def incoming(self) -> list[PeerConnection]:
        """Return the connections that other processes have made. Any thread."""
        return list(self._incoming)

    def unsent(self) -> list[Connection]:
        """Return the connections that still have something to send."""
        return [connection for connection in self._everyone() if connection.unsent]

    def _everyone(self) -> list[PeerConnection]:
        return [*self._outgoing.values(), *self._incoming]

    def forget(self) -> None:
        """In a forked child: close its copies of the sockets. Takes no lock: a thread of the parent may hold it."""
        for connection in self._everyone():
            connection.forget()

    def close(self) -> None:
        """Close all connections, when the process leaves the node."""
        for connection in self._everyone():
            connection.close("this process leaves")


def _dismissal(connection: Connection) -> Callable[[], None]:
    """Return a function that closes the connection if no Hello has come. It refers to the connection weakly."""
    there = weakref.ref(connection)

    def dismiss() -> None:
        found = there()
        if found is not None and not found.peer_id:
            found.close(f"the process at the other end has not said within {HELLO_WITHIN_S:g} s which one it is")

    return dismiss
