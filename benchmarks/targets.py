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
        share_on_ray: What the engine on Ray must reach of Ray's own figure; judged only if both were measured.
    """

    at_most: float | None = None
    at_least: float | None = None
    limit_share: float | None = None
    ray_times: float | None = None
    share_on_ray: float | None = None

    def met(
        self, row: Row, mine: Measurement, ray: Measurement | None, on_ray: Measurement | None = None
    ) -> bool | None:
        """Return whether a row's figure reaches all bounds that can be judged; None if no bound can be judged."""
        if mine.value is None:
            return None
        verdicts = []
        if self.at_most is not None:
            verdicts.append(mine.value <= self.at_most)
        if self.at_least is not None:
            verdicts.append(mine.value >= self.at_least)
        if self.limit_share is not None and mine.limit is not None:
            share = row.advantage(mine.value, mine.limit)
            verdicts.append(share is not None and share >= self.limit_share)
        if self.ray_times is not None and ray is not None and ray.value is not None:
            worse, better = (mine.value, ray.value) if row.less_is_better else (ray.value, mine.value)
            verdicts.append(better >= self.ray_times * worse)
        if self.share_on_ray is not None and ray is not None and on_ray is not None:
            share = row.advantage(on_ray.value, ray.value)
            if share is not None:
                verdicts.append(share >= self.share_on_ray)
        return all(verdicts) if verdicts else None


TIME_ON_RAY = 1 / 1.3
"""A call by the engine on Ray takes at most 1.3 times as long as Ray's own."""

RATE_ON_RAY = 0.8
"""The share of Ray's own calls in a second that the engine on Ray reaches."""

TARGETS = {
    "init_cold": Target(at_most=0.30),
    "init_warm": Target(at_most=0.05),
    "import": Target(at_most=0.08),
    "actor_start": Target(at_most=0.03),
    "memory": Target(at_most=60),
    "actor_memory": Target(at_most=8),
    "held_call": Target(at_most=1000),
    "held_result": Target(at_most=400),
    "held_put": Target(at_most=400),
    "calls_sequential": Target(limit_share=0.55, ray_times=6, share_on_ray=TIME_ON_RAY),
    "calls_in_flight": Target(limit_share=0.35, ray_times=20, share_on_ray=RATE_ON_RAY),
    "put_small": Target(at_least=200_000),
    "get_small": Target(at_least=200_000),
    "wait": Target(at_least=50),
    "async_sequential": Target(limit_share=0.40, share_on_ray=TIME_ON_RAY),
    "async_in_flight": Target(limit_share=0.20, share_on_ray=RATE_ON_RAY),
    "threads_in_flight": Target(limit_share=0.20, share_on_ray=RATE_ON_RAY),
    "group_of_threads": Target(ray_times=10),
    "group_on_a_loop": Target(ray_times=10),
    "n_to_n": Target(ray_times=10),
    "cpu_plain": Target(limit_share=1 / 1.3),
    "cpu_async": Target(limit_share=1 / 2),
    "busy_sequential": Target(limit_share=1.0),
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
