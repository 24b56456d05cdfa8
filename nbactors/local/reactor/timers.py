"""Timers: callbacks that run at a given time."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from time import monotonic
from typing import Any

NEVER = math.inf

FEW = 64
"""Up to this many cancelled timers stay in the heap until they are due."""


class Timer(list[Any]):
    """A callback and its time: the list [time, serial number, callback]. Timers are compared in this order.

    It is a list because a heap operation on lists is atomic; comparing objects of a class in Python would run bytecode.
    """

    __slots__ = ("_timers",)

    def __init__(self, when: float, number: int, callback: Callable[[], None], timers: Timers) -> None:
        super().__init__((when, number, callback))
        self._timers = timers

    def cancel(self) -> None:
        """Keep the callback from running, and drop the reference to it. Idempotent; any thread."""
        if self[2] is not None:
            self[2] = None
            self._timers.note_cancelled()


class Timers:
    """The timers of one reactor. `add`, `next_s` and `Timer.cancel`: any thread; `run`: the leader's thread.

    A cancelled timer stays in the heap without its callback until it is due, or until most timers are cancelled ones.

    There is no lock, because a signal handler or a finalizer may call `add` while this thread or another one is in
    `add` or `run`. Each operation on the heap is one call of a C function, which is atomic. A callback is taken out of
    its timer right before it is called, so that no exception loses it.

    Args:
        blame: Called with an exception and the callback that raised it; see `Reactor.blame`.

    Attributes:
        due: When the earliest timer is due, on the monotonic clock; NEVER without a timer. Any thread may read it.
    """

    def __init__(self, blame: Callable[[BaseException, Callable[[], None]], None]) -> None:
        self.due = NEVER
        self._blame = blame
        self._heap: list[Timer] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self._is_untidy = False

    def __len__(self) -> int:
        """How many timers there are, including the cancelled ones that are still in the heap."""
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
        """Count a cancelled timer. If more than half of the timers are cancelled, the next `run` removes these."""
        self._cancelled += 1
        if self._cancelled > FEW and self._cancelled * 2 > len(self._heap):
            self._is_untidy = True
            self.due = 0.0

    def next_s(self) -> float | None:
        """Return in how many seconds the next timer is due, None if there is none."""
        due = self.due
        return None if due == NEVER else max(due - monotonic(), 0)

    def run(self) -> None:
        """Run the timers that are due by now, but not those that their callbacks add."""
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
            timer[2] = None  # a handler that interrupts the callback and waits must not run it again
            if callback is not None:
                try:
                    callback()
                except BaseException as error:  # noqa: BLE001 - the other timers must run nevertheless
                    self._blame(error, callback)
            if heap and heap[0] is timer:
                heapq.heappop(heap)
        self.due = heap[0][0] if heap else NEVER

    def _tidy(self) -> None:
        """Move the cancelled timers to the front of the heap by making them overdue; `run` removes them there.

        Before the sort the heap is out of order, and a timer that is added then may land anywhere. The sort is atomic,
        and makes a heap of all timers. If an exception interrupts this method, the next `run` calls it again.
        """
        self._cancelled = 0
        for timer in list(self._heap):
            if timer[2] is None:
                timer[0] = 0.0
        self._heap.sort()
        self._is_untidy = False
