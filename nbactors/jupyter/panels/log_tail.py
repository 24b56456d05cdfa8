"""`LogTail`: the last lines of an actor's log, read anew only when the file has grown."""

from __future__ import annotations

import os

from nbactors.util.files import log_end

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
            found = log_end.lines(path, LINES, _TAIL_BYTES) if size else []
            self._lines = [line.rpartition("\r")[2][:_WIDTH] for line in found]
        return self._lines
