"""The keys that have been logged once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

PERIOD = 60.0
"""Seconds."""


class LogOnce:
    """Says of each key whether it is seen for the first time. Any thread.

    Args:
        clock: Returns the time in seconds.

    Attributes:
        is_disabled: Whether no key counts as new.
        is_periodic: Whether all keys are forgotten `PERIOD` seconds after the last new one.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.is_disabled = False
        self.is_periodic = False
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        self._last = clock()

    def is_first(self, key: str) -> bool:
        """Return whether the key is new, and remember it."""
        with self._lock:
            now = self._clock()
            if self.is_periodic and now - self._last > PERIOD:
                self._keys.clear()
            if self.is_disabled or key in self._keys:
                return False
            self._keys.add(key)
            self._last = now
            return True

    def forget(self, key: str | None = None) -> None:
        """Forget a key, by default all keys."""
        with self._lock:
            if key is None:
                self._keys.clear()
            else:
                self._keys.discard(key)
