"""`Objects`: the parts of this room, put together for one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nbactors.local.objects.arenas import Arenas
from nbactors.local.objects.fetching import Fetching
from nbactors.local.objects.references import References
from nbactors.local.objects.streams import Streams
from nbactors.local.objects.unread import Unread
from nbactors.local.objects.values import Values
from nbactors.local.objects.waiting import Waiting

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.membership import Membership
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.store.segments import SegmentStore


class Objects:
    """The objects of one process. Each entry and stream refers to it as its `Home`.

    Args:
        membership: Tells whether this process has left the node.
        reactor: The event loop of this process.
        peers: The connections to other processes.
        node: The connection to the node.
        store: The shared memory for large values.
        numbers: Gives numbers to calls and objects.
        expect_trim: Called when a large value is stored.
    """

    def __init__(
        self,
        membership: Membership,
        reactor: Reactor,
        *,
        peers: Peers,
        node: NodeLink,
        store: SegmentStore,
        numbers: Iterator[int],
        expect_trim: Callable[[], None],
    ) -> None:
        self.membership = membership
        self.reactor = reactor
        self.unread = Unread(membership, reactor)
        self.references = References(self, reactor, peers, node)
        self.arenas = Arenas(store.allocator, reactor.wait, lambda: not reactor.leads())
        self.values = Values(store, self.arenas, self.references, self.unread, expect_trim)
        self.fetching = Fetching(peers, self.references, self.values)
        self.streams = Streams(self, peers, self.references, self.values, numbers)
        self.waiting = Waiting(reactor, membership, self.references, self.values, self.unread)

    @property
    def process_id(self) -> bytes:
        """The id of this process, 16 bytes."""
        return self.membership.process_id

    def process_gone(self, process_id: bytes) -> None:
        """Drop the counts of a process that has died, and lose the objects that it owned. The leader's thread."""
        self.references.process_gone(process_id)
        self.fetching.owner_gone(process_id)
        self.streams.owner_gone(process_id)

    def ask_again(self, process_id: bytes) -> None:
        """Repeat open requests to a living process whose connection is closed. The leader's thread."""
        self.fetching.ask_again(process_id)
        self.streams.ask_again(process_id)
