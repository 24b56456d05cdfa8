"""Values of objects on their way from owners to borrowers. See this room's `__init__`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.exceptions import reasons
from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.objects.object_life import READY
from nbactors.local.wire import failures, ids, messages
from nbactors.local.wire.cancel_mode import CancelMode

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.references import References
    from nbactors.local.objects.values import Values


class Fetching:
    """Asks owners for values, as a borrower; answers borrowers, as an owner.

    Args:
        peers: The connections to other processes.
        references: Finds the objects that borrowers may ask for.
        values: Packs and unpacks the values.
    """

    def __init__(self, peers: Peers, references: References, values: Values) -> None:
        self._peers = peers
        self._references = references
        self._values = values
        self._asked: dict[bytes, dict[bytes, list[BorrowedEntry]]] = {}
        """The entries whose values were asked for, by the owner's id and the object's id."""

    # ------------------------------------------------------------------------------------------------------ answering

    def answer(self, connection: Connection, oid: bytes) -> None:
        """Send a borrower the value that it has asked for, when the object is final. The leader's thread."""
        entry = self._references.exported(oid)
        if entry is None:
            connection.send(messages.Fetched(oid, None))
            return
        answer = _Answer(self._values, connection)
        connection.claims.listeners[answer] = entry
        if not entry.add_waiter(answer):
            answer.ready(entry)

    def cancel(self, oid: bytes, force: bool, recursive: bool, interrupt: bool) -> None:
        """Cancel the call that makes an own object, as a borrower has asked. The leader's thread."""
        entry = self._references.exported(oid)
        call = entry.call if entry is not None else None
        if call is not None:
            call.cancel(CancelMode.of(force, interrupt), recursive)

    # --------------------------------------------------------------------------------------------------------- asking

    def fetch(self, entry: BorrowedEntry) -> None:
        """Ask the owner of an entry for its value. Any thread."""
        connection = self._peers.connect(entry.owner)
        if connection is None:
            entry.lose(failures.encode(reasons.owner_died(entry.id)))
            return
        asked = self._asked
        while True:
            table = asked.setdefault(entry.owner, {})
            entries = table.setdefault(entry.id, [])
            entries.append(entry)
            if asked.get(entry.owner) is table and table.get(entry.id) is entries:
                break  # else the leader has removed the empty list or table before the entry was in it
        connection.send_now(messages.Fetch(entry.id))
        if connection.closed:  # perhaps it closed before the question was noted
            is_final = self._peers.is_final(entry.owner)
            (self.owner_gone if is_final else self.ask_again)(entry.owner)

    def leave(self) -> None:
        """Lose all objects whose values were asked for, since this process leaves the node."""
        for owner in list(self._asked):
            self.owner_gone(owner)

    def fetched(self, connection: Connection, oid: bytes, value: messages.Value | None) -> None:
        """Settle an object with the owner's answer; None if the owner does not know it. The leader's thread."""
        received = self._values.receive(connection, value) if value is not None else None
        if received is not None:
            self._settle_asked(oid, received.settle)
        else:
            self._lose_asked(oid, failures.encode(reasons.object_lost(oid)))

    def owner_gone(self, owner: bytes) -> None:
        """Lose the objects that were asked of a process which has died. The leader's thread."""
        for oid in list(self._asked.get(owner, ())):
            self._lose_asked(oid, failures.encode(reasons.owner_died(oid)))
        if not self._asked.get(owner, True):
            self._asked.pop(owner, None)

    def ask_again(self, owner: bytes) -> None:
        """Ask a living owner again, since its connection was closed. Any thread."""
        for oid in list(self._asked.get(owner, ())):
            connection = self._peers.connect(owner)
            if connection is None:
                self._lose_asked(oid, failures.encode(reasons.owner_died(oid)))
            else:
                connection.send_now(messages.Fetch(oid))

    def _lose_asked(self, oid: bytes, error: bytes) -> None:
        self._settle_asked(oid, lambda entry: entry.lose(error))

    def _settle_asked(self, oid: bytes, settle: Callable[[BorrowedEntry], None]) -> None:
        """Settle all entries of an object. Each is settled before it is removed, so an exception loses none."""
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


class _Answer:
    """Sends a value to the borrower that asked for it."""

    __slots__ = ("_connection", "_sent", "_values")

    def __init__(self, values: Values, connection: Connection) -> None:
        self._values = values
        self._connection = connection
        self._sent = False

    def ready(self, entry: Entry) -> None:
        if self._sent or entry.state < READY:
            return
        self._sent = True
        connection = self._connection
        connection.claims.listeners.pop(self, None)
        connection.send(messages.Fetched(entry.id, self._values.pack_entry(connection, entry)))
