"""A reactor without a thread, on a clock that stands still: the test takes each step of the connections."""

from __future__ import annotations

import heapq
import itertools
import select
from collections.abc import Callable

from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.timers import Timer

_MOST_ROUNDS = 2000


class SteppedReactor(Reactor):
    """A reactor that reads and sends only in `settle` and `pass_time`, on the calling thread.

    Attributes:
        now: The time on the clock, in seconds.
        delays: The delay of each timer, in the order of `call_later`, in seconds.
    """

    def __init__(self) -> None:
        super().__init__("test-io")
        self.now = 0.0
        self.delays: list[float] = []
        self._later: list[Timer] = []
        self._numbers = itertools.count()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """See the base class; the delay passes on the clock of this reactor."""
        self.delays.append(delay)
        timer = Timer(self.now + delay, next(self._numbers), callback, self._timers)
        heapq.heappush(self._later, timer)
        return timer

    def settle(self) -> None:
        """Read, send and run due timers, until nothing is left to do at this time."""
        for _ in range(_MOST_ROUNDS):
            ran = self._run_due()
            if not (ran or self.dirty or self.trash or self.left_steps.targets or self._is_ready()):
                return
            self.visit()
        raise AssertionError("the connections find no rest")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and do what `settle` does after each timer."""
        until = self.now + seconds
        self.settle()
        while self._later and self._later[0][0] <= until:
            self.now = max(self.now, self._later[0][0])
            self.settle()
        self.now = until

    def _is_ready(self) -> bool:
        return bool(select.select([self.fileno()], [], [], 0)[0])

    def _run_due(self) -> bool:
        ran = False
        while self._later and self._later[0][0] <= self.now:
            callback = heapq.heappop(self._later)[2]
            if callback is not None:
                callback()
            ran = True
        return ran
