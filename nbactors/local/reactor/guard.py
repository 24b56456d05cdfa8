"""The guard: polls the reactor while an event loop hosts it, because user code may block the loop at any time."""

from __future__ import annotations

import selectors
from time import sleep
from typing import TYPE_CHECKING, Protocol

from nbactors.local.reactor.bell import Bell

if TYPE_CHECKING:
    from nbactors.local.reactor.reactor import Reactor

TICK_S = 0.002
QUIET_TICKS = 50
"""The background thread polls every so many seconds, until so many ticks in a row have found nothing to do."""

FEW_TICKS = 4
"""So many ticks suffice as long as no thread has led: most actors get few calls at their start, and ticks take time."""


def quiet_ticks(stints: int) -> int:
    """Return after how many quiet ticks the background thread sleeps while another thread, or an event loop, leads.

    Args:
        stints: How often threads have led the reactor.
    """
    return min(QUIET_TICKS, FEW_TICKS + stints)


class Host(Protocol):
    """An event loop that leads the reactor whenever it runs no user code."""

    def nudge(self) -> None:
        """Visit the reactor soon: there is output or an action. Any thread, also in finalizers; takes no lock."""

    def left(self) -> None:
        """Note that the leader has left. Any thread."""

    def is_idle(self) -> bool:
        """Return whether the loop has run since the last call of this method."""


def host(reactor: Reactor, loop: Host) -> None:
    """Have an event loop lead the reactor from now on. Called on the loop's thread."""
    reactor.guard = Guard(reactor, loop)
    reactor.wake()


class Guard:
    """The work of the background thread in an asyncio actor.

    While messages come and go the guard polls once a tick. When the loop is idle, the guard sleeps. A coroutine that a
    timer wakes may then block the loop, while replies for other loops must be read and their calls sent. So the
    sleeping guard watches the reactor's descriptor and its timers, and its bell is rung when there is output.
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
        """Note that there is output to send or an action to run. Any thread, also in finalizers; takes no lock."""
        self._host.nudge()
        if self._dozing:
            self._dozing = False
            self._bell.ring()

    def left(self) -> None:
        """Note that the leader has left. Any thread."""
        self._host.left()

    def run(self) -> None:
        """Stand guard until the reactor is closed. Runs on the background thread."""
        reactor, quiet = self._reactor, 0
        while not reactor.closed:
            before = reactor.stints
            sleep(TICK_S)
            reactor.look_in()
            quiet = quiet + 1 if before == reactor.stints else 0
            if quiet > quiet_ticks(before) and self._host.is_idle():
                self._doze()
                quiet = 0
        self._selector.close()
        self._bell.close()

    def _doze(self) -> None:
        self._dozing = True
        # Output and actions that come after the flag is set ring the bell. This check sees those that came before.
        if not (self._reactor.dirty or self._reactor.trash or self._reactor.closed):
            self._selector.select(self._reactor.next_timer_s())
        self._dozing = False
        self._bell.still()
