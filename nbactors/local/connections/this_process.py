"""What the connections to peers need of this process. For type checkers: nothing imports this when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.store.segments import SegmentStore
    from nbactors.local.wire import messages


class Counting(Protocol):
    """Counts who else holds references, see `References`."""

    def answer(self, connection: Connection, oid: bytes) -> None:
        """A borrower asks for a value."""

    def fetched(self, connection: Connection, oid: bytes, value: messages.Value | None) -> None:
        """An owner has answered."""

    def add_tokens(self, oid: bytes, receiver: bytes, tokens: int) -> None:
        """Count, as the owner."""

    def process_gone(self, process_id: bytes) -> None:
        """A process has died."""

    def ask_again(self, owner: bytes) -> None:
        """A connection was lost to a process that lives."""


class Answered(Protocol):
    """Takes in the answers to calls, see `Replies`."""

    def after_batch(self, connection: Connection) -> None:
        """All that had arrived was handled."""


class ThisProcess(Protocol):
    """What the connections to peers need of this process."""

    @property
    def process_id(self) -> bytes:
        """16 bytes."""

    @property
    def directory(self) -> str:
        """The node's folder, where sockets lie."""

    @property
    def closed(self) -> bool:
        """Whether it has left."""

    @property
    def reactor(self) -> Reactor:
        """The event loop."""

    @property
    def node(self) -> NodeLink:
        """The connection to the node, once it has joined."""

    @property
    def store(self) -> SegmentStore:
        """Where large values lie."""

    @property
    def references(self) -> Counting:
        """Counts who else holds references."""

    @property
    def replies(self) -> Answered:
        """Takes in the answers to calls."""
