"""`LogTail`: the last lines of an actor's log, read anew only when the file has grown."""

from __future__ import annotations

import os

LINES = 3
"""Lines that a panel shows all the time."""

_TAIL_BYTES = 4096
_WIDTH = 300


class LogTail:
    """Reads one log. Used by one thread at a time."""

    def __init__(self) -> None:
        self._seen: tuple[str, int] = ("", -1)
        self._lines: list[str] = []

    def lines(self, path: str) -> list[str]:
        """Return the last lines of the file, none if it cannot be read."""
        try:
            size = os.path.getsize(path) if path else 0
        except OSError:
            size = 0
        if (path, size) != self._seen:
            self._seen = (path, size)
            self._lines = last_lines(path, LINES, _TAIL_BYTES) if size else []
        return self._lines


def last_lines(path: str, count: int, most_bytes: int) -> list[str]:
    """Return the last lines of a file, from its last bytes only; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rpartition("\r")[2][:_WIDTH] for line in text.rstrip("\n").split("\n")[-count:]]
