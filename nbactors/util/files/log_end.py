"""The last lines of a log, found from its end: a log of gigabytes takes no longer than a small one."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

_BLOCK = 1 << 16


def find(file: BinaryIO, count: int, most_bytes: int = sys.maxsize) -> tuple[int, int]:
    """Return the position at which the last lines of a file begin, and how many lines there are from there on.

    Args:
        file: The file, open for reading. Its position changes.
        count: The number of lines, 0 or more. A line ends with a line feed, or with the file.
        most_bytes: How many of the last bytes count. A line that begins before them counts from there on.
    """
    end = file.seek(0, os.SEEK_END)
    first = max(0, end - most_bytes)
    if count == 0 or first == end:
        return end, 0
    found, position = 0, end - 1  # the line feed at the end of the file begins no line
    while position > first:
        begin = max(first, position - _BLOCK)
        file.seek(begin)
        block = file.read(position - begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == count:
                return begin + at + 1, count
        position = begin
    return _first_character(file, first), found + 1


def _first_character(file: BinaryIO, position: int) -> int:
    """Return the position, or the next one at which a character of UTF-8 begins."""
    file.seek(position)
    following = file.read(3) if position else b""
    inside = len(following) - len(following.lstrip(bytes(range(0x80, 0xC0))))
    return position + inside


def lines(path: str, count: int, most_bytes: int) -> list[str]:
    """Return the last lines of a file without their ends, from its last bytes only; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            position, found = find(file, count, most_bytes)
            file.seek(position)
            text = file.read(most_bytes).decode(errors="replace")
    except OSError:
        return []
    return text.split("\n")[:found]
