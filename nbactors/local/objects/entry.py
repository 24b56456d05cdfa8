"""`Entry`: an object in this process, with its state, its value, and its listeners. See this room's `__init__`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbactors.definitions.whole_import import import_whole
from nbactors.exceptions import out_of_band
from nbactors.local import current
from nbactors.local.objects.object_life import ASK, ERROR, LOSS, PENDING, READY, TABLE, VALUE
from nbactors.local.wire import failures, ids
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling
from nbactors.views.summaries import ObjectFacts

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    from nbactors.local.objects.home import Home, Maker, Outcome
    from nbactors.local.store.segments import Stored

_ASKED, _VALUE, _ERROR, _LOSS = TABLE[ASK][PENDING], TABLE[VALUE], TABLE[ERROR], TABLE[LOSS]


class Listener(Protocol):
    """Something that waits for an entry.

    An error of one listener must not keep the others from being called. So a listener that calls user code reports its
    errors itself, and raises none. If an asynchronous exception aborts `ready`, it is called a second time.
    """

    def ready(self, entry: Entry) -> None:
        """Take notice that the entry's state is final. Called on the thread that has made it final. Idempotent."""


class Parts(NamedTuple):
    """What a value has besides its pickled bytes. Few values have any, so an entry has one slot for all.

    Attributes:
        buffers: The pickled value's buffers, if they came in the message.
        stored: The block of shared memory with the value; None if it came in the message.
        contained: The references and handles in the value.
    """

    buffers: Sequence[bytes]
    stored: Stored | None
    contained: Any


NO_PARTS = Parts((), None, ())


