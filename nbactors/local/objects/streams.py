"""Streams: the references that a generator has yielded, for readers in the owner's process and in other processes.

    worker ──Yielded──► Inbox ◄── Reader ◄──AskNext── RemoteReader in another process
                                         ───Next────►

The call holds the `Inbox`, in which references arrive. A generator in the owner's process holds a `Reader`; when the
last reader is freed, the stream is closed. For a generator that travels, the owner makes an object that stands for the
stream; its entry holds the reader, and is borrowed like any other. A generator in another process holds a
`RemoteReader`, which asks for one reference at a time, so that several readers share one sequence. An answer to a
reader that was freed meanwhile goes back to the owner.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions import reasons
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.object_life import PENDING, READY
from nbactors.local.objects.stream_inbox import Inbox, Readable
from nbactors.local.wire import failures, ids, messages
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.views.summaries import StreamFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.home import Home
    from nbactors.local.objects.references import References
    from nbactors.local.objects.values import Values

STREAM_INDEX = 0xFFFFFFFF
"""The index, among a call's objects, of the object that stands for the stream itself."""


class Reader:
    """The reading end of a stream in the owner's process. Methods run on any thread."""

    __slots__ = ("__weakref__", "_inbox", "_key", "home")

    def __init__(self, inbox: Inbox) -> None:
        self.home = inbox.home
        self._inbox = inbox
        self._key: weakref.ref[ObjectRef[Any]] | None = None

    @property
    def inbox(self) -> Inbox:
        """The queue in which the references arrive."""
        return self._inbox

    @property
    def state(self) -> int:
        """Stands for the state of an entry: READY if `wait` would find the next reference ready."""
        return READY if self._inbox.next_ready() else PENDING

    def facts(self) -> StreamFacts:
        """Return a summary of the stream, as this process knows it."""
        return self._inbox.facts()

    def request(self) -> None:
        """Raise in a forked child, where no reference arrives. Elsewhere references arrive unasked."""
        if self.home.membership.forked:
            self.home.membership.check()

    def next(self, timeout: float | None) -> ObjectRef[Any]:
        """See `ObjectRefGenerator._next_sync`."""
        return ObjectRef(self.home.waiting.next_of(self._inbox, timeout))

    async def anext(self) -> ObjectRef[Any]:
        """See `ObjectRefGenerator.__anext__`."""
        return ObjectRef(await _anext(self._inbox))

    def next_ready(self) -> bool:
        """See `ObjectRefGenerator.next_ready`."""
        return self._inbox.next_ready()

    def is_finished(self) -> bool:
        """See `ObjectRefGenerator.is_finished`."""
        return self._inbox.ended and not self._inbox.items

    def close(self) -> None:
        """See `ObjectRefGenerator.close`."""
        inbox = self._inbox
        inbox.abandon()
        inbox.ended = True
        inbox.wake()

    def reduce(self, completed: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles the generator as the object that stands for the stream."""
        ref = self._key() if self._key is not None else None
        if ref is None:
            entry = StreamEntry(self.home, self._inbox.number, STREAM_INDEX)
            entry.reader = self
            entry.resolve(b"")
            ref = ObjectRef(entry)
            self._key = weakref.ref(ref)
            self.home.streams.lend(self)
        return rebuild, (ref, completed)

    def ask(self, connection: Connection, stream_id: bytes) -> None:
        """Answer another process when there is something to read, or the end. The leader's thread."""
        asker = _Asker(self._inbox, connection, stream_id)
        connection.claims.listeners[asker] = self._inbox
        if not self._inbox.add_waiter(asker):
            asker.ready(None)

    def __del__(self) -> None:
        try:
            inbox = self._inbox
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            return
        if not inbox.ended or inbox.items:
            self.home.reactor.discard(inbox.abandon)


class StreamEntry(Entry):
    """The object that stands for a stream whose generator has travelled to other processes."""

    __slots__ = ("reader",)

    reader: Reader


class _Asker:
    """A listener that sends the next reference to the process that has asked for it."""

    __slots__ = ("_connection", "_inbox", "_stream_id")

    def __init__(self, inbox: Inbox, connection: Connection, stream_id: bytes) -> None:
        self._inbox = inbox
        self._connection = connection
        self._stream_id = stream_id

    def ready(self, _: Any) -> None:
        connection, inbox = self._connection, self._inbox
        if connection.closed:
            return
        entry = inbox.take()
        if entry is not None or inbox.ended:
            connection.claims.listeners.pop(self, None)
        if entry is None:
            if inbox.ended:
                connection.send_now(messages.Next(self._stream_id, b""))
            elif not inbox.add_waiter(self):
                self.ready(None)
            return
        home = inbox.home
        ref: ObjectRef[Any] = ObjectRef(entry)
        home.references.export(entry, ref)
        oid = home.references.grant(ref, connection.peer_id)
        value = home.values.pack_entry(connection, entry)
        connection.send_now(messages.Next(self._stream_id, oid, value))


class RemoteReader(Readable):
    """The reading end of a stream that another process owns."""

    __slots__ = ("_asked", "_key")

    call = None
    """This process does not know the call: the owner does."""

    def __init__(self, home: Home, key: ObjectRef[Any]) -> None:
        super().__init__(home)
        self._key = key
        self._asked = False

    @property
    def key(self) -> Entry:
        """The owner's object that stands for the stream."""
        return self._key._entry  # type: ignore[no-any-return]

    @property
    def state(self) -> int:
        """Stands for the state of an entry: READY if `wait` would find the next reference ready."""
        return READY if self.next_ready() else PENDING

    def request(self) -> None:
        """Ask the owner for the next reference, unless it was asked already."""
        if self.home.membership.forked:
            self.home.membership.check()
        if self._asked or self.items or self.ended:
            return
        self._asked = True
        self.home.streams.ask(self._key._entry, self)

    def next(self, timeout: float | None) -> ObjectRef[Any]:
        """See `ObjectRefGenerator._next_sync`."""
        self.request()
        return self.home.references.canonical(self.home.waiting.next_of(self, timeout))

    async def anext(self) -> ObjectRef[Any]:
        """See `ObjectRefGenerator.__anext__`."""
        self.request()
        return self.home.references.canonical(await _anext(self))

    def take(self) -> Entry | None:
        """Return the next reference's entry; if there is none, ask the owner and return None."""
        try:
            return self.items.popleft()
        except IndexError:
            self.request()
            return None

    def is_finished(self) -> bool:
        """See `ObjectRefGenerator.is_finished`. The end is known only after the owner was asked for it."""
        return self.ended and not self.items

    def close(self) -> None:
        """Stop reading in this process. The stream itself is closed when no process has its generator any more."""
        self._put_back()
        self.ended = True
        self.wake()

    def _put_back(self) -> None:
        """Give unread references back to the owner, for other readers. Finalizers call this, so it only posts."""
        items, self.items = self.items, deque()
        if items:
            key, streams = self._key, self.home.streams
            self.home.reactor.discard(lambda: streams.put_back(key, items))

    def __del__(self) -> None:
        try:
            self._put_back()
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            pass

    def reduce(self, completed: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles the generator as the object that stands for the stream."""
        return rebuild, (self._key, completed)

    def receive(self, entry: Entry | None) -> None:
        """Take the owner's answer: an entry, or None at the end of the stream. The leader's thread."""
        if self._asked:  # else a handler that has interrupted this thread has taken the answer
            self._asked = False
            if entry is not None:
                self.items.append(entry)
        if entry is None:
            self.ended = True
        elif self.ended:  # the reader was closed meanwhile
            self._put_back()
        self.wake()

    def lose(self, entry: Entry) -> None:
        """End with an entry that holds the error of the owner's death."""
        self.items.append(entry)
        self.ended = True
        self.wake()


class Streams:
    """The streams of one process that cross processes, in both directions. Methods run on the leader's thread.

    Args:
        home: The home of the entries that this makes.
        peers: The connections to the owners of streams.
        references: Counts borrowers.
        values: Unpacks the values that arrive.
        numbers: Gives numbers to calls and objects.
    """

    def __init__(
        self, home: Home, peers: Peers, references: References, values: Values, numbers: Iterator[int]
    ) -> None:
        self._home = home
        self._peers = peers
        self._references = references
        self._values = values
        self._numbers = numbers
        # Weak references: a reader that is freed while it asks must hold up neither other readers nor the stream's end.
        self._asking: dict[bytes, list[weakref.ref[RemoteReader]]] = {}
        self._lent: weakref.WeakValueDictionary[int, Reader] = weakref.WeakValueDictionary()

    def lend(self, reader: Reader) -> None:
        """Register an own stream that other processes read. Any thread."""
        self._lent[reader.inbox.number] = reader

    def ask(self, key: Entry, reader: RemoteReader) -> None:
        """Ask the owner of a stream for the next reference. Any thread."""
        connection = self._peers.connect(key.owner)
        asking, asker = self._asking, weakref.ref(reader)
        while True:
            readers = asking.setdefault(key.id, [])
            readers.append(asker)
            if asking.get(key.id) is readers:
                break  # else the leader has removed the empty list before the reader was in it
        if connection is not None:
            connection.send_now(messages.AskNext(key.id))
        if connection is None or connection.closed:
            is_final = connection is None or self._peers.is_final(key.owner)
            (self.owner_gone if is_final else self.ask_again)(key.owner)

    def on_ask(self, connection: Connection, message: messages.AskNext) -> None:
        """Answer another process that asks for the next reference of an own stream."""
        entry = self._references.exported(message.stream_id)
        if isinstance(entry, StreamEntry):
            entry.reader.ask(connection, message.stream_id)
        else:
            connection.send(messages.Next(message.stream_id, b""))

    def on_next(self, connection: Connection, message: messages.Next) -> None:
        """Pass the owner's answer to the reader that has asked first."""
        entry = None
        if message.object_id and message.value is not None:
            held = self._values.receive(connection, message.value)
            ref = self._references.obtain(message.object_id, 1)
            entry = ref._entry
            held.settle(entry)
        asking = self._asking
        readers = asking.get(message.stream_id)
        asker = connection.unpacked.get(id(message))
        if asker is None and readers:
            asker = connection.unpacked[id(message)] = readers.pop(0)
        if readers is not None and not readers:
            asking.pop(message.stream_id, None)
        reader = asker() if asker is not None else None
        if reader is not None:
            reader.receive(entry)
        elif entry is not None:
            connection.send(messages.PutBack(message.object_id))

    def put_back(self, key: ObjectRef[Any], items: deque[Entry]) -> None:
        """Give unread references back to the owner of a stream."""
        owner = key._entry.owner
        connection = self._peers.connect(owner)
        if connection is None:
            return
        for entry in reversed(items):
            if entry.owner == owner:  # the last entry may be this process's own: the error of the owner's death
                connection.send(messages.PutBack(entry.id))

    def on_put_back(self, connection: Connection, message: messages.PutBack) -> None:
        """Take back a reference that a reader in another process has not read."""
        entry = self._references.exported(message.object_id)
        # Not found by the stream's own object: a process that has freed its reader has given that back before.
        reader = self._lent.get(ids.number_of(message.object_id))
        if reader is not None and entry is not None:
            reader.inbox.put_back(entry)

    def ask_again(self, owner: bytes) -> None:
        """Ask a living owner again, since its connection was closed."""
        for _, asker in self._take_askers(owner):
            reader = asker()
            if reader is not None:
                self.ask(reader.key, reader)

    def _take_askers(self, owner: bytes) -> list[tuple[bytes, weakref.ref[RemoteReader]]]:
        gone = [key for key in list(self._asking) if ids.owner_of(key) == owner]
        return [(key, asker) for key in gone for asker in self._asking.pop(key, ())]

    def owner_gone(self, owner: bytes) -> None:
        """End the readers that wait for an answer of a process that has died."""
        for key, asker in self._take_askers(owner):
            reader = asker()
            if reader is not None:
                entry = Entry(self._home, next(self._numbers))
                entry.lose(failures.encode(reasons.owner_died(key)))
                reader.lose(entry)


async def _anext(stream: Inbox | RemoteReader) -> Entry:
    from nbactors.local.objects.futures import until_ready  # noqa: PLC0415 - imports asyncio

    while True:
        entry = stream.take()
        if entry is not None:
            return entry
        if stream.ended:
            raise StopAsyncIteration
        stream.home.membership.check()
        await until_ready(stream)


def rebuild(key: ObjectRef[Any], completed: ObjectRef[Any]) -> ObjectRefGenerator[Any]:
    """Return a generator that reads the stream for which `key` stands. Called by `pickle`."""
    entry = key._entry
    if isinstance(entry, StreamEntry):  # the generator has travelled back to its owner
        return ObjectRefGenerator(entry.reader, completed)
    if entry.owner == entry.home.process_id:
        raise exceptions.ObjectLostError(key.hex(), detail="The generator was closed before this copy of it arrived.")
    return ObjectRefGenerator(RemoteReader(entry.home, key), completed)
