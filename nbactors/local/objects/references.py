"""The counting of borrowers, at the owner and at the borrower. See "Borrowing" in this room's `__init__`."""

from __future__ import annotations

import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from nbactors.exceptions import reasons
from nbactors.local.objects import finding
from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.wire import failures, ids, messages
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.home import Home
    from nbactors.local.reactor.reactor import Reactor


class References:
    """The reference tables of one process. Methods run on any thread, unless they say otherwise.

    There is no lock: counting in a table, and removing an empty table, are one step each. A thread that has counted
    checks that its table was not removed in between, and counts again if so.

    Args:
        home: The home of the entries that this makes.
        reactor: Runs actions for finalizers, which may not send.
        peers: The connections to owners.
        node: Tells of the end of each borrower.
    """

    def __init__(self, home: Home, reactor: Reactor, peers: Peers, node: NodeLink) -> None:
        self._home = home
        self._reactor = reactor
        self._peers = peers
        self._node = node
        self.borrows = False
        """Whether this process has ever borrowed. If not, `get` and `wait` need not ask owners for values."""
        self._canonical: weakref.WeakValueDictionary[bytes, ObjectRef[Any]] = weakref.WeakValueDictionary()
        self._exported: dict[bytes, Entry] = {}
        self._tokens: dict[bytes, defaultdict[bytes, int]] = {}
        self._pinned: list[ObjectRef[Any]] = []
        self._lent_to: dict[bytes, set[bytes]] = {}
        """The own objects that a process borrows, by its id: its end then costs no search through all counts."""

    # ------------------------------------------------------------------------------------------------------- owning

    def export(self, entry: Entry, ref: ObjectRef[Any]) -> None:
        """Register an own reference that is about to travel, so that borrowers can ask for it by its id."""
        self._canonical[entry.id] = ref

    def pin(self, ref: ObjectRef[Any]) -> None:
        """Keep a reference for the life of the process."""
        self._pinned.append(ref)

    def grant(self, ref: ObjectRef[Any], receiver: bytes) -> bytes:
        """Count `receiver` as a borrower of `ref`; returns the id to put into the message."""
        entry = ref._entry
        oid: bytes = entry.id
        if entry.owner == self._home.process_id:
            self.add_tokens(oid, receiver, 1, entry)
        else:
            connection = self._peers.connect(entry.owner)
            if connection is not None:
                connection.send_now(messages.AddBorrow(oid, receiver, 1))
        return oid

    def add_tokens(self, oid: bytes, receiver: bytes, tokens: int, entry: Entry | None = None) -> None:
        """Add tokens to a receiver's count; a negative number takes tokens back. At the owner."""
        if entry is None:
            entry = self.exported(oid) if tokens < 0 else self._living(oid)
        tables = self._tokens
        while True:
            counts = tables.setdefault(oid, defaultdict(int))
            counts[receiver] += tokens
            if tables.get(oid) is counts:
                break  # else another thread has removed the empty table before this thread counted in it
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
            except KeyError:  # another thread has removed it, or the object was not exported
                pass
        if receiver != self._home.process_id:
            self._note_lent(oid, receiver, counts)

    def _note_lent(self, oid: bytes, receiver: bytes, counts: defaultdict[bytes, int]) -> None:
        """Note whether a process borrows an object, and have the node watch a process that does."""
        lent_to = self._lent_to
        if receiver not in counts:
            oids = lent_to.get(receiver)
            if oids is None:
                return
            oids.discard(oid)
            if receiver not in counts:
                return
        while True:  # the receiver has a count, perhaps one that another thread has added meanwhile
            oids = lent_to.get(receiver)
            if oids is None:
                oids = lent_to.setdefault(receiver, set())
                self._node.send(messages.Watch(receiver))
            oids.add(oid)
            if lent_to.get(receiver) is oids:
                break  # else the process has ended just now, and the node is asked once more

    def process_gone(self, process_id: bytes) -> None:
        """Drop the counts of a process that has died. The leader's thread."""
        lent = self._lent_to.get(process_id)
        while lent:
            for oid in list(lent):
                counts = self._tokens.get(oid)
                tokens = counts.get(process_id) if counts is not None else None
                if tokens:
                    self.add_tokens(oid, process_id, -tokens)
                else:
                    lent.discard(oid)
        if not lent:  # one step with `pop`: another thread adds before it, or finds the set removed and adds again
            self._lent_to.pop(process_id, None)

    def exported(self, oid: bytes) -> Entry | None:
        """Return the entry of an own object that a borrower may ask for; None if there is none with this id."""
        entry = self._exported.get(oid)
        if entry is None:
            ref = self._canonical.get(oid)
            entry = ref._entry if ref is not None else None
        return entry

    def _living(self, oid: bytes) -> Entry | None:
        """Return the entry of an own object, also of one that was never exported: its id was sent without reference."""
        entry = self.exported(oid)
        if entry is None:
            ref = finding.own_ref(self._home, oid)
            if ref is not None:
                entry = ref._entry
                self._canonical[oid] = ref
        return entry

    def find(self, oid: bytes) -> ObjectRef[Any]:
        """Return this process's reference for an id that user code has, see `ObjectRef.from_binary`."""
        living = self._living(oid) if ids.owner_of(oid) == self._home.process_id else None
        return self.canonical(living) if living is not None else self.obtain(oid)

    # ---------------------------------------------------------------------------------------------------- borrowing

    def obtain(self, oid: bytes, tokens: int = 0) -> ObjectRef[Any]:
        """Return this process's reference for an id, and take over `tokens` tokens with it.

        Without tokens, and without a reference here, user code has unpickled it: the owner then counts one token more.
        """
        own = ids.owner_of(oid) == self._home.process_id
        counts = not own and not tokens and self._canonical.get(oid) is None
        ref = self.known(oid)
        if counts:
            tokens = 1
        if not own:
            ref._entry.tokens += tokens
        if own and tokens:
            self.add_tokens(oid, self._home.process_id, -tokens, ref._entry)
        if counts:
            connection = self._peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send(messages.AddBorrow(oid, self._home.process_id, 1))
        return ref

    def known(self, oid: bytes) -> ObjectRef[Any]:
        """Return this process's reference for an id, without taking over a token."""
        ref = self._canonical.get(oid)
        if ref is None:
            own = ids.owner_of(oid) == self._home.process_id
            ref = self._canonical[oid] = ObjectRef(self._entry(oid, own))
        return ref

    def canonical(self, entry: Entry) -> ObjectRef[Any]:
        """Return this process's one reference to an object that is borrowed, or was exported."""
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
            entry.lose(failures.encode(reasons.object_lost(oid)))
        return entry

    def release(self, oid: bytes, tokens: int) -> None:
        """Give tokens back: the last local reference has gone. A finalizer calls this, so it only posts an action."""
        peers = self._peers

        def give_back() -> None:
            connection = peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send(messages.ReleaseBorrow(oid, tokens))

        self._reactor.discard(give_back)

    def watched(self) -> set[bytes]:
        """Return the borrowers, of whose ends the node tells. Any thread."""
        return set(self._lent_to.copy())

    @property
    def lent(self) -> int:
        """The number of own objects that have borrowers."""
        return len(self._exported)
