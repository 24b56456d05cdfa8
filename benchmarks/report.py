"""The benchmarks' result: a table for people, a JSON document for programs."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import processor_time
from benchmarks.targets import TARGETS, Target
from nbactors.benchmark import limits, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.bench import Measured, MoreEffort
    from nbactors.benchmark.rows import Measurement, Row

FORMAT = 3
VERDICTS = {True: "yes", False: "NO", None: ""}
UNITS = {
    limits.FORK: "s",
    limits.ONE_AT_A_TIME: "/s",
    limits.IN_FLIGHT: "/s",
    **dict.fromkeys(processor_time.PER_CALL.values(), "us"),
    **dict.fromkeys(processor_time.BUSY.values(), "/s"),
}
"""Units of the machine's limits. The limits for large values, which are not listed, are in GB/s."""


@dataclass(frozen=True)
class Finding:
    """One row with its measurements.

    Attributes:
        mine: The embedded engine's.
        ray: Ray's; None if it was not measured.
        on_ray: That of the engine on Ray; None if it was not measured.
    """

    row: Row
    mine: Measurement
    ray: Measurement | None
    on_ray: Measurement | None = None

    @property
    def target(self) -> Target:
        """The target of the row."""
        return TARGETS.get(self.row.key, Target())

    @property
    def times_ray(self) -> float | None:
        """How many times better than Ray nbactors is."""
        return None if self.ray is None else self.row.advantage(self.mine.value, self.ray.value)

    @property
    def share_on_ray(self) -> float | None:
        """How good the figure of the engine on Ray is compared with Ray's own, which is 1."""
        if self.ray is None or self.on_ray is None:
            return None
        return self.row.advantage(self.on_ray.value, self.ray.value)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is no target or it cannot be judged."""
        return self.target.met(self.row, self.mine, self.ray, self.on_ray)


def render(findings: Sequence[Finding], medians: Mapping[str, float], compared: bool) -> str:
    """Return the table, its notes, and the medians of the machine's limits."""
    costs = any(finding.on_ray is not None for finding in findings)
    heads = [*table.HEADS, *(["Ray", "x Ray"] if compared else []), *(["on Ray", "of Ray"] if costs else [])]
    lines = table.grid([*heads, "target", "met"], [_cells(finding, compared, costs) for finding in findings])
    pairs = [(finding.row.work, finding.mine.note) for finding in findings]
    pairs += [(f"{finding.row.work}, Ray", finding.ray.note) for finding in findings if finding.ray is not None]
    pairs += [(f"{each.row.work}, on Ray", each.on_ray.note) for each in findings if each.on_ray is not None]
    lines += table.notes(pairs)
    if medians:
        lines.append("The machine's limits, measured in between:")
        lines += [f"  {name}: {table.number(value, UNITS.get(name, 'GB/s'))}" for name, value in medians.items()]
    return "\n".join(lines).rstrip()


def _cells(finding: Finding, compared: bool, costs: bool) -> list[str]:
    row, ray, on_ray = finding.row, finding.ray, finding.on_ray
    cells = table.cells(row, finding.mine)
    if compared:
        figure = "" if ray is None else table.number(ray.value, row.unit)
        cells += [figure or "-", table.number(finding.times_ray, "x")]
    if costs:
        figure = "" if on_ray is None else table.number(on_ray.value, row.unit)
        cells += [figure or "-", table.number(finding.share_on_ray, "x")]
    return [*cells, _bounds(row, finding.target), VERDICTS[finding.met]]


def _bounds(row: Row, target: Target) -> str:
    unit = table.gap(row.unit) + row.unit
    parts = []
    if target.at_most is not None:
        parts.append(f"<= {target.at_most:,g}{unit}")
    if target.at_least is not None:
        parts.append(f">= {target.at_least:,g}{unit}")
    if target.limit_share is not None:
        parts.append(f">= {target.limit_share:.2f} of limit")
    if target.ray_times is not None:
        parts.append(f">= {target.ray_times:.0f}x Ray")
    if target.share_on_ray is not None:
        parts.append(f">= {target.share_on_ray:.2f}x Ray on Ray")
    return ", ".join(parts)


def record(
    findings: Sequence[Finding], medians: Mapping[str, float], mine: Measured, ray: Measured | None, effort: MoreEffort
) -> dict[str, Any]:
    """Return all figures, and a description of the machine, as a JSON document."""
    return {
        "format": FORMAT,
        "nbactors": mine.version,
        "ray": None if ray is None else ray.version,
        "machine": {
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
        },
        "effort": asdict(effort),
        "limits": {name: {"value": value, "unit": UNITS.get(name, "GB/s")} for name, value in medians.items()},
        "rows": [
            {
                "key": finding.row.key,
                "work": finding.row.work,
                "unit": finding.row.unit,
                "nbactors": finding.mine.value,
                "low": finding.mine.low,
                "high": finding.mine.high,
                "limit": finding.mine.limit,
                "ray": None if finding.ray is None else finding.ray.value,
                "times_ray": finding.times_ray,
                "on_ray": None if finding.on_ray is None else finding.on_ray.value,
                "share_on_ray": finding.share_on_ray,
                "target": asdict(finding.target),
                "met": finding.met,
                "note": finding.mine.note,
            }
            for finding in findings
        ],
    }
