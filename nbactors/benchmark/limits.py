"""What this machine can do at best, measured in between the work, since machines are noisy."""

from __future__ import annotations

import contextlib
import statistics
from typing import TYPE_CHECKING

from nbactors.benchmark import copying, forking
from nbactors.benchmark.exchange import Exchange

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

ONE_AT_A_TIME = "one at a time"
IN_FLIGHT = "in flight"
FORK = "fork and exit"
MAPPED = "copy into mapped memory"
FRESH_PAGES = "copy into fresh pages"
FRESH_FILE = "write to a fresh memory file"

UNITS = {
    ONE_AT_A_TIME: "/s",
    IN_FLIGHT: "/s",
    FORK: "s",
    MAPPED: "GB/s",
    FRESH_PAGES: "GB/s",
    FRESH_FILE: "GB/s",
}


class Limits:
    """Measures limits by name and keeps every figure. A context manager: owns the second process of the exchange.

    Args:
        seconds: How long one measurement of the exchange takes.
        array_bytes: How much memory is copied.
    """

    def __init__(self, seconds: float, array_bytes: int) -> None:
        self._seconds = seconds
        self._array_bytes = array_bytes
        self._measured: dict[str, list[float]] = {}
        self._open = contextlib.ExitStack()
        self._exchange: Exchange | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def measure(self, name: str) -> float | None:
        """Measure one limit once more, in its unit of `UNITS`; None where the machine has no such thing."""
        value = self._once(name)
        if value is not None:
            self._measured.setdefault(name, []).append(value)
        return value

    def medians(self) -> dict[str, float]:
        """Return the median of each limit that was measured."""
        return {name: statistics.median(values) for name, values in self._measured.items()}

    def _once(self, name: str) -> float | None:
        if name == FORK:
            return forking.fork_and_exit()
        if name == ONE_AT_A_TIME:
            return self._exchanging().one_at_a_time(self._seconds)
        if name == IN_FLIGHT:
            return self._exchanging().in_flight(self._seconds)
        copy = {MAPPED: copying.into_mapped, FRESH_PAGES: copying.into_fresh_pages, FRESH_FILE: copying.into_fresh_file}
        speed = copy[name](self._array_bytes)
        return None if speed is None else speed / 1e9

    def _exchanging(self) -> Exchange:
        if self._exchange is None:
            self._exchange = self._open.enter_context(Exchange())
        return self._exchange
