"""Columns that fit the width of the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Column(NamedTuple):
    """A column.

    Attributes:
        title: Its heading, in lower case the name of an order if there is one.
        width: Its least characters.
        share: Its part of the characters that are left; 0 keeps the least width.
        is_right: Whether its texts stand at the right side.
    """

    title: str
    width: int
    share: int = 0
    is_right: bool = False


def fitted(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return the index and the width of each column that fits. The first columns are kept, the last ones left out.

    Args:
        columns: All columns, the most important first.
        width: Characters of the line. A space stands between two columns.
    """
    kept: list[tuple[int, int]] = []
    left = width
    for index, column in enumerate(columns):
        needed = column.width + (1 if kept else 0)
        if needed > left:
            break
        kept.append((index, column.width))
        left -= needed
    if not kept:
        return [(0, max(width, 1))]
    shares = sum(columns[index].share for index, _ in kept)
    if shares:
        kept = [(index, size + left * columns[index].share // shares) for index, size in kept]
    return kept
