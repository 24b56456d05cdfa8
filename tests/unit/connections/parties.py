"""Processes that connect to each other: the `Peers` and the `NodeLink` of each. The test speaks for the node."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from members import Node
from stepped_reactor import SteppedReactor

from nbactors.local.connections.connection import Connection
from nbactors.local.connections.node_link import NodeLink
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.connections.peers import Peers
from nbactors.local.membership import Membership
from nbactors.local.wire import ids, messages


class Party:
    """The connections of one process. A party serves its own `Peers` as door and as owner.

    Attributes:
        arrived: The messages of other parties, each with the id of the sending process.
        closed: The reasons of `Owner.on_closed`.
        gone: The process ids of `Owner.on_process_gone`.
        lost: The process ids of `Owner.on_lost`.
        batches: How often `Owner.after_batch` was called.
        others: The parties that this party can reach, by process id.
        reached: How often `reach` was called.
        admits: Whether a new socket is admitted at once; else the test calls `admit`.
        waiting: The sockets that wait for `admit`.
    """

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        self.process_id = ids.new_process_id()
        self.membership = Membership(self.process_id)
        self.arrived: list[tuple[bytes, Any]] = []
        self.closed: list[str] = []
        self.gone: list[bytes] = []
        self.lost: list[bytes] = []
        self.batches = 0
        self.others: dict[bytes, Party] = {}
        self.reached = 0
        self.admits = True
        self.waiting: list[socket.socket] = []
        self.on_equip: Callable[[PeerConnection], None] = lambda connection: None
        self._sockets: list[socket.socket] = []
        self.node = NodeLink(reactor, self._hear, self._lose_node)
        self.node_end = Node.of(self.node)
        self.peers = Peers(self.membership, reactor, self.node, self, self)
        for kind in (messages.Call, messages.Reply, messages.Run, messages.Fetch):
            self.peers.handlers[kind] = self.take
        self.node.start(self.process_id, "session", "1")

    def take(self, connection: Connection, message: Any) -> None:
        """Handle a message: append the message to `arrived`."""
        self.arrived.append((connection.peer_id, message))

    @property
    def numbers(self) -> list[int]:
        """The numbers of the calls and answers that have arrived."""
        return [message.number for _, message in self.arrived]

    def to(self, other: Party) -> PeerConnection:
        """Return the connection to another party."""
        connection = self.peers.connect(other.process_id)
        assert isinstance(connection, PeerConnection)
        return connection

    def admit(self) -> None:
        """Admit the next waiting socket."""
        self.peers.admit(self.waiting.pop(0))

    def cut(self, other: Party) -> None:
        """Break the socket of the connection to another party; bytes on the way are lost."""
        self.to(other).lose("the network is lost")

    def close(self) -> None:
        """Close all sockets."""
        self.membership.has_left = True
        self.peers.close()
        self.node.close()
        self.node_end.close()
        for sock in (*self._sockets, *self.waiting):
            sock.close()

    # What it is told by the node.

    def _hear(self, message: Any) -> None:
        assert type(message) is messages.ProcessGone
        self.peers.on_process_gone(message)

    def _lose_node(self, why: str) -> None:
        self.peers.node_lost(why)

    # What `Peers` asks of a door.

    def reach(self, process_id: bytes, timeout: float) -> socket.socket:
        self.reached += 1
        other = self.others.get(process_id)
        if other is None:
            raise ConnectionRefusedError(process_id.hex())
        ours, theirs = socket.socketpair()
        self._sockets += (ours, theirs)
        if other.admits:
            self.reactor.discard(lambda: other.peers.admit(theirs))
        else:
            other.waiting.append(theirs)
        return ours

    # What `Peers` tells its owner.

    def equip(self, connection: PeerConnection) -> None:
        self.on_equip(connection)

    def after_batch(self, connection: Connection) -> None:
        self.batches += 1

    def on_closed(self, connection: PeerConnection, why: str) -> None:
        self.closed.append(why)

    def on_process_gone(self, process_id: bytes) -> None:
        self.gone.append(process_id)

    def on_lost(self, process_id: bytes) -> None:
        self.lost.append(process_id)
