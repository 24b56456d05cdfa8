"""What is to be done later."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Alarms:
    """Actions by the time at which they are due. None is ever taken back: an action looks whether it still applies."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def set(self, when: float, action: Callable[[], None]) -> None:
        """Have `action` called once, at `when` or later."""
        heapq.heappush(self._heap, (when, next(self._numbers), action))

    @property
    def deadline(self) -> float | None:
        """When the next one is due."""
        return self._heap[0][0] if self._heap else None

    def ring(self, now: float) -> None:
        """Call those that are due."""
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
