"""What the metrics of this process have recorded since the last report. The engine reports it to the node.

Recording is one step that waits for no lock, since signal handlers and finalizers may record, too.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

MANY = 4096
"""Recorded values after which the recording thread adds them up, so that they take little memory."""

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

Tags = tuple[tuple[str, str], ...]


class Definition(NamedTuple):
    """What a metric is. `boundaries` are the upper ends of a histogram's buckets, without the last one."""

    kind: str
    name: str
    description: str
    boundaries: tuple[float, ...] = ()


class Report(NamedTuple):
    """What was recorded of one metric with the same tags since the last report.

    Attributes:
        value: Of a counter the increase, of a gauge the last value, of a histogram the sum of the values.
        counts: Of a histogram the number of values in each bucket, the last of which has no upper end.
    """

    definition: Definition
    tags: Tags
    value: float
    counts: list[int]


class Point:
    """One metric with the same tags. A metric keeps its points, so that a record looks nothing up by name."""

    __slots__ = ("counts", "definition", "is_fresh", "tags", "value")

    def __init__(self, definition: Definition, tags: Tags) -> None:
        self.definition = definition
        self.tags = tags
        self._clear()

    def add(self, value: float) -> None:
        """Add a recorded value."""
        self.is_fresh = False
        if self.definition.kind == GAUGE:
            self.value = value
            return
        self.value += value
        if self.counts:
            self.counts[bisect_left(self.definition.boundaries, value)] += 1

    def take(self) -> Report:
        """Return what was added since the last time."""
        report = Report(self.definition, self.tags, self.value, self.counts)
        self._clear()
        return report

    def _clear(self) -> None:
        self.is_fresh = True
        self.value = 0.0
        self.counts = [0] * (len(self.definition.boundaries) + 1) if self.definition.kind == HISTOGRAM else []


class Points:
    """All recorded values of this process."""

    def __init__(self) -> None:
        self._on_record: Callable[[], object] | None = None
        self._recorded: deque[tuple[Point, float]] = deque()
        self._changed: list[Point] = []
        self._is_told = False
        self._lock = threading.Lock()

    def record(self, point: Point, value: float) -> None:
        """Record a value. Any thread."""
        recorded = self._recorded
        recorded.append((point, value))
        if not self._is_told:
            self._tell()
        if len(recorded) > MANY and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()

    def report_to(self, on_record: Callable[[], object] | None) -> None:
        """Set the function that is called when a value is recorded after the last report; None for no reports.

        It is called now if values were recorded before.
        """
        self._on_record = on_record
        self._is_told = False
        if self._recorded or self._changed:
            self._tell()

    def take(self) -> Sequence[Report]:
        """Return what was recorded since the last report; nothing if another thread is just adding up."""
        self._is_told = False
        if not self._lock.acquire(blocking=False):
            self._tell()  # so that the next report has it
            return ()
        try:
            self._add_up()
            changed, self._changed = self._changed, []
            return [point.take() for point in changed]
        finally:
            self._lock.release()

    def forget(self) -> None:
        """In a forked child: forget what the parent has recorded, which the parent reports."""
        self._lock = threading.Lock()  # a thread of the parent may hold the other one
        self._on_record = None
        self._is_told = False
        for point in {*self._changed, *(point for point, _ in self._recorded)}:
            point.take()
        self._recorded.clear()
        self._changed.clear()

    def _tell(self) -> None:
        if self._on_record is not None:
            self._is_told = True
            self._on_record()

    def _add_up(self) -> None:
        while self._recorded:
            point, value = self._recorded.popleft()
            if point.is_fresh:
                self._changed.append(point)
            point.add(value)


POINTS = Points()
os.register_at_fork(after_in_child=POINTS.forget)