class Entry:
    """An object that this process owns.

    Several threads may bring an outcome; the first one stands. There is no lock, since a signal handler or a finalizer
    may interrupt this thread in a method and call the method again: each change is one step, see `local.reactor`.
    A writer stores `state` last and a reader reads it first, so a reader that finds it final finds the value, too.

    Attributes:
        call: The call that makes the object; None when the call is no longer pending.
        parts: What the value has besides `data`; None for nothing.
    """

    __slots__ = (
        "__weakref__",
        "call",
        "data",
        "home",
        "index",
        "number",
        "parts",
        "state",
        "waiters",
    )

    def __init__(self, home: Home, number: int, index: int = 0) -> None:
        self.home = home
        self.number = number
        self.index = index
        self.state = PENDING
        self.data = b""
        self.parts: Parts | None = None
        self.waiters: dict[Listener, None] | tuple[()] = ()
        self.call: Maker | None = None

    @classmethod
    def made(cls, home: Home, number: int, held: Outcome, index: int = 0) -> Entry:
        """Return a final entry with a value, or error, that is there already: from `put`, or from a generator."""
        entry = cls(home, number, index)
        entry.data = held.data
        if held.buffers or held.contained or held.stored is not None:
            entry.parts = Parts(held.buffers, held.stored, held.contained)
        entry.state = (_ERROR if held.error else _VALUE)[PENDING]
        return entry

    @property
    def buffers(self) -> Sequence[bytes]:
        """See `Parts`."""
        return (self.parts or NO_PARTS).buffers

    @property
    def stored(self) -> Stored | None:
        """See `Parts`."""
        return (self.parts or NO_PARTS).stored

    @property
    def contained(self) -> Any:
        """See `Parts`."""
        return (self.parts or NO_PARTS).contained

    @property
    def id(self) -> bytes:
        """The object's id, 28 bytes."""
        return ids.object_id(self.home.process_id, self.number, self.index)

    @property
    def owner(self) -> bytes:
        """The owner's process id."""
        return self.home.process_id

    def reduce(self, ref: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles `ref` as its id, and note that the reference travels.

        Raises:
            OufOfBandObjectRefSerializationException: User code pickles it, and the environment variable of Ray's name
                says that it may not.
        """
        self.home.references.export(self, ref)
        if not pickling.note_contained(ref):
            if out_of_band.is_forbidden():
                raise out_of_band.refusal(self.id.hex())
            # User code pickles it, outside of a call: no borrower is counted for the copy, so the object is kept.
            self.home.references.pin(ref)
        return (rebuild, (self.id,))

    # ---------------------------------------------------------------------------------------------------- becoming

    def resolve(
        self,
        data: bytes,
        stored: Stored | None = None,
        contained: Any = (),
        error: bool = False,
        buffers: Sequence[bytes] = (),
    ) -> None:
        """Store the value, or with `error` the pickled error, and tell the listeners. Any thread."""
        parts = Parts(buffers, stored, contained) if buffers or contained or stored is not None else None
        state = (_ERROR if error else _VALUE).get(self.state)
        if state is not None and self.state < READY:
            if error and self.call is not None:
                self.home.unread.note(self, self.call, data)
            self.data = data
            self.parts = parts
            self.state = state
        self._announce()

    def lose(self, data: bytes) -> None:
        """Store the pickled error `data`, since the value cannot come any more. Any thread."""
        state = _LOSS.get(self.state)
        if state is not None and self.state < READY:
            self.data = data
            self.state = state
        self._announce()

    def _announce(self) -> None:
        """Tell the listeners, in the order in which they were added. Repeated if an asynchronous exception aborts it.

        The listeners are in a dict, from which one of thousands can be removed at once.
        """
        waiting = self.home.waiting
        waiting.news += 1
        waiters = self.waiters
        if waiters:
            for waiter in list(waiters):
                if waiter in waiters:  # else a handler that has interrupted this thread has told the listener
                    waiter.ready(self)
                    waiters.pop(waiter, None)
            if not waiters:
                self.waiters = ()  # an empty dict would stay as large as it was; a final entry gets no new listener
        if waiting.watchers:
            waiting.stir()
        if self.state > READY:
            waiting.failed(self)

    def facts(self) -> ObjectFacts:
        """Return a summary of the object, as this process knows it. Any thread; does not wait."""
        state, call = self.state, self.call
        if state < READY:
            return ObjectFacts("pending", call.facts().label if call is not None else "")
        if state > READY:
            name, error = failures.summary(self.data)
            return ObjectFacts("failed", name, error=error)
        buffers, stored, _ = self.parts or NO_PARTS
        return ObjectFacts(
            "ready", size=len(self.data) + sum(map(len, buffers)) + (stored.size if stored is not None else 0)
        )

    # ----------------------------------------------------------------------------------------------------- waiting

    def add_waiter(self, waiter: Listener) -> bool:
        """Call `waiter.ready` when the entry is final. Any thread.

        Returns:
            False if the entry is final already; then `ready` is not called.
        """
        first = {waiter: None}
        if self.state >= READY:
            return False
        if not self.waiters:
            self.waiters = first
        else:
            self.waiters[waiter] = None
        return True

    def remove_waiter(self, waiter: Listener) -> None:
        """Forget a listener that no longer waits. Any thread."""
        waiters = self.waiters
        if waiters:
            waiters.pop(waiter, None)  # None if it was told meanwhile

    def request(self) -> None:
        """Have the value sent here. Does nothing for an own object, whose value comes unasked.

        Raises:
            RaySystemError: This is a forked child, where no value of the parent's arrives.
        """
        if self.home.membership.forked:
            self.home.membership.check()

    # --------------------------------------------------------------------------------------------------- as a future

    def as_future(self) -> asyncio.Future[Any]:
        """See `ObjectRef.as_future`."""
        from nbactors.local.objects import futures  # noqa: PLC0415 - imports asyncio, which many programs never need

        return futures.as_future(self)

    def future(self) -> concurrent.futures.Future[Any]:
        """See `ObjectRef.future`."""
        import_whole("nbactors.local.objects.futures")
        from nbactors.local.objects import futures  # noqa: PLC0415 - as above

        return futures.thread_future(self)

    def call_when_done(self, callback: Callable[[], None], context: Any) -> Any:
        """See `ObjectRef.add_done_callback`."""
        import_whole("nbactors.local.objects.futures")
        from nbactors.local.objects import futures  # noqa: PLC0415 - as above

        return futures.call_when_done(self, callback, context)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Run `callback` when the entry is final: at once if it is already, else on the thread that makes it final."""
        if self.state < READY:
            self.request()
        if not self.add_waiter(_Done(callback)):
            callback()

    def failed(self) -> bool:
        """Return whether the entry is final and `get` would raise."""
        return self.state > READY

    def done(self) -> bool:
        """See `ObjectRef.done`."""
        return self.state >= READY

    def result(self) -> Any:
        """See `ObjectRef.result`."""
        self._check_done()
        return self.home.values.load(self)

    def _check_done(self) -> None:
        if self.state < READY:
            from asyncio import InvalidStateError  # noqa: PLC0415 - as above

            raise InvalidStateError(f"ObjectRef({self.id.hex()}) is not ready: await it, or get() it")

    def exception(self) -> BaseException | None:
        """See `ObjectRef.exception`."""
        self._check_done()
        if self.state == READY:
            return None
        self.home.unread.read(self)
        return failures.decode(self.data)


class _Done:
    """A listener that runs a callback."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def ready(self, entry: Entry) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class BorrowedEntry(Entry):
    """An object that another process owns.

    Attributes:
        tokens: How many tokens the owner has counted for this process. The entry's finalizer gives them back.
    """

    __slots__ = ("_id", "tokens")

    def __init__(self, home: Home, oid: bytes) -> None:
        super().__init__(home, ids.number_of(oid), ids.index_of(oid))
        home.references.borrows = True
        self._id = oid
        self.tokens = 0

    @property
    def id(self) -> bytes:
        """The object's id, 28 bytes."""
        return self._id

    @property
    def owner(self) -> bytes:
        """The owner's process id."""
        return ids.owner_of(self._id)

    def request(self) -> None:
        """Ask the owner for the value, unless it was asked already."""
        super().request()
        if self.state != PENDING:
            return
        self.state = _ASKED
        self.home.fetching.fetch(self)

    def facts(self) -> ObjectFacts:
        """See the base class. Only the owner knows whether an object is there that nobody has asked for."""
        return ObjectFacts("not fetched") if self.state == PENDING else super().facts()

    def __del__(self) -> None:
        try:
            if self.tokens:
                self.home.references.release(self._id, self.tokens)
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            pass


def rebuild(oid: bytes) -> ObjectRef[Any]:
    """Return the reference of this process for an object's id. Called by `pickle`."""
    ref: ObjectRef[Any] = current.member().objects.references.obtain(oid)
    return ref
