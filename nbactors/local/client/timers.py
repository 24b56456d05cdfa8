"""Callbacks that are to run at a time."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from time import monotonic

NEVER = math.inf


class Timers:
    """The timers of one reactor. `add` and `next_s`: any thread; `run`: the leader's.

    Attributes:
        due: When the earliest is due, on the monotonic clock; NEVER if there is none. May be read by any thread.
    """

    def __init__(self, complain: Callable[[object], None]) -> None:
        self.due = NEVER
        self._complain = complain
        self._lock = threading.Lock()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def add(self, delay: float, callback: Callable[[], None]) -> None:
        """Have `callback` run in `delay` seconds."""
        with self._lock:
            heapq.heappush(self._heap, (monotonic() + delay, next(self._numbers), callback))
            self.due = self._heap[0][0]

    def next_s(self) -> float | None:
        """Return in how many seconds the next is due, None if there is none."""
        due = self.due
        return None if due == NEVER else max(due - monotonic(), 0)

    def run(self) -> None:
        """Run those that are due by now, but not what they add."""
        now = monotonic()
        while self.due <= now:
            with self._lock:
                if self.due > now:
                    return
                callback = heapq.heappop(self._heap)[2]
                self.due = self._heap[0][0] if self._heap else NEVER
            try:
                callback()
            except Exception:  # noqa: BLE001 - it must not take the others along
                self._complain(callback)
