"""What has arrived of a stream and was not read yet, and who waits for more of it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from nbactors.local.objects.entry import Entry
from nbactors.local.wire import messages
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import DynamicObjectRefGenerator
from nbactors.views.summaries import StreamFacts

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Listener
    from nbactors.local.objects.held import Held
    from nbactors.local.objects.home import Home, Maker


class Readable:
    """Something with a queue of references: what readers wait for, and how they are woken."""

    __slots__ = ("__weakref__", "ended", "home", "items", "waiters")

    def __init__(self, home: Home) -> None:
        self.home = home
        self.items: deque[Entry] = deque()
        self.ended = False
        self.waiters: list[Listener] = []

    def next_ready(self) -> bool:
        """Return whether a reader would not have to wait."""
        return bool(self.items) or self.ended

    def facts(self) -> StreamFacts:
        """Return what is known of the stream here. Any thread; waits for nothing."""
        return StreamFacts("ended" if self.ended else "running", unread=len(self.items))

    def add_waiter(self, waiter: Listener) -> bool:
        """Call `waiter.ready` once when there is something to read; returns False if there is already."""
        self.waiters.append(waiter)
        # Looked at afterwards: who fills looks for waiters after filling, so one sees the other.
        if self.next_ready():
            try:
                self.waiters.remove(waiter)
            except ValueError:  # it was woken meanwhile
                return True
            return False
        return True

    def remove_waiter(self, waiter: Listener) -> None:
        """Forget a waiter that no longer waits."""
        try:
            self.waiters.remove(waiter)
        except ValueError:
            pass

    def wake(self) -> None:
        """Something came, or nothing will: wake the readers, of whom one may go back to sleep."""
        self.home.waiting.news = object()
        waiters = self.waiters
        for _ in range(len(waiters)):  # who still finds nothing adds itself again
            if not waiters:
                break
            waiter = waiters[0]
            waiter.ready(None)  # type: ignore[arg-type] # a stream has no entry of its own
            if waiters and waiters[0] is waiter:
                waiters.pop(0)
        if self.home.waiting.watchers:
            self.home.waiting.stir()


class Inbox(Readable):
    """What has arrived of one call's stream. Filled on the leader's thread.

    Attributes:
        number: The call's.
        received: How many have arrived; a call that is tried again yields some a second time.
        is_collected: Nobody reads it: it becomes one value, for ``num_returns="dynamic"``.
    """

    __slots__ = ("_backpressure", "_call", "_read", "abandoned", "is_collected", "number", "received")

    def __init__(self, home: Home, call: Maker, backpressure: int, is_collected: bool) -> None:
        super().__init__(home)
        self.is_collected = is_collected
        self.number = call.number
        self.received = 0
        self.abandoned = False
        self._call: Maker | None = call
        self._backpressure = backpressure
        self._read = 0

    @property
    def call(self) -> Maker | None:
        """The call, as long as its generator may yield."""
        return self._call

    # ---------------------------------------------------------------------------------------------------- filling

    def arrive(self, index: int, held: Held) -> None:
        """The generator has yielded."""
        if not self.ended:
            entry = Entry.made(self.home, self.number, held, index)
            if index > self.received:
                self.received = index
                if not self.abandoned:
                    self.items.append(entry)
            self._tell()

    def _tell(self) -> None:
        waiting = self.home.waiting
        waiting.news = object()
        if self.waiters or waiting.watchers:
            self.wake()

    def fail(self, held: Held) -> None:
        """The generator has raised, or will not run on: the error is the last reference."""
        entry = Entry.made(self.home, self.number, held, self.received + 1)
        if not self.ended:
            self.ended = True
            self.received += 1
            if not self.abandoned:
                self.items.append(entry)
        self.end()

    def end(self) -> None:
        """There will be no more."""
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
        """Return the next, None if there is none now. Any thread."""
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
        """Make one that was taken the next again: who has taken it does not want it. The leader's thread."""
        if not self.abandoned:
            self._read -= 1  # `take` counts it again; without backpressure nobody looks at the count
            self.items.appendleft(entry)
            self.wake()

    def resume(self, call: Maker) -> None:
        """The call was sent, perhaps again: tell its generator what has happened before.

        Called after the sending: what is told of a call that the worker does not know yet is lost.
        """
        if self.abandoned:
            call.tell(messages.StopStream(self.number))
        elif self._backpressure > 0 and self._read:
            call.tell(messages.Consumed(self.number, self._read))

    def abandon(self) -> None:
        """Nobody will read on: free what is here and stop the generator."""
        call = self._call
        self.abandoned = True
        self.items.clear()
        if call is not None and not self.ended:
            call.tell(messages.StopStream(self.number))
