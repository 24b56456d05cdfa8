"""References that are taken when they are ready, each for the same cost, however many there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.engine.unready_set import UnreadySet
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.object_life import READY
from nbactors.local.objects.streams import Reader
from nbactors.local.objects.waiting import OneWaiter

if TYPE_CHECKING:
    from nbactors.local.objects.waiting import Waiting


class _Readable:
    """A listener of a stream, which does not say what has become ready."""

    __slots__ = ("_arrivals", "_record")

    def __init__(self, arrivals: Arrivals, record: Any) -> None:
        self._arrivals = arrivals
        self._record = record

    def ready(self, _: Any) -> None:
        """Note that the stream is ready."""
        self._arrivals.ready(self._record)


class Arrivals(UnreadySet):
    """A set that listens to its objects. It looks at each when it is added, when it becomes ready and when it is taken.

    `wait` looks at all objects each time instead, since it would have to listen to all of them anew.

    Args:
        waiting: Blocks the thread.
        at_end: Called at the end of each `take`.
    """

    def __init__(self, waiting: Waiting, at_end: Callable[[], None]) -> None:
        self._waiting = waiting
        self._at_end = at_end
        self._added = 0
        self._refs: dict[int, Any] = {}
        """The references by their numbers, which tell the order of the additions."""
        self._numbers: dict[Any, int] = {}
        """The numbers of the objects that this listens to."""
        self._readables: dict[Any, _Readable] = {}
        self._arrived: deque[Any] = deque()
        """The objects that have become ready since the last look."""
        self._ready: list[int] = []
        """A heap with the numbers of the others that are ready."""
        self._missing = 0
        self._waiter: OneWaiter | None = None

    def __len__(self) -> int:
        return len(self._refs)

    def add(self, ref: Any) -> None:
        """See the base class."""
        number, record = self._added, ref._entry
        self._added = number + 1
        self._refs[number] = ref
        if record.state >= READY:
            heappush(self._ready, number)
        else:
            record.request()
            self._listen(number, record)

    def _listen(self, number: int, record: Any) -> None:
        self._numbers[record] = number
        if isinstance(record, Entry):
            is_unready = record.add_waiter(self)
        else:
            listener = self._readables[record] = _Readable(self, record)
            is_unready = _stream(record).add_waiter(listener)
        if not is_unready:
            self._arrived.append(record)

    def ready(self, record: Any) -> None:
        """Note that an object is ready. Any thread; perhaps twice for one object."""
        self._arrived.append(record)
        # The waiting thread stores its waiter and then looks at what has arrived, so one of the two sees the other.
        waiter = self._waiter
        if waiter is not None and len(self._arrived) >= self._missing:
            waiter.finish()

    def take(self, count: int, timeout: float | None, fetch_local: bool) -> list[Any]:
        """See the base class. On one machine every value is local: `fetch_local` changes nothing."""
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        deadline = None if timeout is None else monotonic() + timeout
        taken: list[Any] = []
        is_over = False
        try:
            while True:
                missing = count - len(taken)
                ready = self._look()
                if ready >= missing or is_over:
                    taken += self._pop(missing)
                    if is_over or len(taken) == count:
                        return taken
                else:
                    is_over = not self._block(missing - ready, deadline)
        finally:
            self._at_end()

    def _look(self) -> int:
        """Put what has arrived in order; return how many are ready."""
        arrived, numbers, ready = self._arrived, self._numbers, self._ready
        while arrived:
            record = arrived[0]
            number = numbers.get(record)
            if number is not None:  # else it has arrived twice
                heappush(ready, number)
                del numbers[record]
                if self._readables:
                    self._readables.pop(record, None)
            arrived.popleft()
        return len(ready)

    def _pop(self, count: int) -> list[Any]:
        """Take up to `count` of those that are ready."""
        taken: list[Any] = []
        ready, refs = self._ready, self._refs
        while ready and len(taken) < count:
            number = ready[0]
            ref = refs.get(number)
            if ref is not None:
                if ref._entry.state >= READY:
                    taken.append(ref)
                    del refs[number]
                else:  # another reader of the stream has taken what this one was ready with
                    self._listen(number, ref._entry)
            heappop(ready)
        return taken

    def _block(self, missing: int, deadline: float | None) -> bool:
        """Wait until so many have arrived; return False if the time is up."""
        waiting, waiter = self._waiting, OneWaiter()
        self._missing = missing
        try:
            self._waiter = waiter
            if len(self._arrived) >= missing:
                return True
            waiting.block(waiter, None if deadline is None else max(deadline - monotonic(), 0), "ray.wait")
        except KeyboardInterrupt as error:
            waiting.interrupted(error, [ref._entry for ref in self._refs.values()])
            raise
        finally:
            self._waiter = None
        if not waiter.done:
            waiting.membership.check()
        return waiter.done

    def close(self) -> None:
        """See the base class. Else the objects that are not ready would keep this set, and it would keep them."""
        numbers, self._numbers = self._numbers, {}
        for record in numbers:
            if isinstance(record, Entry):
                record.remove_waiter(self)
        readables, self._readables = self._readables, {}
        for record, listener in readables.items():
            _stream(record).remove_waiter(listener)
        self._refs.clear()
        self._ready.clear()
        self._arrived.clear()


def _stream(record: Any) -> Any:
    """Return what has the listeners of a generator's record."""
    return record.inbox if isinstance(record, Reader) else record
