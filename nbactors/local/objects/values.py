"""Pickled values into messages and back, with the counting of their blocks, references and handles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nbactors import exceptions
from nbactors.exceptions import ForeignCodeError
from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import READY
from nbactors.local.reactor.blame import place
from nbactors.local.wire import failures, messages
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling
from nbactors.speedups.caller import load_atom

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.arenas import Arenas
    from nbactors.local.objects.claims import Claims
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.home import Watching
    from nbactors.local.store.segments import SegmentStore, Stored

INLINE = 100 * 1024
"""Values of more bytes than this lie in shared memory (Ray's own threshold)."""


class _Release:
    """Gives back a hold on a block after the value in it is freed.

    Attributes:
        is_due: Set for the release whose value is kept: a repeated `Values.receive` makes one more for the same hold.
    """

    __slots__ = ("_connection", "_number", "is_due")

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._number = number
        self.is_due = False

    def give_back(self) -> None:
        if self.is_due:
            self._connection.send(messages.ReleaseSegment(self._number))


class Counting(Protocol):
    """Counts the holders of references, or of handles."""

    def grant(self, thing: Any, receiver: bytes, /) -> Any:
        """Count a receiver of a reference or handle."""

    def known(self, identifier: bytes, /) -> Any:
        """Return this process's reference or handle for an id, without taking over a token."""

    def obtain(self, identifier: bytes, tokens: int, /) -> Any:
        """Return this process's reference or handle for an id, and take over tokens with it."""


class Values:
    """Packs and unpacks the values of one process. Methods run on any thread; `receive` runs on the leader's.

    Args:
        store: The shared memory for large values.
        arenas: Sends the arenas of the store.
        references: Counts the references in values.
        unread: Notes which errors were read.
        expect_trim: Called when a large value is stored.

    Attributes:
        handles: Counts the handles in values. `Process` sets it before the first value.
    """

    handles: Counting

    def __init__(
        self,
        store: SegmentStore,
        arenas: Arenas,
        references: Counting,
        unread: Watching,
        expect_trim: Callable[[], None],
    ) -> None:
        self._store = store
        self._arenas = arenas
        self._references = references
        self._unread = unread
        self._expect_trim = expect_trim

    def hold(self, value: Any) -> Held:
        """Pickle a value, into shared memory if it is large.

        Raises:
            TypeError: The value cannot be pickled.
        """
        return self.hold_pickled(pickling.dumps(value))

    def hold_pickled(self, pickled: pickling.Pickled) -> Held:
        """Do what `hold` does, for a value that is pickled already."""
        data, buffers, found = pickled
        if len(data) + sum(buffer.nbytes for buffer in buffers) > INLINE:
            self._expect_trim()
            return Held(b"", self._store.write(data, buffers), found)
        return Held(data, None, found, False, [bytes(buffer) for buffer in buffers] if buffers else ())

    def pack(self, connection: Connection, held: Held | Entry, error: bool) -> messages.Value:
        """Return a value for a message to one receiver.

        Counts the receiver as a borrower of each reference and as a holder of each handle and of the block. If the
        receiver does not have the descriptor of the arena yet, the descriptor is sent first, in a message of its own.
        """
        refs: list[bytes] = []
        actors: list[bytes] = []
        receiver = connection.peer_id
        for thing in held.contained:
            if type(thing) is ObjectRef:
                refs.append(self._references.grant(thing, receiver))
            else:
                actors.append(self.handles.grant(thing, receiver))
        segment = None
        stored = held.stored
        if stored is not None:
            number = self._store.grant(stored)
            claims: Claims = connection.claims
            claims.segments.add(number)
            arena, offset, *_ = stored.hold.block
            self._arenas.announce(connection, arena)
            segment = messages.Segment(number, arena.number, offset, stored.size, stored.spans)
        return messages.Value(held.data, refs, actors, segment, error, list(held.buffers))

    def pack_entry(self, connection: Connection, entry: Entry) -> messages.Value:
        """Do what `pack` does, for the value or error of a final entry."""
        is_error = entry.state != READY
        if is_error:
            self._unread.read(entry)
        return self.pack(connection, entry, is_error)

    def receive(self, connection: Connection, value: messages.Value) -> Held:
        """Take over a value with its tokens and its hold. Called while its message is handled.

        If an asynchronous exception aborts the handling, the repeated handling finds the value in `unpacked`.
        """
        if value.segment is None and not value.refs and not value.actors:
            return Held(value.data, None, (), value.error, value.buffers)
        known: Held | None = connection.unpacked.get(id(value))
        if known is not None:
            return known
        segment = value.segment
        release = _Release(connection, segment.segment_id if segment is not None else 0)
        stored: Stored | None = None
        if segment is not None:
            claims: Claims = connection.claims
            arena = claims.received.get(segment.arena)
            if arena is None or segment.offset + segment.size > arena.size:
                raise exceptions.RaySystemError("a peer announced a value that is not in any of its arenas")
            stored = self._store.receive(arena, segment.offset, segment.size, segment.spans, release.give_back)
        references, actors = self._references, self.handles
        contained: list[Any] = [references.known(oid) for oid in value.refs]
        contained += [actors.known(actor_id) for actor_id in value.actors]
        held = Held(value.data, stored, contained, value.error, value.buffers)
        connection.unpacked[id(value)] = held
        release.is_due = True
        # Tokens last: one that is not taken over frees the object too late, one that is taken over twice, too early.
        for oid in value.refs:
            references.obtain(oid, 1)
        for actor_id in value.actors:
            actors.obtain(actor_id, 1)
        return held

    def released(self, connection: Connection, message: messages.ReleaseSegment) -> None:
        """Take back a hold on a block from another process. The leader's thread."""
        claims: Claims = connection.claims
        if message.segment_id in claims.segments:
            claims.segments.discard(message.segment_id)
            self._store.released(message.segment_id)

    def closed(self, connection: Connection) -> None:
        """Take back all holds of a process whose connection is closed, and leave its arenas. The leader's thread."""
        claims: Claims = connection.claims
        for number in list(claims.segments):
            self._store.lost(number)
        self._arenas.closed(connection)
        claims.forget_listeners()

    def load(self, entry: Entry) -> Any:
        """Return the value of a final entry.

        Raises:
            BaseException: The error of the task, or the reason why there is no value.
            RaySystemError: The value cannot be unpickled in this process.
        """
        __tracebackhide__ = True
        if load_atom is not None:
            value = load_atom(entry)
            if value is not NotImplemented:
                return value
        if entry.state != READY:
            self._unread.read(entry)
            raise failures.decode(entry.data)
        data: Any = entry.data
        buffers: Sequence[Any] = ()
        parts = entry.parts
        if parts is not None:
            buffers = parts.buffers
            if parts.stored is not None:
                data, buffers = parts.stored.views()
        try:
            return pickling.loads(data, buffers)
        except Exception as error:  # a user's __setstate__, or a module that this process cannot import
            try:
                pickling.loads(data, buffers)
            except Exception as again:  # noqa: BLE001 - an asynchronous exception would not come a second time
                if place(again) == place(error):
                    hint = "" if isinstance(error, ForeignCodeError) else " Is its module importable in this process?"
                    raise exceptions.RaySystemError(
                        f"the value of ObjectRef({entry.id.hex()}) could not be unpickled here: "
                        f"{type(error).__name__}: {error}.{hint}"
                    ) from error
            raise
