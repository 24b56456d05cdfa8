"""Who looks in on the reactor while an event loop hosts it: user code may keep the loop from reading at any time."""

from __future__ import annotations

import selectors
from time import sleep
from typing import TYPE_CHECKING, Protocol

from nbactors.local.reactor.bell import Bell

if TYPE_CHECKING:
    from nbactors.local.reactor.reactor import Reactor

TICK_S = 0.002
QUIET_TICKS = 50


class Host(Protocol):
    """An event loop that leads the reactor when it is idle."""

    def nudge(self) -> None:
        """Visit soon: there is something to send or to do. Any thread, also in finalizers; takes no lock."""

    def left(self) -> None:
        """Whoever led has left. Any thread."""

    def is_idle(self) -> bool:
        """Return whether the loop has answered since this was asked last."""


def host(reactor: Reactor, loop: Host) -> None:
    """Have an event loop lead the reactor from now on. The loop's thread."""
    reactor.guard = Guard(reactor, loop)
    reactor.wake()


class Guard:
    """What the background thread does in an asyncio actor.

    While something goes on it looks in once a tick. When the loop is idle it dozes, but not as deeply as to rely on
    the loop: a coroutine that wakes by a timer may block it, and then other loops' answers must still be read and
    their calls sent. So it watches the reactor's descriptor too, and its timers, and is rung when there is output.
    """

    def __init__(self, reactor: Reactor, host: Host) -> None:
        self._reactor = reactor
        self._host = host
        self._dozing = False
        self._bell = Bell()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell.fileno(), selectors.EVENT_READ)
        self._selector.register(reactor.fileno(), selectors.EVENT_READ)

    def nudge(self) -> None:
        """There is something to send or to do. Any thread, also in finalizers; takes no lock."""
        self._host.nudge()
        if self._dozing:
            self._dozing = False
            self._bell.ring()

    def left(self) -> None:
        """Whoever led has left. Any thread."""
        self._host.left()

    def run(self) -> None:
        """Stand guard until the reactor is closed. The background thread."""
        reactor, quiet = self._reactor, 0
        while not reactor.closed:
            before = reactor.stints
            sleep(TICK_S)
            reactor.look_in()
            quiet = quiet + 1 if before == reactor.stints else 0
            if quiet > QUIET_TICKS and self._host.is_idle():
                self._doze()
                quiet = 0
        self._selector.close()
        self._bell.close()

    def _doze(self) -> None:
        self._dozing = True
        # What comes from here on rings; what came before is seen here.
        if not (self._reactor.dirty or self._reactor.trash or self._reactor.closed):
            self._selector.select(self._reactor.next_timer_s())
        self._dozing = False
        self._bell.still()
