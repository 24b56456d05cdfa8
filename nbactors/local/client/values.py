"""Values on their way: from a pickled value or an entry to a message, and back, with every hold and token counted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.local.client import failures
from nbactors.local.client.blame import place
from nbactors.local.store.object_life import READY
from nbactors.local.wire import messages, pickling
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.client.connection import Connection
    from nbactors.local.client.entries import Entry
    from nbactors.local.client.process import Process
    from nbactors.local.store.segments import Stored

INLINE = 100 * 1024
"""Values of more bytes lie in shared memory (Ray's own threshold)."""


class Held:
    """A value in this process: what a message needs, without a receiver yet."""

    __slots__ = ("buffers", "contained", "data", "error", "stored")

    def __init__(
        self,
        data: bytes,
        stored: Stored | None = None,
        contained: Any = (),
        error: bool = False,
        buffers: Sequence[bytes] = (),
    ) -> None:
        self.data = data
        self.buffers = buffers
        self.stored = stored
        self.contained = contained
        self.error = error

    def settle(self, entry: Entry) -> None:
        """Make this the value of an entry."""
        entry.resolve(self.data, self.stored, self.contained, self.error, self.buffers)

    @property
    def plain(self) -> bool:
        """Whether a message needs no more than `data`."""
        return self.stored is None and not self.contained and not self.error and not self.buffers

    def load(self) -> Any:
        """Unpickle."""
        if self.stored is None:
            return pickling.loads(self.data, self.buffers)
        data, buffers = self.stored.views()
        return pickling.loads(data, buffers)


class Values:
    """Packs and unpacks the values of one process. Methods: any thread, `receive` the leader's."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def hold(self, value: Any) -> Held:
        """Pickle a value, into shared memory if it is large.

        Raises:
            TypeError: It cannot be pickled.
        """
        return self.hold_pickled(pickling.dumps(value))

    def hold_pickled(self, pickled: pickling.Pickled) -> Held:
        """Like `hold`, for what is pickled already."""
        data, buffers, found = pickled
        if len(data) + sum(buffer.nbytes for buffer in buffers) > INLINE:
            self._process.expect_trim()
            return Held(b"", self._process.store.write(data, buffers), found)
        return Held(data, None, found, False, [bytes(buffer) for buffer in buffers] if buffers else ())

    def pack(self, connection: Connection, held: Held | Entry, error: bool) -> tuple[messages.Value, list[int]]:
        """Make a message for one receiver; the descriptors have to go with it.

        Counts the receiver as a borrower of every reference, a holder of every handle and of the segment.
        """
        refs: list[bytes] = []
        actors: list[bytes] = []
        receiver = connection.peer_id
        for thing in held.contained:
            if type(thing) is ObjectRef:
                refs.append(self._process.references.grant(thing, receiver))
            else:
                self._process.actors.grant(thing, receiver)
                actors.append(thing.actor_id)
        segment = None
        fds: list[int] = []
        stored = held.stored
        if stored is not None:
            number = self._process.store.grant(stored)
            connection.state.granted.add(number)
            segment = messages.Segment(number, stored.size, stored.spans)
            fds.append(stored.hold.fd)
        return messages.Value(held.data, refs, actors, segment, error, list(held.buffers)), fds

    def pack_entry(self, connection: Connection, entry: Entry) -> tuple[messages.Value, list[int]]:
        """Like `pack`, for an object that is ready."""
        return self.pack(connection, entry, entry.state != READY)

    def receive(self, connection: Connection, value: messages.Value) -> Held:
        """Take over what came with a message: tokens, holds and descriptors. Once for each message."""
        stored = None
        if value.segment is not None:
            segment = value.segment
            number = segment.segment_id

            def give_back() -> None:
                connection.send(messages.ReleaseSegment(number))

            fd = connection.take_fd()
            if os.fstat(fd).st_size < segment.size:
                os.close(fd)
                raise exceptions.RaySystemError("a peer announced a segment that is larger than its file")
            stored = self._process.store.receive(fd, segment.size, segment.spans, give_back)
        contained: list[Any] = [self._process.references.obtain(oid, 1) for oid in value.refs]
        contained += [self._process.actors.obtain(actor_id, 1) for actor_id in value.actors]
        return Held(value.data, stored, contained, value.error, value.buffers)

    def load(self, entry: Entry) -> Any:
        """Return what an entry that is final holds.

        Raises:
            BaseException: What the task raised, or why there is no value.
            RaySystemError: The value does not unpickle in this process.
        """
        __tracebackhide__ = True
        if entry.state != READY:
            raise failures.decode(entry.data)
        try:
            return _unpickle(entry)
        except Exception as error:  # a user's __setstate__, or a module that this process cannot import
            try:
                _unpickle(entry)
            except Exception as again:  # noqa: BLE001 - to tell it from one that a signal's handler has raised
                if place(again) == place(error):
                    raise exceptions.RaySystemError(
                        f"the value of ObjectRef({entry.id.hex()}) could not be unpickled here: "
                        f"{type(error).__name__}: {error}. Is its module importable in this process?"
                    ) from error
            raise


def _unpickle(entry: Entry) -> Any:
    if entry.stored is None:
        return pickling.loads(entry.data, entry.buffers)
    data, buffers = entry.stored.views()
    return pickling.loads(data, buffers)
