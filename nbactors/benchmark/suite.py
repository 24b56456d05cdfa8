"""Runs the rows: all of them on one runtime, then on the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from nbactors.benchmark.bench import Bench, Effort
from nbactors.benchmark.catalogue import Group, Row, groups
from nbactors.benchmark.limits import Limits
from nbactors.benchmark.measurement import Measurement
from nbactors.benchmark.subject import WorkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbactors.benchmark.runtime import Runtime


@dataclass(frozen=True)
class Finding:
    """One row with its figures; `ray` is None if there was no comparison."""

    row: Row
    mine: Measurement
    ray: Measurement | None

    @property
    def ratio(self) -> float | None:
        """The figure as a share of the machine's limit, 1.0 being the limit itself."""
        return None if self.mine.limit is None else _advantage(self.row, self.mine.value, self.mine.limit)

    @property
    def times_ray(self) -> float | None:
        """How many times better than Ray."""
        return None if self.ray is None else _advantage(self.row, self.mine.value, self.ray.value)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none or it cannot be judged."""
        return self.row.target.met(self.mine, self.ray, self.row.less_is_better)


@dataclass(frozen=True)
class Findings:
    """All rows of a run, and the machine's limits of the same run."""

    rows: list[Finding]
    limits: dict[str, float]


def chosen(effort: Effort, only: str) -> list[Group]:
    """Return the groups with a row whose key or work contains `only`, reduced to those rows."""
    found = []
    for group in groups(effort.array_bytes, effort.fleet):
        rows = tuple(row for row in group.rows if only.lower() in f"{row.key} {row.work}".lower())
        if rows:
            found.append(Group(rows, group.measure))
    return found


def run(
    mine: Runtime, ray: Runtime | None, effort: Effort, wanted: Sequence[Group], tell: Callable[[str], None]
) -> Findings:
    """Measure the wanted groups, on Ray after all else so that its idle processes disturb nothing.

    Args:
        mine: nbactors.
        ray: What to compare with, or None.
        effort: How much is measured.
        wanted: From `chosen`.
        tell: Called with a line on what is being measured now.
    """
    with Limits(min(effort.seconds, 0.5), effort.array_bytes) as limits:
        ours = _measure(Bench(mine, limits, effort), wanted, tell)
        medians = limits.medians()
    theirs = {} if ray is None else _measure(Bench(ray, None, effort), wanted, tell)
    rows = [row for group in wanted for row in group.rows]
    return Findings([Finding(row, ours[row.key], theirs.get(row.key)) for row in rows], medians)


def _measure(bench: Bench, wanted: Sequence[Group], tell: Callable[[str], None]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    with bench:
        for group in wanted:
            tell(f"{bench.runtime.module}: {group.rows[0].work}")
            try:
                found |= group.measure(bench)
            except (WorkError, psutil.Error) as error:
                failed = Measurement(note=f"failed: {error}")
                found |= {row.key: failed for row in group.rows}
                bench.close()
    return found


def _advantage(row: Row, value: float | None, other: float | None) -> float | None:
    if value is None or other is None or value <= 0 or other <= 0:
        return None
    return other / value if row.less_is_better else value / other
