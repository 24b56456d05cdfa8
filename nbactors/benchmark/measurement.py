"""What measuring one row on one runtime gave."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Measurement:
    """A figure, or the reason why there is none.

    Attributes:
        value: In the row's unit; None if it was not measured.
        limit: The machine's limit beside it, measured in between; None if the row has none or it was not taken.
        low, high: The least and the greatest figure that `value` is the median of; None if it was measured once.
        note: What else is worth knowing, or why there is no value.
    """

    value: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @classmethod
    def of(cls, values: Sequence[float], limit: float | None = None, note: str = "") -> Measurement:
        """Return the median of several figures."""
        return cls(statistics.median(values), limit, min(values), max(values), note)
