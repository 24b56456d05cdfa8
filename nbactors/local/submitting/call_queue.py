"""A queue of calls that wait to be sent. Removing a call from the middle costs as little as from the end.

A call refers to its queue (`PendingCall.queue`), and only a call that does is in the queue: one store removes a call.
The deque keeps the removed call while an earlier one waits, or until more than half of the deque's calls are removed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar


class Queued(Protocol):
    """A call, as its queue sees it.

    Attributes:
        queue: The queue that the call is in; None if it is in none.
        connection: The connection on which the call was sent; None if it was not.
    """

    queue: Any
    connection: Any


_C = TypeVar("_C", bound=Queued)

FEW = 16
"""The number of removed calls up to which the deque is not tidied."""


class CallQueue(Generic[_C]):
    """A queue of calls. Methods run in turns of the target, see `Turns`; `__iter__` and `__len__` on any thread.

    Attributes:
        calls: The calls in order, with removed ones among them. `take_out` may replace the deque.
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
        """Remove the call that `head` has returned, unless a handler or finalizer has done so meanwhile."""
        if call.queue is self:
            call.queue = None
        calls = self.calls
        if calls and calls[0] is call:
            calls.popleft()

    def pop_sent(self, call: _C) -> None:
        """Do what `pop` does after the call was sent, unless its worker has given it back meanwhile.

        A handler that has interrupted the sending has waited then, and the call is in the queue a second time.
        """
        if call.queue is self and call.connection is not None:
            call.queue = None
        calls = self.calls
        if calls and calls[0] is call and call.queue is not self:
            calls.popleft()

    def take_out(self, call: _C) -> bool:
        """Remove a call anywhere in the queue; return whether it was in the queue."""
        if call.queue is not self:
            return False
        call.queue = None
        self._left += 1
        if self._left > FEW and self._left * 2 > len(self.calls):
            self._tidy()
        # A removed call holds its results. The queue of a dead actor is not looked at again, so its errors would count
        # as held, and would never be reported.
        self.head()
        return True

    def _tidy(self) -> None:
        """Replace the deque by one without the removed calls."""
        calls = self.calls
        try:
            first, last = calls[0], calls[-1]
            fresh = deque([call for call in calls if call.queue is self])
            # A handler that has interrupted this thread may have changed the deque, but only at its ends. So equal ends
            # mean an unchanged deque. The comparison and the store are one step.
            if self.calls is calls and calls[0] is first and calls[-1] is last:
                self.calls = fresh
        except (IndexError, RuntimeError):  # a handler has emptied the deque, or changed it during the iteration
            return
        self._left = 0

    def __iter__(self) -> Iterator[_C]:
        return iter([call for call in list(self.calls) if call.queue is self])

    def __len__(self) -> int:
        return max(len(self.calls) - self._left, 0)
