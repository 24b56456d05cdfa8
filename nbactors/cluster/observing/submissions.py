"""`Submissions`: when calls were submitted, for the calls that do not tell it to their hosts."""

from __future__ import annotations

import threading

KEPT = 100_000
"""At least so many calls are remembered, the latest ones. Workers report only some of many short calls, and the session
reads the reports when somebody looks, or a few seconds later."""

_ID_SIZE = 8
"""Bytes of the id that tell the calls of a session apart. The others are those of the actor."""


class Submissions:
    """The times of one process's calls. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._young: dict[bytes, float] = {}
        self._old: dict[bytes, float] = {}

    def note(self, number: bytes, at: float) -> None:
        """Note when a call was submitted.

        Args:
            number: Ray's id of the call, or of its result, which begins with it.
            at: The time, in seconds since 1970.
        """
        self._young[number[:_ID_SIZE]] = at
        if len(self._young) >= KEPT:
            self._age()

    def of(self, number: bytes) -> float:
        """Return when a call was submitted, 0 if it is not known any more."""
        key = number[:_ID_SIZE]
        return self._young.get(key) or self._old.get(key, 0.0)

    def _age(self) -> None:
        with self._lock:
            if len(self._young) >= KEPT:  # no other thread has done it meanwhile
                self._old, self._young = self._young, {}
