"""`Production`: the state of a generator that a job runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.options.num_returns import STREAMING

if TYPE_CHECKING:
    from nbactors.local.wire import messages


class Production:
    """How many values a generator has yielded, and how many of them were read.

    The thread that runs the generator counts yielded values; the leader's thread counts read ones.

    Attributes:
        stopped: Whether nobody reads any more.
    """

    __slots__ = ("_limit", "_read", "_wake", "_yielded", "stopped")

    def __init__(self, message: messages.Call | messages.Run) -> None:
        # With "dynamic" no value is read before the generator's end.
        self._limit = message.backpressure if message.num_returns == STREAMING else 0
        self._yielded = 0
        self._read = 0
        self.stopped = False
        self._wake: Callable[[], None] | None = None

    def next_index(self) -> int:
        """Count one more yielded value; return its index, from 1."""
        self._yielded += 1
        return self._yielded

    @property
    def must_pause(self) -> bool:
        """Whether as many values are unread as the backpressure limit allows."""
        return 0 < self._limit <= self._yielded - self._read and not self.stopped

    def pause(self, wake: Callable[[], None] | None) -> None:
        """Have `wake` called at the next `read` or `stop`. The caller looks at `must_pause` again after this call."""
        self._wake = wake

    def read(self, count: int) -> None:
        """Note that readers have taken `count` values in all. The leader's thread."""
        self._read = max(self._read, count)
        self._stir()

    def stop(self) -> None:
        """End the generator, since nobody reads any more or the call was cancelled. Any thread."""
        self.stopped = True
        self._stir()

    def _stir(self) -> None:
        wake = self._wake
        if wake is not None:
            wake()
