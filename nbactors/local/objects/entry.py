"""What a process knows of an object: its state, its value when it is there, and who waits for it.

An `ObjectRef` holds its entry, and Python's own reference counting frees the value: an owned entry lives as long as a
reference in this process, a pending call, or (through `References`) a borrower needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.local import current
from nbactors.local.objects.object_life import ASK, ERROR, LOSS, PENDING, READY, TABLE, VALUE
from nbactors.local.wire import failures, ids, pickling
from nbactors.object_ref import ObjectRef
from nbactors.views.summaries import ObjectFacts

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    from nbactors.local.objects.home import Home, Maker, Outcome
    from nbactors.local.store.segments import Stored

_ASKED, _VALUE, _ERROR, _LOSS = TABLE[ASK][PENDING], TABLE[VALUE], TABLE[ERROR], TABLE[LOSS]


class Listener(Protocol):
    """Something that is told when an entry becomes ready, on the thread that made it so.

    One listener harms no other. So user code that a listener calls is shielded there: its errors are told, and none
    comes out. A signal's handler may raise in the midst of `ready`, too: then it is called again, and does no harm.
    """

    def ready(self, entry: Entry) -> None:
        """The entry's state is final now."""


class Entry:
    """An object that this process owns.

    The first outcome stands, whichever thread brings it. There is no lock, since a signal's handler or a finalizer may
    come here while this thread is here already: each change is a comparison and stores with no call between, which is
    one step in CPython. Readers look at `state` first, which is written last.

    Attributes:
        call: The call that makes it, as long as that is pending.
    """

    __slots__ = (
        "__weakref__",
        "buffers",
        "call",
        "contained",
        "data",
        "home",
        "index",
        "number",
        "state",
        "stored",
        "waiters",
    )

    def __init__(self, home: Home, number: int, index: int = 0) -> None:
        self.home = home
        self.number = number
        self.index = index
        self.state = PENDING
        self.data = b""
        self.buffers: Sequence[bytes] = ()
        self.stored: Stored | None = None
        self.contained: Any = ()
        self.waiters: dict[Listener, None] | tuple[()] = ()
        self.call: Maker | None = None

    @classmethod
    def made(cls, home: Home, number: int, held: Outcome, index: int = 0) -> Entry:
        """Return the entry of a value, or an error, that is there already: of `put`, and of what was yielded."""
        entry = cls(home, number, index)
        entry.data = held.data
        entry.buffers = held.buffers
        entry.stored = held.stored
        entry.contained = held.contained
        entry.state = (_ERROR if held.error else _VALUE)[PENDING]
        return entry

    @property
    def id(self) -> bytes:
        """The object's id, 28 bytes."""
        return ids.object_id(self.home.process_id, self.number, self.index)

    @property
    def owner(self) -> bytes:
        """The owner's process id."""
        return self.home.process_id

    def reduce(self, ref: ObjectRef[Any]) -> tuple[Any, ...]:
        """Pickle `ref` by its id, and note that it travels."""
        self.home.references.export(self, ref)
        if not pickling.note_contained(ref):
            # The user pickles by himself: nobody counts that copy, so it is never freed.
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
        """The value (or with `error`, the pickled error) is there."""
        state = (_ERROR if error else _VALUE).get(self.state)
        if state is not None and self.state < READY:
            self.data = data
            self.buffers = buffers
            self.stored = stored
            self.contained = contained
            self.state = state
        self._announce()

    def lose(self, data: bytes) -> None:
        """The value cannot come any more; `data` is the pickled error."""
        state = _LOSS.get(self.state)
        if state is not None and self.state < READY:
            self.data = data
            self.state = state
        self._announce()

    def _announce(self) -> None:
        """Tell who waits, in order. It is told again where an exception from outside has torn the first time.

        They are in a dict, since any of thousands may cease to wait.
        """
        waiting = self.home.waiting
        waiting.news = object()
        waiters = self.waiters
        if waiters:
            for waiter in list(waiters):
                if waiter in waiters:  # else a handler that has interrupted this has told it
                    waiter.ready(self)
                    waiters.pop(waiter, None)
        if waiting.watchers:
            waiting.stir()
        if self.state > READY:
            waiting.failed(self)

    def facts(self) -> ObjectFacts:
        """Return what is known of the object here. Any thread; waits for nothing."""
        state, call = self.state, self.call
        if state < READY:
            return ObjectFacts("pending", call.facts().label if call is not None else "")
        if state > READY:
            name, error = failures.summary(self.data)
            return ObjectFacts("failed", name, error=error)
        stored = self.stored
        return ObjectFacts(
            "ready", size=len(self.data) + sum(map(len, self.buffers)) + (stored.size if stored is not None else 0)
        )

    # ----------------------------------------------------------------------------------------------------- waiting

    def add_waiter(self, waiter: Listener) -> bool:
        """Call `waiter.ready` once when the entry is final.

        Returns:
            False if it is final already; then `ready` is not called.
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
        """Forget a waiter that no longer waits."""
        waiters = self.waiters
        if waiters:
            waiters.pop(waiter, None)  # none, if it was told meanwhile

    def request(self) -> None:
        """Make the value come; an owned one comes by itself.

        Raises:
            RaySystemError: This is a forked child, where nothing of the parent's comes.
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
        from nbactors.local.objects import futures  # noqa: PLC0415 - as above

        return futures.thread_future(self)

    def call_when_done(self, callback: Callable[[], None], context: Any) -> Any:
        """See `ObjectRef.add_done_callback`."""
        from nbactors.local.objects import futures  # noqa: PLC0415 - as above

        return futures.call_when_done(self, callback, context)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Run `callback` once it is done: at once if it is, else on the thread that makes it so."""
        if self.state < READY:
            self.request()
        if not self.add_waiter(_Done(callback)):
            callback()

    def failed(self) -> bool:
        """Return whether it is done and `get` would raise."""
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
        return failures.decode(self.data) if self.state > READY else None


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
        tokens: How often this process was counted as a borrower; given back when the entry goes.
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
        """Ask the owner for the value, once."""
        super().request()
        if self.state != PENDING:
            return
        self.state = _ASKED
        self.home.fetching.fetch(self)

    def __del__(self) -> None:
        try:
            if self.tokens:
                self.home.references.release(self._id, self.tokens)
        except AttributeError:  # an exception from outside came before it had any
            pass


def rebuild(oid: bytes) -> ObjectRef[Any]:
    """Unpickle a reference in whatever process this is."""
    ref: ObjectRef[Any] = current.member().objects.references.obtain(oid)
    return ref
