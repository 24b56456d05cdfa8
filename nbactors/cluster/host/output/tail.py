"""`Tail`: the end of what a worker has written, for whoever asks later."""

from __future__ import annotations

import threading
from collections import deque

KEPT = 1 << 20
"""Characters that are kept. Ray's log files on the worker's node have all."""

_PIECE = 1 << 12


class Tail:
    """Keeps the last characters of a stream. Any thread.

    Args:
        most: How many characters are kept; up to a piece more, since whole pieces are dropped.
    """

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._pieces: deque[str] = deque()
        self._kept = 0
        self._written = 0

    def add(self, text: str) -> None:
        """Note what was written."""
        with self._lock:
            if self._pieces and len(self._pieces[-1]) < _PIECE:
                self._pieces[-1] += text
            else:
                self._pieces.append(text)
            self._kept += len(text)
            self._written += len(text)
            while len(self._pieces) > 1 and self._kept - len(self._pieces[0]) >= self._most:
                self._kept -= len(self._pieces.popleft())

    def since(self, position: int) -> tuple[int, str]:
        """Return how many characters have been written, and those from `position` on that are kept.

        Args:
            position: What the last call has returned, 0 at first.
        """
        with self._lock:
            text = "".join(self._pieces)
            return self._written, text[max(position - (self._written - self._kept), 0) :]
