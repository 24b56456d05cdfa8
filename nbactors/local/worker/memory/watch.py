"""`MemoryWatch`: holds a memory limit where the kernel cannot. See this room's `__init__`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from time import monotonic

from nbactors import byte_sizes
from nbactors.local.worker.memory import usage

LOOK_S = 1.0
"""Seconds between two looks while a call runs."""

PATIENCE_S = 3.0
"""Seconds that interrupted methods may take to end before the process is ended."""

POINTS = 6
"""The most looks that an error tells of."""


class MemoryWatch:
    """Looks at the used memory while calls run. Everything runs on the leader's thread, except `start`.

    Args:
        size: The limit in bytes.
        later: Calls a function on the leader's thread after the given seconds.
        runs: Returns whether a call runs.
        interrupt: Interrupts the running calls, whose errors have the given text.
        end: Ends the process, with the given text as the cause.
        used: Returns the used bytes.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        size: int,
        later: Callable[[float, Callable[[], None]], object],
        runs: Callable[[], bool],
        interrupt: Callable[[str], None],
        end: Callable[[str], None],
        used: Callable[[], int] = lambda: usage.now().own,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._size = size
        self._later = later
        self._runs = runs
        self._interrupt = interrupt
        self._end = end
        self._used = used
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque(maxlen=POINTS)
        self._looks = False
        self._interrupted_at: float | None = None

    def start(self) -> None:
        """Look once a second as long as calls run. Any thread."""
        if not self._looks:
            self._looks = True
            self._later(LOOK_S, self._look)

    def _look(self) -> None:
        self._looks = False
        if not self._runs():
            self._interrupted_at = None
            self._points.clear()
            return
        now, used = self._clock(), self._used()
        self._points.append((now, used))
        if used <= self._size:
            self._interrupted_at = None
        elif self._interrupted_at is None:
            self._interrupted_at = now
            self._interrupt(f"the method was interrupted, since {self._growth()}. The process lives on.")
        elif now - self._interrupted_at >= PATIENCE_S:
            self._end(
                f"its process (pid {os.getpid()}) was ended, since {self._growth()}, and the interrupted method "
                f"has not ended within {PATIENCE_S:g} s."
            )
            return
        self.start()

    def _growth(self) -> str:
        first, _ = self._points[0]
        seen = ", ".join(f"{byte_sizes.shown(used)} after {when - first:.0f} s" for when, used in self._points)
        return f"it went beyond its memory_limit of {byte_sizes.shown(self._size)} (the last looks: {seen})"
