"""A selector that polls repeatedly for a moment before it sleeps, where that is worth it.

Waking up a sleeping thread takes 50 to 100 microseconds on a virtual machine, on each side of a call: more than all
other work of a small call. If the last wait was shorter than `SPIN_S`, the next one probably is too. Then the selector
*spins*: it polls without blocking for up to `SPIN_S`. So a caller and a worker that answer each other at once never
sleep. A wait that turns out to be long costs `SPIN_S` of processor time, and the wait after it costs nothing.

After each poll the spinning thread yields the processor: otherwise processes that spin would keep processes with work
from running. If another process then keeps the processor, the cores are busy: the thread sleeps at once, and the
selector does not spin for a while. The scheduler runs a sleeping thread soon after its event comes, but one that has
used much processor time late.

In that while the selector *glances*: it polls for at most `GLANCE_S`, without yielding. If the other side of a call
runs on another core just now, its message comes in that time, and neither side sleeps: to wake up a thread of another
core takes longer than the call. If the other side needs this core, a glance finds nothing. Then the next waits are
without one: one wait, then two, then four, up to `MOST_SKIPS`. So glances cost little where they do not help.
"""

from __future__ import annotations

import os
import select
import selectors
import time
from time import monotonic
from typing import Any

from nbactors.speedups import SelectorBase, compiled

SPIN_S = 0.0003
"""The selector spins for at most this long, in seconds, before it sleeps."""

PUSHED_ASIDE_S = 0.001
"""If the spinning thread gets the processor back later than this, in seconds, another process uses the processor."""

REST_S = 0.1
LONGEST_REST_S = 3.2
"""For how long, in seconds, the selector does not spin after that: the first time, and at most if it happens again."""

GLANCE_S = 0.00005
"""A glance takes at most this long, in seconds."""

MOST_SKIPS = 64
"""So many waits, at most, are without a glance after one that has found nothing."""

AGAIN_S = 1.0
"""A thread that is pushed aside again within this time, in seconds, after its rest, rests twice as long."""

AT_ONCE_S = 0.00002
"""A poll that returns within this time, in seconds, has not slept: the event was there when it began."""

LONGEST_S = 3600.0
"""The longest timeout of one poll, in seconds: epoll rejects very large numbers."""

NONE = -1

_MAX_EVENTS = 64
"""The highest number of events that one poll returns."""

_READABLE, _WRITABLE = int(getattr(select, "EPOLLIN", 1)), int(getattr(select, "EPOLLOUT", 4))

