"""Tables of text for the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

NARROWEST = 8
"""The least characters of a column that is narrowed."""

_GAP = "  "


def lines(rows: Sequence[Sequence[str]], width: int = 0, kept: int = 0) -> list[str]:
    """Return a table's lines.

    Args:
        rows: The cells, the heads first.
        width: Characters that a line may have, 0 for any number. The widest columns are narrowed to fit, and if that is
            not enough, the last columns are left out.
        kept: How many of the first columns are never narrowed.
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    least = [size if index < kept else min(size, NARROWEST) for index, size in enumerate(widths)]
    while width and len(least) > max(kept, 1) and sum(least) + len(_GAP) * (len(least) - 1) > width:
        least.pop()
    widths = widths[: len(least)]
    narrowed = range(kept, len(widths))
    while width and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        widest = max(narrowed, key=lambda index: widths[index], default=None)
        if widest is None or widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return [
        _GAP.join(_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def plain(text: str) -> str:
    """Return a text without characters that steer a terminal: the names of actors may have any characters."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "�" for one in text)


def screen_width() -> int:
    """Return the characters of the terminal's line; 0 where the output goes elsewhere, which cuts no cell."""
    return terminal_width() if sys.stdout.isatty() else 0


def terminal_width() -> int:
    """Return the characters of the terminal's line; 80 where the output goes elsewhere."""
    return shutil.get_terminal_size().columns


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
