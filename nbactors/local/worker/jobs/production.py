"""How far a generator is that a call runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.options.num_returns import STREAMING

if TYPE_CHECKING:
    from nbactors.local.wire import messages


class Production:
    """How far one generator is. Written by the thread that runs it, and by the leader's for what is read.

    Attributes:
        stopped: Nobody reads any more.
    """

    __slots__ = ("_limit", "_read", "_wake", "_yielded", "stopped")

    def __init__(self, message: messages.Call | messages.Run) -> None:
        # With "dynamic" nothing is read before all is there.
        self._limit = message.backpressure if message.num_returns == STREAMING else 0
        self._yielded = 0
        self._read = 0
        self.stopped = False
        self._wake: Callable[[], None] | None = None

    def next_index(self) -> int:
        """Count one more value."""
        self._yielded += 1
        return self._yielded

    @property
    def must_pause(self) -> bool:
        """Whether as much is unread as may be."""
        return 0 < self._limit <= self._yielded - self._read and not self.stopped

    def pause(self, wake: Callable[[], None] | None) -> None:
        """Have `wake` called when something changes; look at `must_pause` again after calling this."""
        self._wake = wake

    def read(self, count: int) -> None:
        """So many were read. The leader's thread."""
        self._read = max(self._read, count)
        self._stir()

    def stop(self) -> None:
        """Nobody reads any more, or the call was cancelled. Any thread."""
        self.stopped = True
        self._stir()

    def _stir(self) -> None:
        wake = self._wake
        if wake is not None:
            wake()
