"""`MemoryFigures`: the memory of many processes, read a few at a time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import psutil

FRESH_S = 5.0
"""Seconds for which a figure counts as fresh."""

AT_ONCE = 25
"""Processes that are read in one round, at most."""

CHANGE = 0.01
"""The share by which the resident memory has to change until the process's own memory is read again."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Figure(NamedTuple):
    """`resident` and `own` in bytes, and the time at which they were read."""

    read_at: float
    resident: int
    own: int


class MemoryFigures:
    """The memory that processes have for themselves, without what they share with the forkserver.

    The kernel counts a process's own memory page by page, 0.2 ms for a small process. Its resident memory takes 0.01
    ms. So the own memory is read only where the resident memory has changed. Used by one thread at a time.

    Args:
        resident, own: Return the memory of a process in bytes; 0 if it is gone.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        resident: Callable[[int], int] | None = None,
        own: Callable[[int], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resident = resident or _resident
        self._own = own or _own
        self._clock = clock
        self._known: dict[int, _Figure] = {}

    def of(self, pids: Iterable[int]) -> dict[int, int]:
        """Return the own memory of processes in bytes, 0 where it was not read yet. Reads the oldest figures anew."""
        now, known = self._clock(), self._known
        wanted = list(dict.fromkeys(pids))
        none = _Figure(-FRESH_S, 0, 0)
        stale = sorted((known.get(pid, none).read_at, place) for place, pid in enumerate(wanted))
        for read_at, place in stale[:AT_ONCE]:
            if now - read_at >= FRESH_S:
                pid = wanted[place]
                known[pid] = self._read(pid, known.get(pid, none), now)
        self._known = {pid: known[pid] for pid in wanted if pid in known}
        return {pid: figure.own for pid, figure in self._known.items()}

    def _read(self, pid: int, before: _Figure, now: float) -> _Figure:
        resident = self._resident(pid)
        if abs(resident - before.resident) <= CHANGE * before.resident:
            return before._replace(read_at=now)
        return _Figure(now, resident, self._own(pid) if resident else 0)


def _resident(pid: int) -> int:
    try:
        if sys.platform != "linux":
            return int(psutil.Process(pid).memory_info().rss)
        with open(f"/proc/{pid}/statm", "rb") as file:  # psutil takes four times as long
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError, psutil.Error):  # it has ended
        return 0


def _own(pid: int) -> int:
    try:
        memory = psutil.Process(pid).memory_full_info()
    except (OSError, psutil.Error):  # it has ended, or the system denies access
        return 0
    return int(getattr(memory, "uss", memory.rss))
