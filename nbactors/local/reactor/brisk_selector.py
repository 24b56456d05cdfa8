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
import select
import selectors
import time
from time import monotonic
from typing import Any

SPIN_S = 0.0003
"""How long it looks before it sleeps."""

PUSHED_ASIDE_S = 0.001
"""A look that ends so much too late was held up by somebody who wants the processor all the time."""

REST_S = 0.1
"""How long it does not look then."""

AT_ONCE_S = 0.00002
"""Who falls asleep sleeps longer."""

LONGEST_S = 3600.0
"""A look returns after this time at the latest: epoll takes no number of seconds that is too high."""

_MOST = 64
"""Events that one look returns at most."""

_READABLE, _WRITABLE = int(getattr(select, "EPOLLIN", 1)), int(getattr(select, "EPOLLOUT", 4))

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
        poller: Any = getattr(self, "_selector", None)
        self._poll: Any = poller.poll if hasattr(select, "epoll") and isinstance(poller, select.epoll) else None

    def look(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Do what `select` of the standard library does, without what epoll does not need: half its time."""
        if self._poll is None:
            return super().select(timeout)
        keys: dict[int, selectors.SelectorKey] = self._fd_to_key  # type: ignore[attr-defined]
        events = []
        seconds = -1 if timeout is None else timeout if timeout < LONGEST_S else LONGEST_S
        for fd, event in self._poll(seconds, _MOST):
            key = keys.get(fd)
            if key is not None:
                ready = (event & ~_READABLE and selectors.EVENT_WRITE) | (event & ~_WRITABLE and selectors.EVENT_READ)
                events.append((key, ready & key.events))
        return events

    def select_briskly(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Like `select`, for threads that have nothing to do but to wait."""
        look = self.look
        if timeout is not None and timeout < SPIN_S:
            self.found_at_once = True
            return look(timeout)
        began = now = monotonic()
        if self._is_brisk and now > self._rests_until:
            until = began + SPIN_S
            while now < until:
                events = look(0)
                if events:
                    self.found_at_once = now == began
                    return events
                _give_way()
                now = monotonic()
            if now > until + PUSHED_ASIDE_S:
                self._rests_until = now + REST_S
            if timeout is not None:
                timeout = max(timeout - (now - began), 0)
        events = look(timeout)
        waited = monotonic() - began
        self.found_at_once = waited < AT_ONCE_S
        self._is_brisk = self._may_spin and waited < SPIN_S
        return events


class BriskLoopSelector(BriskSelector):
    """For an event loop, which knows one way to wait."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `select_briskly`."""
        return self.select_briskly(timeout)