_give_way = getattr(os, "sched_yield", None) or (lambda: time.sleep(0))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BriskSelector(SelectorBase, selectors.DefaultSelector):
    """The platform's selector, with a second way to wait. Like any selector it is used by one thread at a time.

    Where `SelectorBase` is compiled, it polls an epoll.
    """

    def __init__(self) -> None:
        super().__init__()
        self._may_spin = _processors() > 1
        self.found_at_once = False
        """Whether the events that the last wait returned were there when the wait began."""
        self._is_brisk = False
        self._rests_until = 0.0
        self._rest_s = REST_S
        self._skips = 0
        """How many of the next waits are without a glance."""
        self._last_skips = 0
        """What `_skips` was after the last glance."""
        self._glance_s, self._most_skips = GLANCE_S, MOST_SKIPS
        self._spin_s, self._aside_s, self._at_once_s, self._longest_s = SPIN_S, PUSHED_ASIDE_S, AT_ONCE_S, LONGEST_S
        self._find_poller()

    def _find_poller(self) -> None:
        poller: Any = getattr(self, "_selector", None)
        self._poller = poller if hasattr(select, "epoll") and isinstance(poller, select.epoll) else None
        self._poll: Any = self._poller.poll if self._poller is not None else None
        self._epoll_fd = self._poller.fileno() if self._poller is not None and compiled is not None else NONE
        """For the compiled part; `NONE` for the steps in Python."""

    def renew(self) -> None:
        """Poll by an object of its own, in a forked child: it shares an epoll with its parent.

        What was watched is watched on.
        """
        poller: Any = getattr(self, "_selector", None)
        if not hasattr(poller, "fileno"):  # `poll` and `select` are the process's own
            return
        # First, because a child does not inherit a kqueue: a later close might hit the new one, under the same number.
        poller.close()
        self._selector: Any = type(poller)()
        self._find_poller()
        keys: dict[int, selectors.SelectorKey] = self._fd_to_key  # type: ignore[attr-defined]
        watched = list(keys.values())
        keys.clear()
        for key in watched:
            self.register(key.fileobj, key.events, key.data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Stop watching, also what is only half registered: an exception has come just when epoll had taken it."""
        try:
            return super().unregister(fileobj)
        except KeyError:
            if self._poller is not None:
                try:
                    self._poller.unregister(fileobj)
                except (OSError, ValueError):  # it was not registered at all, or is closed
                    pass
            raise

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Change what is watched for. What is noted and what epoll knows agree, also after an interruption.

        The standard library's `modify`, interrupted by a handler that does the same, notes what epoll does not know,
        and leaves it out the next time.
        """
        if self._poller is None:
            return super().modify(fileobj, events, data)
        keys: dict[int, selectors.SelectorKey] = self._fd_to_key  # type: ignore[attr-defined]
        fd: int = self._fileobj_lookup(fileobj)  # type: ignore[attr-defined]
        changed = keys[fd] = keys[fd]._replace(events=events, data=data)
        key: selectors.SelectorKey | None = changed
        while key is not None:
            wanted = (key.events & selectors.EVENT_READ and _READABLE) | (
                key.events & selectors.EVENT_WRITE and _WRITABLE
            )
            try:
                self._poller.modify(fd, wanted)
            except OSError:  # as in the standard library: it is watched no more
                keys.pop(fd, None)
                raise
            latest = keys.get(fd)
            if latest is key:
                break
            key = latest
        return changed

    def look(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Do what `select` of the standard library does in half the time, by leaving out what epoll does not need."""
        if self._poll is None:
            return super().select(timeout)
        if self._epoll_fd != NONE:
            return self._look_quickly(timeout)
        keys: dict[int, selectors.SelectorKey] = self._fd_to_key  # type: ignore[attr-defined]
        seconds = -1 if timeout is None else timeout if timeout < LONGEST_S else LONGEST_S
        events = []
        for fd, event in self._poll(seconds, _MAX_EVENTS):
            key = keys.get(fd)
            if key is not None:
                ready = (event & ~_READABLE and selectors.EVENT_WRITE) | (event & ~_WRITABLE and selectors.EVENT_READ)
                events.append((key, ready & key.events))
        return events

    def select_briskly(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Do what `select` does, but spin first where that is worth it. For threads that have nothing else to do."""
        if self._epoll_fd != NONE:
            return self._select_quickly(timeout)
        look = self.look
        if timeout is not None and timeout < SPIN_S:
            self.found_at_once = True
            return look(timeout)
        began = now = monotonic()
        if self._is_brisk:
            is_pushed_aside = False
            if now > self._rests_until:
                events, looks, is_pushed_aside = self._spin(SPIN_S, gives_way=True)
            else:
                events, looks = self._glance()
            if events:
                self.found_at_once = looks == 1
                return events
            now = monotonic()
            if is_pushed_aside:
                self._rest(now)
            if timeout is not None:
                timeout = max(timeout - (now - began), 0)
        events = look(timeout)
        waited = monotonic() - began
        self.found_at_once = waited < AT_ONCE_S
        self._is_brisk = self._may_spin and waited < SPIN_S
        return events

    def _spin(self, seconds: float, *, gives_way: bool) -> tuple[list[tuple[selectors.SelectorKey, int]], int, bool]:
        """Poll for some seconds. Return the events, the number of polls, and whether another process came between."""
        looks = 0
        now = monotonic()
        until = now + seconds
        while now < until:
            events = self.look(0)
            looks += 1
            if events:
                return events, looks, False
            latest = now
            if gives_way:
                _give_way()
            now = monotonic()
            if gives_way and now - latest > PUSHED_ASIDE_S:
                return [], looks, True
        return [], looks, False

    def _glance(self) -> tuple[list[tuple[selectors.SelectorKey, int]], int]:
        """Poll for up to `GLANCE_S`, unless it is not worth it. Return the events, and the number of polls."""
        if self._skips:
            self._skips -= 1
            return [], 0
        events, looks, _ = self._spin(GLANCE_S, gives_way=False)
        self._last_skips = 0 if events else min(2 * self._last_skips, MOST_SKIPS) or 1
        self._skips = self._last_skips
        return events, looks

    def close(self) -> None:
        """Close the selector. A thread that polls it later fails, and polls no other file of the same number."""
        self._epoll_fd = NONE
        super().close()

    def _rest(self, now: float) -> None:
        """Do not spin for a while: twice as long as the last time if that has ended a moment ago."""
        is_again = now - self._rests_until < AGAIN_S
        self._rest_s = min(2 * self._rest_s, LONGEST_REST_S) if is_again else REST_S
        self._rests_until = now + self._rest_s


class BriskLoopSelector(BriskSelector):
    """The same for an asyncio event loop, which only calls `select`."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `select_briskly`."""
        if self._epoll_fd != NONE:
            return self._select_quickly(timeout)
        return self.select_briskly(timeout)
