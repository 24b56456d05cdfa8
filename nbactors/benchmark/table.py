"""The result for people: a table in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.benchmark.limits import UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbactors.benchmark.catalogue import Row
    from nbactors.benchmark.suite import Finding, Findings

VERDICTS = {True: "yes", False: "NO", None: ""}


def render(findings: Findings, compared: bool) -> str:
    """Return the table, its notes, and the machine's limits of the same run."""
    heads = (
        ["work", "nbactors", "low to high", "limit", "of limit"]
        + (["Ray", "x Ray"] if compared else [])
        + ["target", "met"]
    )
    lines = [heads, *(_cells(finding, compared) for finding in findings.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [_joined(heads, widths), "  ".join("-" * width for width in widths)]
    text += [_joined(line, widths) for line in lines[1:]]
    text += ["", *_notes(findings)]
    if findings.limits:
        text.append("The machine's limits, measured in between:")
        text += [f"  {name}: {number(value, UNITS[name])}" for name, value in findings.limits.items()]
    return "\n".join(text).rstrip()


def number(value: float | None, unit: str) -> str:
    """Return a figure with its unit, or nothing."""
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 or unit in ("x", "ms", "GB/s") else 4
    return f"{value:,.{digits}f}{_gap(unit)}{unit}"


def _cells(finding: Finding, compared: bool) -> list[str]:
    row, mine = finding.row, finding.mine
    cells = [
        row.work,
        number(mine.value, row.unit) or "-",
        _range(finding),
        number(mine.limit, row.unit),
        number(finding.ratio, "x"),
    ]
    if compared:
        ray = "" if finding.ray is None else number(finding.ray.value, row.unit)
        cells += [ray or "-", number(finding.times_ray, "x")]
    return [*cells, _target(row), VERDICTS[finding.met]]


def _range(finding: Finding) -> str:
    low, high = finding.mine.low, finding.mine.high
    return "" if low is None or high is None or low == high else f"{_figure(low)} to {_figure(high)}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _target(row: Row) -> str:
    target = row.target
    parts = []
    if target.at_most is not None:
        parts.append(f"<= {_bound(target.at_most, row.unit)}")
    if target.at_least is not None:
        parts.append(f">= {_bound(target.at_least, row.unit)}")
    if target.limit_share is not None:
        parts.append(f">= {target.limit_share:.2f} of limit")
    if target.ray_times is not None:
        parts.append(f">= {target.ray_times:.0f}x Ray")
    return ", ".join(parts)


def _bound(value: float, unit: str) -> str:
    return f"{value:,g}{_gap(unit)}{unit}"


def _gap(unit: str) -> str:
    return "" if unit in ("/s", "x") else " "


def _notes(findings: Findings) -> list[str]:
    lines = []
    for finding in findings.rows:
        if finding.mine.note:
            lines.append(f"  {finding.row.work}: {finding.mine.note}")
        if finding.ray is not None and finding.ray.note:
            lines.append(f"  {finding.row.work}, Ray: {finding.ray.note}")
    return ["Notes:", *lines, ""] if lines else []


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = cells[0].ljust(widths[0])
    return "  ".join([left, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]).rstrip()
