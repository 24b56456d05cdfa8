"""Callbacks that are to run at a time."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from time import monotonic
from typing import Any

NEVER = math.inf

FEW = 64
"""So many that were cancelled are left where they are."""


class Timer(list[Any]):
    """A callback and its time: [when, a number of its own, the callback], compared in this order.

    A list, since the heap's steps are one each only as long as they compare no objects of a class in Python.
    """

    __slots__ = ("_timers",)

    def __init__(self, when: float, number: int, callback: Callable[[], None], timers: Timers) -> None:
        super().__init__((when, number, callback))
        self._timers = timers

    def cancel(self) -> None:
        """Do not run it, and keep nothing that it refers to. Idempotent; any thread."""
        if self[2] is not None:
            self[2] = None
            self._timers.note_cancelled()


class Timers:
    """The timers of one reactor. `add`, `next_s` and `Timer.cancel`: any thread; `run`: the leader's.

    A cancelled timer stays in the heap as an empty one until it is due, or until more than half are of that kind.

    There is no lock: `add` may be called where this thread or another one is in the middle of `add` or `run`, by a
    signal's handler or a finalizer. Each step on the heap is one call of a C function, which nothing interrupts. A
    callback is taken out of its timer right before it is called, so that no exception loses it.

    Args:
        blame: Called with the exception and the callback that it came out of; see `Reactor.blame`.

    Attributes:
        due: When the earliest is due, on the monotonic clock; NEVER if there is none. May be read by any thread.
    """

    def __init__(self, blame: Callable[[BaseException, Callable[[], None]], None]) -> None:
        self.due = NEVER
        self._blame = blame
        self._heap: list[Timer] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self._is_untidy = False

    def __len__(self) -> int:
        """How many there are, with some of the cancelled ones."""
        return len(self._heap)

    def add(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Have `callback` run in `delay` seconds, unless the timer is cancelled before."""
        when = monotonic() + delay
        timer = Timer(when, next(self._numbers), callback, self)
        heapq.heappush(self._heap, timer)
        if when < self.due:
            self.due = when
        return timer

    def note_cancelled(self) -> None:
        """One was cancelled: if those are more than half, the next `run` takes them out."""
        self._cancelled += 1
        if self._cancelled > FEW and self._cancelled * 2 > len(self._heap):
            self._is_untidy = True
            self.due = 0.0

    def next_s(self) -> float | None:
        """Return in how many seconds the next is due, None if there is none."""
        due = self.due
        return None if due == NEVER else max(due - monotonic(), 0)

    def run(self) -> None:
        """Run those that are due by now, but not what they add."""
        if self._is_untidy:
            self._tidy()
        heap = self._heap
        now = monotonic()
        while True:
            if not heap:
                break
            timer = heap[0]
            if timer[0] > now:
                break
            callback = timer[2]
            timer[2] = None  # a handler that interrupts the callback, and waits, does not run it again
            if callback is not None:
                try:
                    callback()
                except BaseException as error:  # noqa: BLE001 - it must not take the others along
                    self._blame(error, callback)
            if heap and heap[0] is timer:
                heapq.heappop(heap)
        self.due = heap[0][0] if heap else NEVER

    def _tidy(self) -> None:
        """Bring the cancelled ones to the front, where `run` takes them out: they are overdue.

        In between the heap has no order, so a timer that is added meanwhile may come to stand anywhere. The sorting is
        one step, and makes a heap of whatever there is. Where an exception has torn this, it is done again.
        """
        self._cancelled = 0
        for timer in list(self._heap):
            if timer[2] is None:
                timer[0] = 0.0
        self._heap.sort()
        self._is_untidy = False
