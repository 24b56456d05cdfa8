"""Actions that are to run at a given time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

FEW = 64
"""Up to this many cancelled alarms stay in the heap until they are due."""

Alarm = list[Any]
"""The list [time, serial number, action or None]."""


class Alarms:
    """Actions by the time at which they are due.

    An action checks whether it still applies. Only an alarm that would keep much memory for long is taken back.
    """

    def __init__(self) -> None:
        self._heap: list[Alarm] = []
        self._numbers = itertools.count()
        self._taken_back = 0

    def __len__(self) -> int:
        """How many alarms there are, including some cancelled ones."""
        return len(self._heap)

    def set(self, when: float, action: Callable[[], None]) -> Alarm:
        """Have `action` called once, at the time `when` or later."""
        alarm: Alarm = [when, next(self._numbers), action]
        heapq.heappush(self._heap, alarm)
        return alarm

    def take_back(self, alarm: Alarm | None) -> None:
        """Cancel an alarm, and drop its action. Does nothing if the action was called or dropped before."""
        if alarm is None or alarm[2] is None:
            return
        alarm[2] = None
        self._taken_back += 1
        if self._taken_back > FEW and self._taken_back * 2 > len(self._heap):
            self._heap = [alarm for alarm in self._heap if alarm[2] is not None]
            heapq.heapify(self._heap)
            self._taken_back = 0

    @property
    def deadline(self) -> float | None:
        """When the next alarm is due; None without an alarm."""
        return self._heap[0][0] if self._heap else None

    def ring(self, now: float) -> None:
        """Call the actions that are due."""
        while self._heap and self._heap[0][0] <= now:
            alarm = heapq.heappop(self._heap)
            action, alarm[2] = alarm[2], None
            if action is None:
                self._taken_back -= self._taken_back > 0
            else:
                action()
