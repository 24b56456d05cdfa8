"""What a figure must reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.benchmark.measurement import Measurement


@dataclass(frozen=True)
class Target:
    """Bounds, all of which must hold; without any, the row only informs.

    Attributes:
        at_most, at_least: In the row's unit.
        limit_share: At least this share of the machine's limit.
        ray_times: At least this many times better than Ray; judged only where Ray was measured.
    """

    at_most: float | None = None
    at_least: float | None = None
    limit_share: float | None = None
    ray_times: float | None = None

    def met(self, mine: Measurement, ray: Measurement | None, less_is_better: bool = False) -> bool | None:
        """Return whether the figure reaches all bounds that can be judged; None if none can."""
        if mine.value is None:
            return None
        verdicts = []
        if self.at_most is not None:
            verdicts.append(mine.value <= self.at_most)
        if self.at_least is not None:
            verdicts.append(mine.value >= self.at_least)
        if self.limit_share is not None and mine.limit is not None:
            verdicts.append(mine.value >= self.limit_share * mine.limit)
        if self.ray_times is not None and ray is not None and ray.value is not None:
            worse, better = (mine.value, ray.value) if less_is_better else (ray.value, mine.value)
            verdicts.append(better >= self.ray_times * worse)
        return all(verdicts) if verdicts else None
