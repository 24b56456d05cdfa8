"""Calls that wait for their turn, in order. One can be taken out of the middle, at the cost of one at the end.

A call in a queue names it (`PendingCall.queue`), and only a call that does is in it. To take one out is therefore one
store. What is left of it stands in the deque until it comes to the front, or until more than half are of that kind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar


class Queued(Protocol):
    """A call, as its queue sees it.

    Attributes:
        queue: The queue that it is in.
    """

    queue: Any


_C = TypeVar("_C", bound=Queued)

FEW = 16
"""So many that were taken out are left where they are."""


class CallQueue(Generic[_C]):
    """The calls of one line. Methods: in the steps of the target, see `Turns`; `__iter__` and `__len__` on any thread.

    Attributes:
        calls: Where they stand, with what is left of those that were taken out. Exchanged by `take_out`.
    """

    __slots__ = ("_left", "calls")

    def __init__(self) -> None:
        self.calls: deque[_C] = deque()
        self._left = 0

    def append(self, call: _C) -> None:
        """Add a call at the end."""
        call.queue = self
        self.calls.append(call)

    def head(self) -> _C | None:
        """Return the first call, None if there is none."""
        while True:
            calls = self.calls
            if not calls:
                return None
            call = calls[0]
            if call.queue is self:
                return call
            if calls and calls[0] is call:
                calls.popleft()
                self._left -= self._left > 0

    def pop(self, call: _C) -> None:
        """Take out the call that `head` has returned. Nothing, if a handler or finalizer has done so meanwhile."""
        if call.queue is self:
            call.queue = None
        calls = self.calls
        if calls and calls[0] is call:
            calls.popleft()

    def take_out(self, call: _C) -> bool:
        """Take a call out wherever it stands; returns whether it was there."""
        if call.queue is not self:
            return False
        call.queue = None
        self._left += 1
        if self._left > FEW and self._left * 2 > len(self.calls):
            self._tidy()
        return True

    def _tidy(self) -> None:
        """Leave out what was left of others."""
        calls = self.calls
        try:
            first, last = calls[0], calls[-1]
            fresh = deque([call for call in calls if call.queue is self])
            # A handler that has interrupted this may have changed the ends, and nothing but those. The comparison and
            # the store are one step.
            if self.calls is calls and calls[0] is first and calls[-1] is last:
                self.calls = fresh
        except (IndexError, RuntimeError):  # a handler has emptied it, or changed it while it was looked through
            return
        self._left = 0

    def __iter__(self) -> Iterator[_C]:
        return iter([call for call in list(self.calls) if call.queue is self])

    def __len__(self) -> int:
        return max(len(self.calls) - self._left, 0)
