"""Callbacks that are to run at a time."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from time import monotonic
from typing import Any

NEVER = math.inf


class Timers:
    """The timers of one reactor. `add` and `next_s`: any thread; `run`: the leader's.

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
        self._heap: list[list[Any]] = []
        self._numbers = itertools.count()

    def add(self, delay: float, callback: Callable[[], None]) -> None:
        """Have `callback` run in `delay` seconds."""
        when = monotonic() + delay
        heapq.heappush(self._heap, [when, next(self._numbers), callback])
        if when < self.due:
            self.due = when

    def next_s(self) -> float | None:
        """Return in how many seconds the next is due, None if there is none."""
        due = self.due
        return None if due == NEVER else max(due - monotonic(), 0)

    def run(self) -> None:
        """Run those that are due by now, but not what they add."""
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
