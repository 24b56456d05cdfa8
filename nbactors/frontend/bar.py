"""The state of a progress bar, and the rules for when it is shown: for `nbactors.util.progress` and for tqdm."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

REPORT_S = 0.1
"""Seconds between two states of a bar that a front end or a terminal gets."""

LINE_S = 2.0
"""Seconds between two lines of a bar in a stream that is no terminal."""


class BarState(NamedTuple):
    """The state of a progress bar.

    Attributes:
        cell: Number of the cell under which the bar is shown, 0 for none.
        source: The process that reports the bar: a worker's id in hexadecimal digits, empty for the session itself.
        bar: The bar's name, unique within its source.
        label, pid: The source's, for the prefix of its output; empty and 0 for the session itself.
        description: The text in front of the bar.
        n, total: The units done and the units in all; `total` is None where it is not known.
        unit_scale: The factor for numbers on display, which are then shortened by k, M and so on; 0 for plain numbers.
        elapsed: Seconds since the bar began.
        rate: Units per second, 0 where it is not known.
        postfix: The text behind the numbers.
        closed: Whether this is the last state.
        leave: Whether the bar remains after its end.
        failed: Why the bar ended unfinished; empty if it did not.
        call: The id of the call in which the bar goes on, in hexadecimal digits; empty if no call can be cancelled.
    """

    cell: int
    source: str
    bar: str
    label: str = ""
    pid: int = 0
    description: str = ""
    n: float = 0
    total: float | None = None
    unit: str = "it"
    unit_scale: float = 0
    elapsed: float = 0
    rate: float = 0
    postfix: str = ""
    closed: bool = False
    leave: bool = True
    failed: str = ""
    call: str = ""

    @property
    def fraction(self) -> float | None:
        """The share of the total that is done, from 0 to 1; None where the total is not known."""
        if self.total is None or not self.total > 0:
            return None
        return min(max(self.n / self.total, 0.0), 1.0)

    @property
    def is_unfinished(self) -> bool:
        """Whether the bar has ended before its total."""
        return self.closed and (bool(self.failed) or (self.fraction or 1.0) < 1.0)

    @property
    def is_removed(self) -> bool:
        """Whether the bar has ended and leaves nothing behind. A bar that failed remains, to tell why."""
        return self.closed and not self.leave and not self.failed


def mean_rate(units: float, elapsed: float) -> float:
    """Return units per second, 0 where no time has passed."""
    return units / elapsed if elapsed > 0 else 0


class BarReporter:
    """When a bar reports its state: the first one at once, then at most one in `REPORT_S`, and the last one always.

    A state that comes too soon is reported when `REPORT_S` is over, so that the last change before a pause is shown.
    Takes no lock: the calls come one at a time, but for `end`, which a finalizer may call at any moment.
    """

    _earliest = 0.0
    _is_due = False
    _has_ended = False

    def report(self, closed: bool) -> None:
        """Report the present state.

        Args:
            closed: Whether it is the last one.
        """
        raise NotImplementedError

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after `delay` seconds, on any thread."""
        raise NotImplementedError

    def changed(self) -> None:
        """Report the state, now or later."""
        if self._has_ended:
            return
        now = monotonic()
        if now >= self._earliest:
            self._earliest = now + REPORT_S
            self.report(False)
        elif not self._is_due:
            self._is_due = True
            self.call_later(self._earliest - now, self._wait_is_over)

    def end(self) -> None:
        """Report the last state. A second call does nothing."""
        if not self._has_ended:
            self._has_ended = True
            self.report(True)

    def _wait_is_over(self) -> None:
        self._is_due = False
        self.changed()


class LinePace:
    """When a bar prints a line: at most once in `LINE_S`, and at its end if it remains or has printed a line before."""

    def __init__(self) -> None:
        self._printed_at = monotonic()
        self._has_printed = False

    def is_due(self, state: BarState) -> bool:
        """Return whether this state is printed, and take it as printed then."""
        now = monotonic()
        if state.closed:
            return self._has_printed or not state.is_removed
        if now - self._printed_at < LINE_S:
            return False
        self._printed_at, self._has_printed = now, True
        return True
