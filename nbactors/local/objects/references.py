"""Who else holds references to our objects, and which of others we hold. See this room's `__init__`."""

from __future__ import annotations

import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.wire import failures, ids, messages
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.home import Home
    from nbactors.local.reactor.reactor import Reactor


class References:
    """The reference tables of one process. Methods: any thread, unless they say otherwise.

    There is no lock, as everywhere where handlers and finalizers may come: to count in a table, and to take away one
    that is empty, is one step each.

    Args:
        home: Where the entries belong that it makes.
        process_id: This process's, 16 bytes.
        reactor: Runs what a finalizer may not do itself.
        peers: The connections to the owners.
        node: Tells of the end of each process that something was lent to.
    """

    def __init__(self, home: Home, process_id: bytes, reactor: Reactor, peers: Peers, node: NodeLink) -> None:
        self._home = home
        self._process_id = process_id
        self._reactor = reactor
        self._peers = peers
        self._node = node
        self.borrows = False
        """Whether this process has ever borrowed: if not, `wait` need not look for objects to ask for."""
        self._canonical: weakref.WeakValueDictionary[bytes, ObjectRef[Any]] = weakref.WeakValueDictionary()
        self._exported: dict[bytes, Entry] = {}
        self._tokens: dict[bytes, defaultdict[bytes, int]] = {}
        self._pinned: list[ObjectRef[Any]] = []
        self._lent_to: dict[bytes, set[bytes]] = {}
        """Which own objects a process is counted for. The node tells of the end of each that is in here."""

    # ------------------------------------------------------------------------------------------------------- owning

    def export(self, entry: Entry, ref: ObjectRef[Any]) -> None:
        """An own reference is about to travel: it can be asked for by its id from now on."""
        self._canonical[entry.id] = ref

    def pin(self, ref: ObjectRef[Any]) -> None:
        """Keep a reference for the life of the process."""
        self._pinned.append(ref)

    def grant(self, ref: ObjectRef[Any], receiver: bytes) -> bytes:
        """Count `receiver` as a borrower of `ref`; returns the id to put into the message."""
        entry = ref._entry
        oid: bytes = entry.id
        if entry.owner == self._process_id:
            self.add_tokens(oid, receiver, 1, entry)
        else:
            connection = self._peers.connect(entry.owner)
            if connection is not None:
                connection.send_now(messages.AddBorrow(oid, receiver, 1))
        return oid

    def add_tokens(self, oid: bytes, receiver: bytes, tokens: int, entry: Entry | None = None) -> None:
        """Count, as the owner."""
        if entry is None:
            entry = self.exported(oid)
        tables = self._tokens
        while True:
            counts = tables.setdefault(oid, defaultdict(int))
            counts[receiver] += tokens
            if tables.get(oid) is counts:
                break  # else it was taken away, empty, before this was counted in it
        if not counts[receiver]:
            del counts[receiver]
        if counts:
            if entry is not None:
                self._exported[oid] = entry
        else:
            try:
                if not counts and tables[oid] is counts:
                    del tables[oid]
                    del self._exported[oid]
            except KeyError:  # another thread has done so, or it was not exported
                pass
        if receiver != self._process_id:
            self._note_lent(oid, receiver, counts)

    def _note_lent(self, oid: bytes, receiver: bytes, counts: defaultdict[bytes, int]) -> None:
        """Note whether an object is counted for a process, so that its end is noticed and costs no look at others."""
        lent_to = self._lent_to
        if receiver not in counts:
            oids = lent_to.get(receiver)
            if oids is None:
                return
            oids.discard(oid)
            if receiver not in counts:
                return
        while True:  # also what was counted by another thread meanwhile
            oids = lent_to.get(receiver)
            if oids is None:
                oids = lent_to.setdefault(receiver, set())
                self._node.send(messages.Watch(receiver))
            oids.add(oid)
            if lent_to.get(receiver) is oids:
                break  # else that process has gone just now, and the node is asked once more

    def process_gone(self, process_id: bytes) -> None:
        """A process has died: its counts go. The leader's thread."""
        lent = self._lent_to.get(process_id)
        while lent:
            for oid in list(lent):
                counts = self._tokens.get(oid)
                tokens = counts.get(process_id) if counts is not None else None
                if tokens:
                    self.add_tokens(oid, process_id, -tokens)
                else:
                    lent.discard(oid)
        if not lent:  # one step with the next: what another thread adds it adds before, or finds this gone
            self._lent_to.pop(process_id, None)

    def exported(self, oid: bytes) -> Entry | None:
        """Return the entry of an own object that others may ask for."""
        entry = self._exported.get(oid)
        if entry is None:
            ref = self._canonical.get(oid)
            entry = ref._entry if ref is not None else None
        return entry

    # ---------------------------------------------------------------------------------------------------- borrowing

    def obtain(self, oid: bytes, tokens: int = 0) -> ObjectRef[Any]:
        """Return this process's reference for an id, with `tokens` more to give back.

        With no tokens and no reference here already, the user unpickled by himself: then we count ourselves.
        """
        own = ids.owner_of(oid) == self._process_id
        counts = not own and not tokens and self._canonical.get(oid) is None
        ref = self.known(oid)
        if counts:
            tokens = 1
        if not own:
            ref._entry.tokens += tokens
        if own and tokens:
            self.add_tokens(oid, self._process_id, -tokens, ref._entry)
        if counts:
            connection = self._peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send(messages.AddBorrow(oid, self._process_id, 1))
        return ref

    def known(self, oid: bytes) -> ObjectRef[Any]:
        """Return this process's reference for an id, and count nothing."""
        ref = self._canonical.get(oid)
        if ref is None:
            own = ids.owner_of(oid) == self._process_id
            ref = self._canonical[oid] = ObjectRef(self._entry(oid, own))
        return ref

    def canonical(self, entry: Entry) -> ObjectRef[Any]:
        """Return this process's one reference to a borrowed object."""
        ref = self._canonical.get(entry.id)
        if ref is None:
            ref = self._canonical[entry.id] = ObjectRef(entry)
        return ref

    def _entry(self, oid: bytes, own: bool) -> Entry:
        if not own:
            return BorrowedEntry(self._home, oid)
        entry = self._exported.get(oid)
        if entry is None:
            entry = Entry(self._home, ids.number_of(oid), ids.index_of(oid))
            entry.lose(failures.object_lost(oid))
        return entry

    def release(self, oid: bytes, tokens: int) -> None:
        """The last local reference to a borrowed object is gone. Called by a finalizer, therefore only posts."""
        peers = self._peers

        def give_back() -> None:
            connection = peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send(messages.ReleaseBorrow(oid, tokens))

        self._reactor.discard(give_back)

    @property
    def lent(self) -> int:
        """How many own objects others hold; for tests."""
        return len(self._exported)
