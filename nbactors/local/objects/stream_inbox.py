"""The queue of a stream's unread references, and the readers that wait for more of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from nbactors.exceptions import reasons
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.wire import failures, messages
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import DynamicObjectRefGenerator
from nbactors.views.summaries import StreamFacts

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Listener
    from nbactors.local.objects.home import Home, Maker


class Readable:
    """A queue of references, and the listeners of the readers that wait for it."""

    __slots__ = ("__weakref__", "ended", "home", "items", "waiters")

    def __init__(self, home: Home) -> None:
        self.home = home
        self.items: deque[Entry] = deque()
        self.ended = False
        self.waiters: list[Listener] = []

    def next_ready(self) -> bool:
        """Return whether a reader would find a reference or the end without waiting."""
        return bool(self.items) or self.ended

    def facts(self) -> StreamFacts:
        """Return a summary of the stream, as this process knows it. Any thread; does not wait."""
        items = list(self.items)
        error = items[-1].facts().error if self.ended and items else ""
        return StreamFacts("ended" if self.ended else "running", unread=len(items), error=error)

    def add_waiter(self, waiter: Listener) -> bool:
        """Call `waiter.ready` when there is something to read; return False, without a call, if there is already."""
        self.waiters.append(waiter)
        # The leader fills the queue and then looks for listeners; this thread adds a listener and then looks into the
        # queue. So at least one of the two sees the other.
        if self.next_ready():
            try:
                self.waiters.remove(waiter)
            except ValueError:  # the leader has woken it meanwhile
                return True
            return False
        return True

    def remove_waiter(self, waiter: Listener) -> None:
        """Forget a listener that no longer waits."""
        try:
            self.waiters.remove(waiter)
        except ValueError:
            pass

    def wake(self) -> None:
        """Wake all readers: a reference has arrived, or the stream has ended."""
        self.home.waiting.news += 1
        waiters = self.waiters
        for _ in range(len(waiters)):  # a listener that still finds nothing adds itself again, at the end
            if not waiters:
                break
            waiter = waiters[0]
            waiter.ready(None)  # type: ignore[arg-type] # a stream has no entry of its own
            if waiters and waiters[0] is waiter:
                waiters.pop(0)
        if self.home.waiting.watchers:
            self.home.waiting.stir()


class Inbox(Readable):
    """The queue of one call's stream, in the owner's process. Filled on the leader's thread.

    Attributes:
        number: The call's number.
        received: The highest index that has arrived; a call that is tried again yields earlier ones a second time.
        missing: The entries of values that were lost on their way, by index. The call is to yield them once more.
        loss: How a value of the current run was lost, for which the run was stopped; empty if none was.
        is_collected: Whether the references become one value, for ``num_returns="dynamic"``.
    """

    __slots__ = (
        "_backpressure",
        "_call",
        "_read",
        "abandoned",
        "is_collected",
        "loss",
        "missing",
        "number",
        "received",
    )

    def __init__(self, home: Home, call: Maker, backpressure: int, is_collected: bool) -> None:
        super().__init__(home)
        self.is_collected = is_collected
        self.number = call.number
        self.received = 0
        self.missing: dict[int, Entry] = {}
        self.loss = ""
        self.abandoned = False
        self._call: Maker | None = call
        self._backpressure = backpressure
        self._read = 0

    @property
    def call(self) -> Maker | None:
        """The call; None after its generator's end."""
        return self._call

    # ---------------------------------------------------------------------------------------------------- filling

    def arrive(self, index: int, held: Held) -> None:
        """Add the `index`-th yielded value, unless it has arrived before."""
        missing = self.missing.get(index) if self.missing else None
        if missing is not None:
            held.settle(missing)
            self.missing.pop(index, None)
            self._stop_if_unread()
        elif not self.ended:
            entry = Entry.made(self.home, self.number, held, index)
            if index > self.received:
                self.received = index
                if not self.abandoned:
                    self.items.append(entry)
            self._tell()

    def miss(self, index: int, loss: str) -> None:
        """Add a reference to the `index`-th yielded value, which was lost on its way, and stop the run.

        The generator then runs again from its beginning. It must not run on: if a reader waits for the lost value, the
        generator may wait for the reader, because of its backpressure limit.
        """
        call, entry = self._call, Entry(self.home, self.number, index)
        if index > self.received and not self.ended and not self.abandoned:
            self.missing[index] = entry
            self.received = index
            self.items.append(entry)
            self._tell()
        if index in self.missing and call is not None:
            self.loss = loss
            call.tell(messages.StopStream(self.number))

    def _stop_if_unread(self) -> None:
        """Stop the generator if no value is missing that it would yield, and nobody reads on."""
        call = self._call
        if self.abandoned and call is not None and not self.missing:
            call.tell(messages.StopStream(self.number))

    def _lose_missing(self, held: Held) -> None:
        """Give the entries of the lost values an error: the call does not yield them any more."""
        while self.missing:
            for index, entry in list(self.missing.items()):
                held.settle(entry)
                self.missing.pop(index, None)

    def _tell(self) -> None:
        waiting = self.home.waiting
        waiting.news += 1
        if self.waiters or waiting.watchers:
            self.wake()

    def fail(self, held: Held) -> None:
        """End the stream with an error as its last reference: the generator has raised, or its worker has died."""
        entry = Entry.made(self.home, self.number, held, self.received + 1)
        self._lose_missing(held)
        if not self.ended:
            self.ended = True
            self.received += 1
            if not self.abandoned:
                if self._call is not None:
                    self.home.unread.note(entry, self._call, held.data)
                self.items.append(entry)
        self.end()

    def end(self) -> None:
        """End the stream."""
        if self.missing:
            self._lose_missing(Held(failures.encode(reasons.shorter_replay(self.received)), error=True))
        self.ended = True
        self._call = None
        self.wake()

    def collected(self) -> Held:
        """Return the value of a call with ``num_returns="dynamic"``."""
        refs: list[ObjectRef[Any]] = [ObjectRef(entry) for entry in list(self.items)]
        held: Held = self.home.values.hold(DynamicObjectRefGenerator(refs))
        return held

    # ---------------------------------------------------------------------------------------------------- reading

    def take(self) -> Entry | None:
        """Return the next reference's entry, None if there is none now. Any thread."""
        try:
            entry = self.items.popleft()
        except IndexError:
            return None
        if self._backpressure > 0:
            self._read += 1
            call = self._call
            if call is not None:
                call.tell(messages.Consumed(self.number, self._read))
        return entry

    def put_back(self, entry: Entry) -> None:
        """Put an entry back to the front, since its reader has not used it. The leader's thread."""
        if not self.abandoned:
            self._read -= 1  # `take` counts it again; without backpressure nobody looks at the count
            self.items.appendleft(entry)
            self.wake()

    def resume(self, call: Maker) -> None:
        """Tell the worker what has happened to the stream before the call was sent, perhaps for a second time.

        Called after the call was sent: the worker drops messages about a call that it does not know yet.
        """
        if self.abandoned and not self.missing:
            call.tell(messages.StopStream(self.number))
        elif self._backpressure > 0 and self._read:
            call.tell(messages.Consumed(self.number, self._read))

    def abandon(self) -> None:
        """Free the unread references and stop the generator, since nobody reads on."""
        self.abandoned = True
        for entry in list(self.items):
            self.missing.pop(entry.index, None)
        self.items.clear()
        if not self.ended:
            self._stop_if_unread()
