"""`Submissions`: when calls were submitted, and by which calls, for the calls that do not tell it to their hosts."""

from __future__ import annotations

import threading
from array import array

from nbactors.cluster.common.call_report import ID_SIZE

KEPT = 100_000
"""At least so many calls are remembered, the latest ones. Workers report only some of many short calls, and the session
reads the reports when somebody looks, or a few seconds later."""


class Submissions:
    """The submissions that a session knows of. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._young: dict[bytes, float | tuple[float, bytes]] = {}
        self._old: dict[bytes, float | tuple[float, bytes]] = {}

    def note(self, number: bytes, at: float, parent: object = None) -> None:
        """Note that the session itself has submitted a call.

        Args:
            number: Ray's id of the call, or of its result, which begins with it.
            at: The time, in seconds since 1970.
            parent: None.
        """
        del parent
        self._young[number[:ID_SIZE]] = at
        if len(self._young) >= KEPT:
            self._age()

    def take(self, parent: bytes, ids: bytes, times: bytes) -> list[bytes]:
        """Take what a worker has reported of the calls that a call has submitted.

        Args:
            parent: Ray's id of that call.
            ids: The first `ID_SIZE` bytes of the ids of the submitted calls, one after the other.
            times: The times, in seconds since 1970, as doubles, one after the other.

        Returns:
            The ids one by one.
        """
        found = [ids[place : place + ID_SIZE] for place in range(0, len(ids), ID_SIZE)]
        self._young.update(zip(found, ((at, parent) for at in array("d", times)), strict=True))
        if len(self._young) >= KEPT:
            self._age()
        return found

    def of(self, number: bytes) -> tuple[float, bytes] | None:
        """Return when a call was submitted, and by which call, if it was one; None if it is not known (any more)."""
        key = number[:ID_SIZE]
        found = self._young.get(key) or self._old.get(key)
        return found if found is None or type(found) is tuple else (found, b"")  # type: ignore[return-value]

    def _age(self) -> None:
        with self._lock:
            if len(self._young) >= KEPT:  # no other thread has done it meanwhile
                self._old, self._young = self._young, {}
