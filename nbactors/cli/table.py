"""Tables of text for the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

NARROWEST = 8
"""The least characters of a column that is narrowed."""

_GAP = "  "


def lines(rows: Sequence[Sequence[str]], width: int = 0, kept: int = 0) -> list[str]:
    """Return a table's lines.

    Args:
        rows: The cells, the heads first.
        width: Characters that a line may have, 0 for any number. The widest columns are narrowed to fit.
        kept: How many of the first columns are never narrowed.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    narrowed = range(kept, len(widths))
    while width and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        widest = max(narrowed, key=lambda index: widths[index], default=None)
        if widest is None or widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return [
        _GAP.join(_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def terminal_width() -> int:
    """Return the characters of the terminal's line; 80 where the output goes elsewhere."""
    return shutil.get_terminal_size().columns


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
