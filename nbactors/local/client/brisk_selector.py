"""A selector that looks again for a moment before it sleeps, where that pays.

To be woken costs 50 to 100 microseconds on a virtual machine, on each side of a call: more than all else that a small
call does. Where the last wait was shorter than `SPIN_S` the next one probably is, too, so it is spent looking, and a
caller and a worker that answer each other at once never sleep. A longer wait costs no more than `SPIN_S`, and the one
after it nothing.

Each look gives way to whoever else wants the processor: without that, processes that look keep those from running that
have something to do. If somebody does who does not give way in turn, it is a whole time slice until the next look, so
that it sleeps for a while instead: who sleeps is let in as soon as there is something for it.
"""

from __future__ import annotations

import os
import selectors
import time
from time import monotonic

SPIN_S = 0.0003
"""How long it looks before it sleeps."""

PUSHED_ASIDE_S = 0.001
"""A look that ends so much too late was held up by somebody who wants the processor all the time."""

REST_S = 0.1
"""How long it does not look then."""

AT_ONCE_S = 0.00002
"""Who falls asleep sleeps longer."""

_give_way = getattr(os, "sched_yield", None) or (lambda: time.sleep(0))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BriskSelector(selectors.DefaultSelector):
    """The platform's selector, with another way to wait. Used by one thread at a time, as any selector."""

    def __init__(self) -> None:
        super().__init__()
        self._may_spin = _processors() > 1
        self.found_at_once = False
        """Whether what the last wait has found was there when it began."""
        self._is_brisk = False
        self._rests_until = 0.0

    def select_briskly(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Like `select`, for threads that have nothing to do but to wait."""
        select = super().select
        if timeout is not None and timeout < SPIN_S:
            self.found_at_once = True
            return select(timeout)
        began = now = monotonic()
        if self._is_brisk and now > self._rests_until:
            until = began + SPIN_S
            while now < until:
                events = select(0)
                if events:
                    self.found_at_once = now == began
                    return events
                _give_way()
                now = monotonic()
            if now > until + PUSHED_ASIDE_S:
                self._rests_until = now + REST_S
            if timeout is not None:
                timeout = max(timeout - (now - began), 0)
        events = select(timeout)
        waited = monotonic() - began
        self.found_at_once = waited < AT_ONCE_S
        self._is_brisk = self._may_spin and waited < SPIN_S
        return events


class BriskLoopSelector(BriskSelector):
    """For an event loop, which knows one way to wait."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `select_briskly`."""
        return self.select_briskly(timeout)
