"""The limits of this machine, measured between rounds of the work, since a machine's speed changes with time."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

from nbactors.benchmark.exchange import Exchange

ONE_AT_A_TIME = "one at a time"
IN_FLIGHT = "in flight"
FORK = "fork and exit"


class Limits:
    """Measures limits by name and keeps every figure. `close` ends the second process of the exchange.

    Args:
        seconds: Length of one measurement of the exchange.
        more: Further limits: for each name a function that measures the limit once, or returns None if this machine
            does not have it.
    """

    def __init__(self, seconds: float, more: dict[str, Callable[[], float | None]] | None = None) -> None:
        exchange = Exchange()
        self.close = exchange.close
        self._measured: dict[str, list[float]] = defaultdict(list)
        self._measures: dict[str, Callable[[], float | None]] = {
            ONE_AT_A_TIME: lambda: exchange.rate(seconds, 1),
            IN_FLIGHT: lambda: exchange.rate(seconds, 1000),
            FORK: lambda: statistics.median(_fork_and_exit() for _ in range(9)),
            **(more or {}),
        }

    def measure(self, name: str) -> float | None:
        """Measure one limit once; return None if this machine does not have it."""
        value = self._measures[name]()
        if value is not None:
            self._measured[name].append(value)
        return value

    def medians(self) -> dict[str, float]:
        """Return the median of each limit that was measured."""
        return {name: statistics.median(values) for name, values in self._measured.items()}


def _fork_and_exit() -> float:
    """Return the seconds of `fork`, `_exit` and `waitpid`, which are the limit for the creation of an actor."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return time.perf_counter() - start
