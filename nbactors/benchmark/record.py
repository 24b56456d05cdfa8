"""The result for programs: a JSON document."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

import psutil

from nbactors.benchmark.limits import UNITS

if TYPE_CHECKING:
    from nbactors.benchmark.bench import Effort
    from nbactors.benchmark.runtime import Runtime
    from nbactors.benchmark.suite import Finding, Findings

FORMAT = 1


def record(findings: Findings, mine: Runtime, ray: Runtime | None, effort: Effort) -> dict[str, Any]:
    """Return everything that was found, and on what machine."""
    return {
        "format": FORMAT,
        "nbactors": mine.version,
        "ray": None if ray is None else ray.version,
        "machine": {
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
        },
        "effort": {"seconds": effort.seconds, "rounds": effort.rounds, "array_bytes": effort.array_bytes},
        "limits": {name: {"value": value, "unit": UNITS[name]} for name, value in findings.limits.items()},
        "rows": [_row(finding) for finding in findings.rows],
    }


def _row(finding: Finding) -> dict[str, Any]:
    target = finding.row.target
    return {
        "key": finding.row.key,
        "work": finding.row.work,
        "unit": finding.row.unit,
        "nbactors": finding.mine.value,
        "low": finding.mine.low,
        "high": finding.mine.high,
        "limit": finding.mine.limit,
        "ratio": finding.ratio,
        "ray": None if finding.ray is None else finding.ray.value,
        "times_ray": finding.times_ray,
        "target": {
            "at_most": target.at_most,
            "at_least": target.at_least,
            "limit_share": target.limit_share,
            "ray_times": target.ray_times,
        },
        "met": finding.met,
        "note": finding.mine.note,
    }
