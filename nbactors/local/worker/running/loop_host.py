"""`LoopHost`: an asyncio actor's event loop on the main thread, as the host of the reactor. See `local.reactor`."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from time import monotonic

from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.timers import NEVER


class LoopHost:
    """Watches the reactor's descriptor, and visits the reactor when there is something to do.

    Args:
        reactor: The reactor.
        loop: The loop of the calling thread.
        visit: Called on the loop's thread: visits the reactor, and returns what `Reactor.visit` returns.

    Made on the loop's thread, before the loop runs. Its callbacks run in the context of that moment. If they ran in the
    context of the call that happens to send a message, the watch would keep this call's context alive for ever.
    """

    def __init__(self, reactor: Reactor, loop: asyncio.AbstractEventLoop, visit: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._visit_reactor = visit
        self._loop = loop
        self._ident = threading.get_ident()
        self._context = contextvars.copy_context()
        self._due = False
        self._away = False
        self._asked = False
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER
        """When the loop's timer is due, on the monotonic clock."""
        loop.add_reader(reactor.fileno(), self._visit)

    def _visit(self) -> None:
        self._due = False
        try:
            has_led = self._visit_reactor()
        except BaseException:  # of a call that has begun
            self._set_timer()
            raise
        if not has_led:
            # Another thread leads. Until it leaves, the descriptor may stay readable, and the loop would spin on it.
            self._loop.remove_reader(self._reactor.fileno())
            self._away = True
            if not self._reactor.is_led:  # the other thread has left before it could see `_away`
                self.left()
            return
        if self._reactor.timer_due != self._timer_due:
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._reactor.timer_due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_due = due
        if due != NEVER:
            delay = max(due - monotonic(), 0)
            self._timer = self._loop.call_later(delay, self._on_timer, context=self._context)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due = NEVER  # the loop's clock may be coarse: the reactor's timer is perhaps not due yet
        self._visit()

    def nudge(self) -> None:
        """See `Host`."""
        if not self._due:
            self._due = True
            self._soon(self._visit)

    def left(self) -> None:
        """See `Host`."""
        if self._away:
            self._away = False
            self._soon(self._come_back)

    def _come_back(self) -> None:
        self._loop.add_reader(self._reactor.fileno(), self._visit)
        self._visit()

    def is_idle(self) -> bool:
        """See `Host`."""
        answered, self._answered = self._answered, False
        if not answered and not self._asked:
            self._asked = True
            self._soon(self._answer)
        return answered

    def _answer(self) -> None:
        self._asked = False
        self._answered = True

    def _soon(self, callback: Callable[[], None]) -> None:
        try:
            if threading.get_ident() == self._ident:
                self._loop.call_soon(callback, context=self._context)
            else:
                self._loop.call_soon_threadsafe(callback, context=self._context)
        except RuntimeError:  # the loop is closed: the process is about to end
            pass
