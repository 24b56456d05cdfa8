"""The target of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.benchmark.rows import Measurement, Row


@dataclass(frozen=True)
class Target:
    """Bounds of a figure, all of which must hold. A row without bounds has no target.

    Attributes:
        at_most, at_least: Bounds in the row's unit.
        limit_share: Least share of the machine's limit.
        ray_times: Least factor by which the figure is better than Ray's; judged only if Ray was measured.
    """

    at_most: float | None = None
    at_least: float | None = None
    limit_share: float | None = None
    ray_times: float | None = None

    def met(self, row: Row, mine: Measurement, ray: Measurement | None) -> bool | None:
        """Return whether a row's figure reaches all bounds that can be judged; None if no bound can be judged."""
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
            worse, better = (mine.value, ray.value) if row.less_is_better else (ray.value, mine.value)
            verdicts.append(better >= self.ray_times * worse)
        return all(verdicts) if verdicts else None


TARGETS = {
    "init_cold": Target(at_most=0.30),
    "init_warm": Target(at_most=0.05),
    "import": Target(at_most=0.08),
    "actor_start": Target(at_most=0.03),
    "memory": Target(at_most=60),
    "actor_memory": Target(at_most=8),
    "calls_sequential": Target(limit_share=0.55, ray_times=6),
    "calls_in_flight": Target(limit_share=0.35, ray_times=20),
    "put_small": Target(at_least=200_000),
    "get_small": Target(at_least=200_000),
    "wait": Target(at_least=50),
    "async_sequential": Target(limit_share=0.40),
    "async_in_flight": Target(limit_share=0.20),
    "threads_in_flight": Target(limit_share=0.20),
    "group_of_threads": Target(ray_times=10),
    "group_on_a_loop": Target(ray_times=10),
    "n_to_n": Target(ray_times=10),
    "stream_small": Target(limit_share=0.15),
    "stream_first": Target(ray_times=10),
    "stream_large": Target(ray_times=10),
    "put_array_first": Target(at_least=1.3),
    "put_array_later": Target(limit_share=0.8),
    "get_array": Target(at_most=1.0),
    "spill_write": Target(limit_share=0.7),
    "spill_read": Target(limit_share=0.7),
    "fleet": Target(at_most=20),
    "fleet_calls": Target(at_least=0.8),
    "fleet_chain": Target(ray_times=10),
}
"""The targets by the rows' keys."""
