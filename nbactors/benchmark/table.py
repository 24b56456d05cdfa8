"""The benchmark's result for people: a table in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.benchmark import limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbactors.benchmark.rows import Measurement, Row

HEADS = ["work", "nbactors", "low to high", "limit", "of limit"]


def render(rows: Sequence[Row], found: Mapping[str, Measurement], medians: Mapping[str, float]) -> str:
    """Return the table, its notes, and the medians of the machine's limits."""
    lines = grid(HEADS, [cells(row, found[row.key]) for row in rows])
    lines += notes((row.work, found[row.key].note) for row in rows)
    if medians:
        lines.append("The machine's limits, measured in between:")
        lines += [f"  {name}: {number(value, 's' if name == limits.FORK else '/s')}" for name, value in medians.items()]
    return "\n".join(lines).rstrip()


def cells(row: Row, mine: Measurement) -> list[str]:
    """Return the cells of a row below `HEADS`."""
    low, high = mine.low, mine.high
    spread = "" if low is None or high is None or low == high else f"{_figure(low)} to {_figure(high)}"
    ratio = None if mine.limit is None else row.advantage(mine.value, mine.limit)
    figures = [number(mine.value, row.unit) or "-", spread, number(mine.limit, row.unit), number(ratio, "x")]
    return [row.work, *figures]


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with a head, and an empty line after them."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    joined = ("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)
    return [*map(str.rstrip, joined), ""]


def notes(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the lines for (work, note) pairs, without those that have no note."""
    lines = [f"  {work}: {note}" for work, note in pairs if note]
    return ["Notes:", *lines, ""] if lines else []


def number(value: float | None, unit: str) -> str:
    """Return a figure with its unit; empty for None."""
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 or unit in ("x", "ms", "GB/s") else 4
    return f"{value:,.{digits}f}{gap(unit)}{unit}"


def gap(unit: str) -> str:
    """Return the separator between a figure and its unit."""
    return "" if unit in ("/s", "x") else " "


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
