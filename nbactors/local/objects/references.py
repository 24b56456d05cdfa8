"""Who else holds references to our objects, and which of others we hold. See this room's `__init__`."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.exceptions import reasons
from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.objects.object_life import READY
from nbactors.local.wire import failures, ids, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.home import ConnectedHome


class References:
    """The reference tables of one process. Methods: any thread, unless they say otherwise.

    There is no lock, as everywhere where handlers and finalizers may come: to count in a table, and to take away one
    that is empty, is one step each.
    """

    def __init__(self, process: ConnectedHome) -> None:
        self._process = process
        self.borrows = False
        """Whether this process has ever borrowed: if not, `wait` need not look for objects to ask for."""
        self._canonical: weakref.WeakValueDictionary[bytes, ObjectRef[Any]] = weakref.WeakValueDictionary()
        self._exported: dict[bytes, Entry] = {}
        self._tokens: dict[bytes, defaultdict[bytes, int]] = {}
        self._pinned: list[ObjectRef[Any]] = []
        self._lent_to: dict[bytes, set[bytes]] = {}
        """Which own objects a process is counted for. The node tells of the end of each that is in here."""
        self._asked: dict[bytes, dict[bytes, list[BorrowedEntry]]] = {}
        """What is asked for, by its owner and its id."""

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
        if entry.owner == self._process.process_id:
            self.add_tokens(oid, receiver, 1, entry)
        else:
            connection = self._process.peers.connect(entry.owner)
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
        if receiver != self._process.process_id:
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
                self._process.node.send(messages.Watch(receiver))
            oids.add(oid)
            if lent_to.get(receiver) is oids:
                break  # else that process has gone just now, and the node is asked once more

    def process_gone(self, process_id: bytes) -> None:
        """A process has died: its counts go, and what it owned is lost. The leader's thread."""
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
        self.owner_gone(process_id)

    def exported(self, oid: bytes) -> Entry | None:
        """Return the entry of an own object that others may ask for."""
        entry = self._exported.get(oid)
        if entry is None:
            ref = self._canonical.get(oid)
            entry = ref._entry if ref is not None else None
        return entry

    def answer(self, connection: Connection, oid: bytes) -> None:
        """A borrower asks for a value: send it when it is ready. The leader's thread."""
        entry = self.exported(oid)
        if entry is None:
            connection.send(messages.Fetched(oid, None))
            return
        answer = _Answer(self._process, connection)
        connection.state.listeners[answer] = entry
        if not entry.add_waiter(answer):
            answer.ready(entry)

    # ---------------------------------------------------------------------------------------------------- borrowing

    def obtain(self, oid: bytes, tokens: int = 0) -> ObjectRef[Any]:
        """Return this process's reference for an id, with `tokens` more to give back.

        With no tokens and no reference here already, the user unpickled by himself: then we count ourselves.
        """
        own = ids.owner_of(oid) == self._process.process_id
        counts = not own and not tokens and self._canonical.get(oid) is None
        ref = self.known(oid)
        if counts:
            tokens = 1
        if not own:
            ref._entry.tokens += tokens
        if own and tokens:
            self.add_tokens(oid, self._process.process_id, -tokens, ref._entry)
        if counts:
            connection = self._process.peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send(messages.AddBorrow(oid, self._process.process_id, 1))
        return ref

    def known(self, oid: bytes) -> ObjectRef[Any]:
        """Return this process's reference for an id, and count nothing."""
        ref = self._canonical.get(oid)
        if ref is None:
            own = ids.owner_of(oid) == self._process.process_id
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
            return BorrowedEntry(self._process, oid)
        entry = self._exported.get(oid)
        if entry is None:
            entry = Entry(self._process, ids.number_of(oid), ids.index_of(oid))
            entry.lose(failures.encode(reasons.object_lost(oid)))
        return entry

    def fetch(self, entry: BorrowedEntry) -> None:
        """Ask the owner of an entry for its value."""
        connection = self._process.peers.connect(entry.owner)
        if connection is None:
            entry.lose(failures.encode(reasons.owner_died(entry.id)))
            return
        asked = self._asked
        while True:
            table = asked.setdefault(entry.owner, {})
            entries = table.setdefault(entry.id, [])
            entries.append(entry)
            if asked.get(entry.owner) is table and table.get(entry.id) is entries:
                break  # else it was taken away before this one was in it
        connection.send_now(messages.Fetch(entry.id))
        if connection.closed:
            self.owner_gone(entry.owner)

    def cancel(self, oid: bytes, force: bool, recursive: bool, interrupt: bool) -> None:
        """A borrower wants the call cancelled that makes one of our objects. The leader's thread."""
        entry = self.exported(oid)
        call = entry.call if entry is not None else None
        if call is not None:
            call.cancel(CancelMode.of(force, interrupt), recursive)

    def leave(self) -> None:
        """This process leaves: what it has asked others for will not come."""
        for owner in list(self._asked):
            self.owner_gone(owner)

    def fetched(self, connection: Connection, oid: bytes, value: messages.Value | None) -> None:
        """The owner has answered. The leader's thread."""
        received = self._process.values.receive(connection, value) if value is not None else None
        if received is not None:
            self._settle_asked(oid, received.settle)
        else:
            self._lose_asked(oid, failures.encode(reasons.object_lost(oid)))

    def owner_gone(self, owner: bytes) -> None:
        """A process has died: what we asked it for will not come. The leader's thread."""
        for oid in self._asked_of(owner):
            self._lose_asked(oid, failures.encode(reasons.owner_died(oid)))
        if not self._asked.get(owner, True):
            self._asked.pop(owner, None)
        self._process.streams.owner_gone(owner)

    def ask_again(self, owner: bytes) -> None:
        """A connection was lost to a process that lives. The leader's thread."""
        for oid in self._asked_of(owner):
            connection = self._process.peers.connect(owner)
            if connection is None:
                self._lose_asked(oid, failures.encode(reasons.owner_died(oid)))
            else:
                connection.send_now(messages.Fetch(oid))
        self._process.streams.ask_again(owner)

    def _asked_of(self, owner: bytes) -> list[bytes]:
        return list(self._asked.get(owner, ()))

    def _lose_asked(self, oid: bytes, error: bytes) -> None:
        self._settle_asked(oid, lambda entry: entry.lose(error))

    def _settle_asked(self, oid: bytes, settle: Callable[[BorrowedEntry], None]) -> None:
        """Settle all entries that wait for an object. Each is taken out at last: no exception from outside loses it."""
        table = self._asked.get(ids.owner_of(oid))
        if table is None:
            return
        entries = table.get(oid)
        while True:
            if not entries:
                break
            entry = entries[0]
            settle(entry)
            if entries and entries[0] is entry:
                entries.pop(0)
        if not entries:
            table.pop(oid, None)

    def release(self, oid: bytes, tokens: int) -> None:
        """The last local reference to a borrowed object is gone. Called by a finalizer, therefore only posts."""
        process = self._process

        def give_back() -> None:
            connection = process.peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send(messages.ReleaseBorrow(oid, tokens))

        process.reactor.discard(give_back)

    @property
    def lent(self) -> int:
        """How many own objects others hold; for tests."""
        return len(self._exported)


class _Answer:
    """Sends a value to the borrower that asked for it."""

    __slots__ = ("_connection", "_process", "_sent")

    def __init__(self, process: ConnectedHome, connection: Connection) -> None:
        self._process = process
        self._connection = connection
        self._sent = False

    def ready(self, entry: Entry) -> None:
        if self._sent or entry.state < READY:
            return
        self._sent = True
        connection = self._connection
        connection.state.listeners.pop(self, None)
        value, fds = self._process.values.pack_entry(connection, entry)
        connection.send(messages.Fetched(entry.id, value), fds)
